"""Measures rendering alone: from a stored message to the arguments of an operation, and on to its request.

The message and the seven fields are those of the whole way; the tree is larger and has loops and texts.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from actions.egress import read_egress
from actions.http import HTTPConnector
from actions.specs import read_spec
from bench.figures import Row, Table
from bench.sender import make_request
from bench.whole import FIELDS, specification
from service.job import Job
from service.rules.mapping import compile_template
from service.store.base import RunKey
from triggers.message import TriggerMessage

TREE: Final[dict[str, Any]] = {
    "title": "push of ${data.pusher.name} to ${data.repository.full_name}",
    "files": "${(data.head_commit.added + data.head_commit.modified).map(f, {'path': f, 'new': true})}",
    "commit": {"id": "${data.head_commit.id}", "whole": "${data.head_commit}", "by": ["${data.pusher}"]},
    "stars": "${data.repository.stars}",
    "labels": ["push", "${data.forced ? 'forced' : 'plain'}"],
    "note": "${data.?note}",
}
_ROUND: Final = 500


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=0.5, help="how long each figure is measured (0.5)")


def figures(options: argparse.Namespace) -> Iterator[Table]:
    """Measure both trees, then the first one with its request."""
    message = TriggerMessage(
        id="1",
        source="/sources/github",
        type="com.github.push",
        datacontenttype="application/json",
        format="json",
        data=make_request(1).partition(b"\r\n\r\n")[2],
        meta={"kind": "webhook", "method": "POST", "query": {}, "headers": {}},
    )
    connector = HTTPConnector(
        "backend",
        read_spec({"backend.json": msgspec.json.encode(specification())}),
        server="http://127.0.0.1:1",
        egress=read_egress(["127.0.0.1"]),
    )
    fields, tree = compile_template({"body": FIELDS}), compile_template({"body": TREE})

    def job() -> Job:
        return Job(
            RunKey(1, 1, 1),
            message,
            source="github",
            ruleset=None,
            ruleset_number=1,
            started_at=0,
            received_at=0,
        )

    cases: dict[str, Callable[[], object]] = {
        "seven fields": lambda: fields.render(job().view()),
        "a tree with loops and texts": lambda: tree.render(job().view()),
        "seven fields, and the request": lambda: connector.prepare(
            "createDeployment", fields.render(job().view()), key="0123456789abcdef"
        ),
    }
    yield Table("rendering alone, decoding included", [_row(*one, options.seconds) for one in cases.items()])


def _row(name: str, call: Callable[[], object], seconds: float) -> Row:
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.process_time()
        for _ in range(_ROUND):
            call()
        best = min(best, (time.process_time() - started) / _ROUND)
    return {"render": name, "CPU µs each": round(best * 1e6, 1), "a second": round(1 / best)}


if __name__ == "__main__":
    from bench.__main__ import main

    main(["render", *sys.argv[1:]])

"""Measures the webhook source alone: CPU per `receive`, without sockets and store.

Run: python -m bench webhook [--seconds S]
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.figures import Table
from triggers.base import Batch, HttpRequest, SourceContext
from triggers.cloudevents import encode, encode_batch
from triggers.message import TriggerMessage
from triggers.presets import sign
from triggers.webhook import WebhookConfig, WebhookSource

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_700_000_000


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=0.3, help="how long each figure is measured (0.3)")


def figures(options: argparse.Namespace) -> Iterator[Table]:
    body = _push(445)
    large = _push(20_000)
    event = TriggerMessage(
        id="evt_1",
        source="/shop",
        type="order.paid",
        datacontenttype="application/json",
        format="json",
        data=body,
    )
    cases = {
        "github, 445 bytes": _signed("github", body),
        "github, 20 kB": _signed("github", large),
        "standard-webhooks, 445 bytes": _signed("standard-webhooks", body),
        "slack, 445 bytes": _signed("slack", body),
        "none, JSON, 445 bytes": ("none", {"content-type": "application/json"}, body),
        "CloudEvent, binary, 445 bytes": ("none", *encode(event, "binary")),
        "CloudEvent, structured, 445 bytes": ("none", *encode(event, "structured")),
        "CloudEvents, batch of 100": ("none", *encode_batch([event] * 100)),
        "github, forged": (
            "github",
            {"content-type": "application/json", "x-hub-signature-256": "sha256=" + "0" * 64},
            body,
        ),
    }
    rows = []
    for name, (scheme, headers, data) in cases.items():
        each = _measure(_receiver(scheme, headers, data), options.seconds)
        rows.append({"receive": name, "CPU µs each": round(each * 1e6, 1), "requests/s": round(1 / each)})
    yield Table("the webhook source alone", rows)


def _push(size: int) -> bytes:
    commit = b'{"id":"c5b97d5ae6c19d5c5df71a34c7fbeeda2479ccbc","message":"Fix \\"it\\"","url":"https://x.example/{/sha}"}'
    start = (
        b'{"ref":"refs/heads/main","repository":{"id":1,"full_name":"octo/shop","private":false},"commits":['
    )
    end = b'],"pusher":{"name":"octo"},"note":"'
    commits = b",".join([commit] * max(1, (size - 150) // (len(commit) + 1)))
    filler = b"x" * max(0, size - len(start) - len(commits) - len(end) - 2)
    return start + commits + end + filler + b'"}'


def _signed(scheme: str, body: bytes) -> tuple[str, dict[str, str], bytes]:
    headers = {
        "host": "hooks.example.com",
        "user-agent": "GitHub-Hookshot/044aadd",
        "accept": "*/*",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-github-event": "push",
        "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        **sign(scheme, SECRET, body, now=NOW, id="msg_1"),
    }
    return scheme, headers, body


def _receiver(scheme: str, headers: Mapping[str, str], body: bytes) -> Callable[[], Any]:
    verify: dict[str, Any] = {"scheme": scheme}
    if scheme != "none":
        verify["secrets"] = [SECRET]
    source = WebhookSource("bench", WebhookConfig.model_validate({"kind": "webhook", "verify": verify}))
    context = SourceContext(
        name="bench", reached=lambda _: None, clock=lambda: NOW, expression=_no_expression
    )
    asyncio.run(source.open(context))
    request = HttpRequest(
        method="POST", target="/hooks/bench", path="/hooks/bench", query="", headers=tuple(headers.items()),
        body=body, peer="127.0.0.1", scheme="http", host="localhost", now=NOW,
    )  # fmt: skip
    assert isinstance(source.receive(request), Batch) or "0" * 64 in str(headers)
    return lambda: source.receive(request)


def _no_expression(text: str) -> Any:
    raise ValueError(text)


def _measure(call: Callable[[], Any], seconds: float) -> float:
    best = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.process_time()
        for _ in range(500):
            call()
        best = min(best, (time.process_time() - started) / 500)
    return best


if __name__ == "__main__":
    from bench.__main__ import main

    main(["webhook", *sys.argv[1:]])

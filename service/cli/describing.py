"""Verbs that need a description and nothing else: connectors read, connectors exercise, mock."""

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from service.cli.output import Output, emit, json_text, line, rows, say
from service.cli.place import reading
from service.cli.progress import counted
from service.errors import Invalid, Problem

if TYPE_CHECKING:
    from actions.mock import Judgement
    from actions.specs.model import Spec
    from service.descriptions import Unit

Paths = Annotated[Path, Parameter(help="Files, folders, zip archives or git directories.")]

READ_COLUMNS: Final = (
    "path", "dialect", "version", "operations", "degraded", "refused", "triggers", "findings", "error",
)  # fmt: skip
EXERCISE_COLUMNS: Final = (
    "path", "operations", "accepted", "failed", "refused", "code", "code_accepted", "bus", "requests",
    "accepted_requests", "error",
)  # fmt: skip
MISS_COLUMNS: Final = ("id", "method", "path", "reason")


def read_descriptions(*path: Paths, output: Output = "table") -> int:
    """Read API descriptions, and say what they hold. Changes nothing, calls nothing.

    OpenAPI 3.x, Swagger 2, Postman collections, Power Platform connectors and AsyncAPI. With -o jsonl each
    document is one line, printed as soon as it is read: its servers, security, operations with their status
    and reasons, triggers and findings; or what is wrong, with line and column. Exit code 0: all could be
    read; 1: one could not.

    Example: pointsman connectors read specs/ -o jsonl
    """
    from service.usecases import describing

    sound, found = True, 0

    def lines() -> Iterator[dict[str, Any]]:
        nonlocal sound, found
        units = [(unit.name, unit) for given in _given(path) for unit in _collected(given)]
        for name, unit in counted(units, len(units), "reading"):
            shown = describing.read_line(unit, name)
            sound = sound and describing.is_sound(shown)
            found += len(shown["findings"]) if "error" not in shown else 0
            yield shown

    _print(lines(), output, READ_COLUMNS, describing.summary)
    if output == "table" and found:
        said = " ".join(shlex.quote(str(one)) for one in path)
        say(f"what was found, with places and hints: pointsman connectors lint {said}")
    return 0 if sound else 1


def exercise_descriptions(
    *path: Paths,
    processes: Annotated[
        int, Parameter(help="How many documents at a time; 0: one for each core.", validator=Number(gte=0))
    ] = 0,
    output: Output = "table",
) -> int:
    """Call every operation of API descriptions at a mock that is made from the same description.

    Arguments are made up. Requests go over real sockets of this machine and nowhere else. For each operation
    it is printed whether the mock accepted it, and why not. Exit code 0: every operation
    that can be called was accepted; 1: not.

    Example: pointsman connectors exercise specs/shop.openapi.yaml
    """
    from service.usecases import exercising

    bounds = reading()
    jobs = [job for given in _given(path) for job in exercising.jobs_of(given, bounds)]
    sound = True
    seen: list[dict[str, Any]] = []

    def lines() -> Iterator[dict[str, Any]]:
        nonlocal sound
        made = exercising.exercise_all(jobs, processes=processes or os.cpu_count() or 1)
        for shown in counted(made, len(jobs), "exercising"):
            sound = sound and exercising.is_sound(shown)
            if output == "table":
                seen.append({"path": shown["path"], "misses": exercising.rows(shown)})
                seen[-1]["totals"] = shown.get("totals")
            yield shown

    _print(lines(), output, EXERCISE_COLUMNS, exercising.summary)
    if output == "table":
        _misses(seen)
        share = exercising.accepted_share([one for one in seen if one["totals"]])
        say(f"{share:.2%} of the operations that can be called were accepted")
    return 0 if sound else 1


def mock(
    spec: Annotated[
        Path, Parameter(help="A description: a file, or a folder or zip archive that holds one.")
    ],
    *,
    port: Annotated[
        int, Parameter(help="Where to listen; 0: any free port.", validator=Number(gte=0, lte=65535))
    ] = 0,
    check_login: Annotated[
        bool, Parameter(help="Refuse requests without the credentials that are declared.")
    ] = False,
    output: Output = "table",
) -> int:
    """Play the backend of an API description on 127.0.0.1, until Ctrl-C.

    Every request is judged against the description and told of: what it was taken for, and everything that
    was wrong. A good one is answered by the description's example, or by a value made up by its schema.

    Example: pointsman mock specs/shop.openapi.yaml --port 8082
    """
    from service.descriptions import unreadable

    unit = _single(spec)
    read = unit.read()
    if not read.readable:
        raise unreadable(read, unit)
    return asyncio.run(_serve(read, port, output, check_login=check_login))


async def _serve(spec: "Spec", port: int, output: Output, *, check_login: bool) -> int:
    from actions.mock import MockServer
    from service.usecases.exercising import make_backend

    backend = make_backend(spec, credentials="check" if check_login else "ignore")
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    shown = _tell if output == "table" else _as_line
    async with MockServer(backend, port=port, keep=1, on_request=shown) as server:
        _introduce(spec, server.url)
        await ended.wait()
    return 0


def _introduce(spec: "Spec", origin: str) -> None:
    """Say where the mock is and how to call it."""
    from service.usecases.exercising import base_path

    base = origin + base_path(spec)
    served = [one for one in spec.operations.values() if one.method and not one.problem]
    say(f"mock of {spec.title or 'the description'} at {base}: {len(served)} operations; Ctrl-C ends it")
    simple = next((one for one in served if one.method == "GET" and "{" not in one.path), None)
    if simple is not None:
        say(f"try: curl -i '{base}{simple.path.partition('#')[0]}'")
    say(f"as a connection of pointsman.yaml: server: {base}, egress: [127.0.0.1]")


def _tell(judgement: "Judgement") -> None:
    """Print one request and what became of it, for people."""
    what = judgement.operation or "no operation"
    request = f"{judgement.method} {judgement.target}"
    if judgement.accepted:
        line(f"✓ {request} → {judgement.answer.status} {what}", style="green")
    else:
        line(f"✗ {request} → {judgement.answer.status} {what}", style="yellow")
    for fault in judgement.faults:
        line(f"    {fault.place}: {fault.text}" if fault.place else f"    {fault.text}")
    sys.stdout.flush()


def _as_line(judgement: "Judgement") -> None:
    """Print one request and what became of it, for machines."""
    made = {
        "method": judgement.method,
        "target": judgement.target,
        "operation": judgement.operation,
        "accepted": judgement.accepted,
        "status": judgement.answer.status,
        "problems": [{"place": one.place, "text": one.text} for one in judgement.faults],
    }
    sys.stdout.write(json_text(made) + "\n")
    sys.stdout.flush()


def _given(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    if not paths:
        raise Invalid([Problem(message="say which descriptions, by their paths", code="usage")])
    return paths


def _collected(path: Path) -> "list[Unit]":
    from service.descriptions import collect

    return collect(path, reading())


def units_at(paths: tuple[Path, ...]) -> "list[Unit]":
    """Return every description at some paths. Raise Invalid when there is no path."""
    return [unit for given in _given(paths) for unit in _collected(given)]


def _single(path: Path) -> "Unit":
    """Return the one description at a path. Raise Invalid when there are several."""
    units = _collected(path)
    if len(units) > 1:
        listed = ", ".join(unit.name for unit in units[:5])
        raise Invalid(
            [
                Problem(
                    message=f"{path} holds {len(units)} descriptions",
                    code="usage",
                    fix=f"name one of them: {listed}" + (", …" if len(units) > 5 else ""),
                )
            ]
        )
    return units[0]


def _print(
    lines: Iterable[dict[str, Any]],
    output: Output,
    columns: tuple[str, ...],
    summary: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    """Print what is said of documents: as it comes where every document is a line, else together."""
    if output == "jsonl":
        for one in lines:
            sys.stdout.write(json_text(one) + "\n")
            sys.stdout.flush()
        return
    if output != "table":
        emit({"items": list(lines), "next": ""}, output)
        return
    shown = [summary(one) for one in lines]
    used = tuple(name for name in columns if any(one.get(name) for one in shown) or name == "path")
    emit({"items": shown, "next": ""}, output, used)


def _misses(documents: list[dict[str, Any]]) -> None:
    """Print the operations that were not accepted, by document."""
    for one in documents:
        if one["misses"]:
            line(f"\n{one['path']}", style="bold")
            rows(one["misses"], MISS_COLUMNS, indent="  ")


CONNECTORS: Final[dict[str, Callable[..., Any]]] = {
    "read": read_descriptions,
    "exercise": exercise_descriptions,
}

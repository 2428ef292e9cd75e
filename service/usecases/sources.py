"""Sources, as people see them, and what operators do with them: restart, pause, drain, rewind, set up.

Nothing here waits for a source that is busy: the supervisor answers at once, and what asks the outside has a
deadline.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec

from service.config.marks import join_pointer
from service.errors import Conflict, Invalid, NotFound, ServiceError, Unavailable, nearest
from service.supervisor import SourceStatus
from service.usecases.bounds import Bounds, GivenUp, StillOut, TimedOut
from service.usecases.checking import Candidate
from service.usecases.desk import Desk
from service.usecases.messages import instant
from service.usecases.trying import open_source
from triggers.base import Finding, SetupStep, Source
from triggers.errors import TriggerError

PATIENCE: Final = 20.0
"""Seconds that a source which does not run may take for what it is asked."""

VERBS: Final = ("restart", "pause", "resume", "drain")
"""What can be done with one source, or with all of them."""

_TAKES: Final = frozenset({"starting", "running", "busy"})
"""States in which a source is said to refuse while the store takes nothing."""

_bounds: Final = Bounds(PATIENCE)

T = TypeVar("T")


async def list_sources(desk: Desk) -> dict[str, Any]:
    """Return every source with its state."""
    statuses = desk.running().supervisor.statuses()
    desk.plan()
    return {"items": [await _shown(desk, status) for status in statuses], "next": ""}


async def show_source(desk: Desk, name: str) -> dict[str, Any]:
    """Return one source with its state, and how many deliveries of its messages have not ended."""
    status = desk.running().supervisor.status(name)
    return {**await _shown(desk, status), "unfinished": await desk.running().supervisor.unfinished(name)}


async def _shown(desk: Desk, status: SourceStatus) -> dict[str, Any]:
    refusing = desk.refusing()
    refuses = bool(refusing) and status.state in _TAKES
    shown = {
        "name": status.name,
        "kind": status.kind,
        "state": "refusing" if refuses else status.state,
        "since": instant(status.since),
        "stuck": status.stuck,
        "healthy": status.healthy and not refuses,
        "detail": refusing if refuses else status.detail,
        "fix": status.fix,
        "last_message_at": instant(status.last_message_at or None),
        "last_error": status.last_error,
        "last_error_at": instant(status.last_error_at or None),
        "retry_at": instant(status.retry_at or None),
        "pending": status.pending,
        "unit": status.unit,
        "position": status.position,
        "moved_at": instant(status.moved_at or None),
        "paused_by": status.paused_by,
        "path": f"/hooks/{status.name}" if status.kind == "webhook" else None,
        "warnings": [
            {"code": one.code, "message": one.message, "fix": one.fix, "since": instant(one.since)}
            for one in status.warnings
        ],
        "counts": {
            name: getattr(status, name) for name in ("new", "known", "rejected", "batches", "restarts")
        },
    }
    if status.state == "draining":
        shown["unfinished"] = await desk.running().supervisor.unfinished(status.name)
    return shown


# -- orders


async def order(desk: Desk, name: str, verb: str, *, by: str) -> dict[str, Any]:
    """Do one of VERBS with a source. Raise NotFound, Conflict."""
    supervisor = desk.running().supervisor
    if verb == "restart":
        supervisor.restart(name)
    elif verb == "resume":
        await supervisor.resume(name)
    else:
        await supervisor.pause(name, by, drain=verb == "drain")
    return await show_source(desk, name)


async def order_all(desk: Desk, verb: str, *, by: str) -> dict[str, Any]:
    """Do one of VERBS with every source, also when one before refused; `error` says why it did."""
    items = []
    for status in desk.running().supervisor.statuses():
        try:
            items.append(await order(desk, status.name, verb, by=by))
        except ServiceError as error:
            items.append({"name": status.name, "kind": status.kind, "error": str(error)})
    return {"items": items, "next": ""}


async def rewind(desk: Desk, name: str, to: str) -> dict[str, Any]:
    """Let a source begin elsewhere. Raise NotFound; Conflict with what is possible."""
    await desk.running().supervisor.rewind(name, to)
    return await show_source(desk, name)


async def check(desk: Desk, name: str) -> dict[str, Any]:
    """Prove a source's access to the outside. Raise NotFound, Unavailable when no answer came."""
    return _findings(name, await desk.running().supervisor.check(name))


async def setup(desk: Desk, name: str, *, apply: bool) -> dict[str, Any]:
    """Show what the outside needs to have for a source; with `apply`, make it so.

    Raise NotFound, Conflict.
    """
    steps = await desk.running().supervisor.setup(name, apply=apply)
    return _steps(name, steps, applied=apply)


async def teardown(desk: Desk, name: str, *, apply: bool) -> dict[str, Any]:
    """Show what to remove outside when a source is given up; with `apply`, remove it.

    Raise NotFound, and Conflict while the source runs: it would lose what it stands on.
    """
    supervisor = desk.running().supervisor
    status = supervisor.status(name)
    if apply and not status.paused_by:
        raise Conflict(f"{name} is {status.state}: pause it first (pointsman sources pause {name})")
    return _steps(name, await supervisor.teardown(name, apply=apply), applied=apply)


# -- without a running instance


async def check_planned(candidate: Candidate, name: str) -> dict[str, Any]:
    """Prove the access of a source of a configuration that does not have to run. Raise NotFound."""
    return _findings(name, await _planned(candidate, name, lambda source: source.check()))


async def setup_planned(candidate: Candidate, name: str, *, apply: bool) -> dict[str, Any]:
    """Set up a source of a configuration that does not have to run, as `setup`."""
    steps = await _planned(candidate, name, lambda source: source.setup(apply=apply))
    return _steps(name, steps, applied=apply)


async def teardown_planned(candidate: Candidate, name: str, *, apply: bool) -> dict[str, Any]:
    """Tear down a source of a configuration that does not have to run, as `teardown`."""
    steps = await _planned(candidate, name, lambda source: source.teardown(apply=apply))
    return _steps(name, steps, applied=apply)


async def _planned(candidate: Candidate, name: str, work: Callable[[Source[Any]], Awaitable[T]]) -> T:
    """Do something with a source that is made for it alone. Raise NotFound, Invalid, Conflict."""
    configs = candidate.checked.sketch.sources
    pointer = join_pointer("sources", name)
    broken = [one for one in candidate.errors if f"{one.pointer}/".startswith(f"{pointer}/")]
    if broken:
        raise Invalid(broken)
    if name not in configs:
        near = nearest(name, list(configs))
        raise NotFound(f"there is no source {name}" + (f"; did you mean {near}?" if near else ""))

    async def question() -> T:
        async with open_source(candidate, name) as source:
            return await work(source)

    try:
        return await _bounds.ask(name, question)
    except TriggerError as error:
        raise Conflict(str(error)) from error
    except GivenUp:
        raise Unavailable(f"source {name}: the connection was lost while it was asked") from None
    except (TimedOut, StillOut):
        raise Unavailable(f"source {name} gave no answer within {_bounds.seconds:g} s") from None


def _findings(name: str, findings: list[Finding]) -> dict[str, Any]:
    return {"name": name, "findings": [msgspec.structs.asdict(one) for one in findings]}


def _steps(name: str, steps: list[SetupStep], *, applied: bool) -> dict[str, Any]:
    return {"name": name, "applied": applied, "steps": [msgspec.structs.asdict(one) for one in steps]}

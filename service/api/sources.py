"""Sources: look, restart, pause, drain, rewind, set up; and what the doctor finds around the instance."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import Field

from service.api.resources import AtDesk, Given, resource
from service.api.security import Admin, Caller, Operator, Reader, must_be
from service.usecases import connecting, sources
from service.usecases.desk import Desk
from service.usecases.doctor import page
from service.usecases.health import health

router = resource("sources")

Verb = Annotated[
    Literal["restart", "pause", "resume", "drain"],
    Path(description="`drain` takes nothing more too, and shows how many deliveries are still under way."),
]


class Rewind(Given):
    """Where to begin."""

    to: str = Field(
        min_length=1, max_length=200, description="`earliest`, `now`, `snapshot`, an RFC 3339 time, …"
    )


class Apply(Given):
    """Whether to do what is shown."""

    apply: bool = Field(default=False, description="Do it; absent: only show what would be done.")


@router.get("/sources")
async def list_sources(_caller: Reader, desk: AtDesk) -> dict[str, Any]:
    """List sources with their state."""
    return await sources.list_sources(desk)


@router.get("/sources/{source}")
async def show_source(_caller: Reader, desk: AtDesk, source: str) -> dict[str, Any]:
    """Show one source with its state, and how many deliveries of its messages have not ended."""
    return await sources.show_source(desk, source)


@router.post("/sources/{source}/rewind")
async def rewind_source(_caller: Admin, desk: AtDesk, source: str, given: Rewind) -> dict[str, Any]:
    """Let a source begin elsewhere: messages may come again, or be left out."""
    return await sources.rewind(desk, source, given.to)


@router.post("/sources/{source}/check")
async def check_source(_caller: Operator, desk: AtDesk, source: str) -> dict[str, Any]:
    """Prove a source's access to the outside; nothing is changed."""
    return await sources.check(desk, source)


@router.post("/sources/{source}/setup")
async def setup_source(
    caller: Operator, desk: AtDesk, source: str, given: Apply | None = None
) -> dict[str, Any]:
    """Show what the outside needs to have for a source; with `apply` (role admin) make it so."""
    return await sources.setup(desk, source, apply=_applied(caller, given))


@router.post("/sources/{source}/teardown")
async def teardown_source(
    caller: Operator, desk: AtDesk, source: str, given: Apply | None = None
) -> dict[str, Any]:
    """Show what to remove outside when a source is given up; with `apply` (role admin) remove it."""
    return await sources.teardown(desk, source, apply=_applied(caller, given))


@router.post("/sources/{source}/{verb}")
async def order_source(caller: Operator, desk: AtDesk, source: str, verb: Verb) -> dict[str, Any]:
    """Restart, pause, resume or drain one source. It never waits for a source that is busy."""
    return await sources.order(desk, source, verb, by=caller.name)


@router.post("/sources/{verb}")
async def order_all_sources(caller: Operator, desk: AtDesk, verb: Verb) -> dict[str, Any]:
    """Restart, pause, resume or drain all sources; `error` stands where one refused."""
    return await sources.order_all(desk, verb, by=caller.name)


@router.get("/doctor", tags=["doctor"])
async def doctor(
    _caller: Operator,
    desk: AtDesk,
    name: Annotated[list[str] | None, Query(description="Only these sources and connections.")] = None,
) -> dict[str, Any]:
    """Look at everything that the instance stands on, and ask every source and connection to prove itself.

    Nothing is changed. It takes seconds where something does not answer.
    """
    rows = await desk.running().doctor.examine(name or (), instance=await _instance(desk))
    return page(rows)


async def _instance(desk: Desk) -> dict[str, Any]:
    return {
        "refusing": (await health(desk))["refusing"],
        "sources": (await sources.list_sources(desk))["items"],
        "connections": (await connecting.list_connections(desk))["items"],
    }


def _applied(caller: Caller, given: Apply | None) -> bool:
    """Say whether to do it. Whoever changes something outside must be an admin."""
    apply = given is not None and given.apply
    if apply:
        must_be("admin", caller)
    return apply

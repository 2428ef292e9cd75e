"""Finds a server of each wanted kind, or starts one, and sees that nothing is left behind.

In this order: the one whose address was given; one that answers where such servers listen, and lets us in;
one of our own, from programs that are installed. A server of our own is ended, always; in another one we
remove what we made, and nothing else.
"""

import asyncio
import contextlib
import secrets
import shutil
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from service.demo.guests.base import Guest
from service.demo.guests.registry import GUESTS
from service.demo.servers import SERVERS, LocalServer
from service.demo.servers.ports import answers
from service.demo.wanted import Wanted
from service.errors import Unavailable

PREFIX: Final = "pointsman_demo_"
"""How the names of all that the demo makes in a server begin."""

Found = tuple[Guest, LocalServer | None]
"""A guest, and the server where it has to be started first."""


async def welcome(
    wanted: Wanted, folder: Path, console: Console, stack: contextlib.AsyncExitStack
) -> list[Guest]:
    """Return a guest of each wanted server, with what it needs there; `stack` takes all of it away again.

    Raise Unavailable with everything that is missing.
    """
    name = PREFIX + secrets.token_hex(4)
    place = folder / "servers" / name
    looked = await asyncio.gather(
        *(_look(kind, address, name, place, console) for kind, address in wanted.items())
    )
    missing = [one for one in looked if isinstance(one, str)]
    found = [one for one in looked if not isinstance(one, str)]
    if missing:
        raise Unavailable("\n".join(missing))
    stack.callback(_throw_away, place)
    for guest, server in found:
        if server is not None:
            stack.callback(server.end)
        else:
            stack.push_async_callback(_leave, guest, console)
        stack.push_async_callback(guest.rest)
    # Each comes to its end, also when another fails: what is ended below must not be starting still.
    entered = await asyncio.gather(
        *(_enter(guest, server, console) for guest, server in found), return_exceptions=True
    )
    failed = [one for one in entered if one is not None]
    for one in failed:
        if not isinstance(one, Unavailable):
            raise one
    if failed:
        raise Unavailable("\n".join(str(one) for one in failed))
    return [guest for guest, _ in found]


async def _look(kind: str, address: str | None, name: str, place: Path, console: Console) -> Found | str:
    """Return a server to use, or what is missing and how to mend it."""
    made = GUESTS[kind]
    if address is not None:
        guest = made(address, name)
        refusal = await guest.refusal()
        return f"{made.title} at {guest.place} is of no use: {refusal}" if refusal else (guest, None)
    guest = made(made.usual, name)
    local = SERVERS[kind](place / kind)
    lacking = local.find()
    if answers(_port(guest)):
        refusal = await guest.refusal()
        if not refusal:
            return guest, None
        instead = "" if lacking else "; starting one of our own"
        console.print(Text(f" · {made.title} at {guest.place} is of no use: {refusal}{instead}"))
    if lacking:
        return (
            f"{made.title}: none that can be used listens on {guest.place}, and {lacking}; "
            f"or give the address of yours: --{kind} {made.example}; or run: docker compose up"
        )
    return made(_address(local), name), local


async def _enter(guest: Guest, server: LocalServer | None, console: Console) -> None:
    """Start the server where it is ours, and make what is needed in it."""
    how = f"running already (what is made there is named {guest.name}…)"
    if server is not None:
        console.print(Text(f" · starting {guest.title} …"))
        started = time.perf_counter()
        await server.start()
        refusal = await guest.refusal()
        if refusal:
            raise Unavailable(f"{guest.title} was started, but is of no use: {refusal}")
        how = f"started for the demo in {time.perf_counter() - started:.1f} s"
    await guest.arrive()
    console.print(
        Text.assemble((" ✓ ", "green"), f"{guest.kind:<9}", f"{guest.title} at {guest.place}, {how}")
    )


async def _leave(guest: Guest, console: Console) -> None:
    try:
        await guest.leave()
    except Unavailable as error:
        console.print(Text(f" ! {error}; please remove by hand what begins with {guest.name}", style="red"))


def _throw_away(place: Path) -> None:
    """Remove the data of servers of our own, and the folder above them unless another demo uses it."""
    shutil.rmtree(place, ignore_errors=True)
    with contextlib.suppress(OSError):
        place.parent.rmdir()


def _port(guest: Guest) -> int:
    return int(guest.place.partition("/")[0].rpartition(":")[2])


def _address(server: LocalServer) -> str:
    return server.url.replace("postgresql://", "postgres://", 1)

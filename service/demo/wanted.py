"""What `pointsman demo --with …` was asked for: which kinds of servers, and where they are. Pure."""

from collections.abc import Mapping
from typing import Final

from service.demo.guests.base import Guest
from service.demo.guests.registry import GUESTS
from service.errors import Invalid, Problem, nearest

Wanted = Mapping[str, str | None]
"""The address of each kind of server that is wanted; None: find one, or start one."""

_MEANT: Final = {"rabbit": "rabbitmq", "amqp": "rabbitmq", "postgresql": "postgres", "pg": "postgres"}


def wanted(kinds: str | None, addresses: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return what is wanted, in the order of GUESTS. Raise Invalid with everything that cannot be.

    `kinds` is a list with commas. An address says that its kind is wanted, too.
    """
    problems = []
    named = set()
    words = [] if kinds is None else [word.strip().lower() for word in kinds.split(",")]
    for word in words:
        if word in GUESTS:
            named.add(word)
        else:
            problems.append(_unknown(word))
    for kind, address in addresses.items():
        if address is not None and (problem := _unreadable(GUESTS[kind], address)) is not None:
            problems.append(problem)
    if problems:
        raise Invalid(problems)
    return {kind: addresses.get(kind) for kind in GUESTS if kind in named or addresses.get(kind) is not None}


def _unknown(word: str) -> Problem:
    near = _MEANT.get(word) or nearest(word, list(GUESTS))
    return Problem(
        message="--with: there is no such server" if word else "--with: a name is missing",
        code="usage",
        found=word[:80],
        fix=f"did you mean {near}?" if near else f"there are: {', '.join(GUESTS)}",
    )


def _unreadable(guest: type[Guest], address: str) -> Problem | None:
    try:
        guest(address, "pointsman")
    except ValueError as error:
        # What was given may hold a password: it is not repeated.
        fix = f"for example {guest.example}"
        return Problem(message=f"--{guest.kind} is no address: {error}", code="usage", fix=fix)
    return None

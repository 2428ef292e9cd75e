"""What is kept of a message between its acceptance and its commit, and what is made of it then."""

from typing import Any, Final

import msgspec

from service.job import Job
from service.rules.model import Hit, Ruleset
from service.store.base import NewRun, RunKey
from triggers.base import Reject
from triggers.message import TriggerMessage

MAX_HOPS: Final = 16
"""A message that has made more hops than this is refused: rules feed each other in a circle."""


class Taken(msgspec.Struct, frozen=True):
    """What a message's commit callback needs: the ruleset that matched it, not the one that is live then."""

    source: str
    message: TriggerMessage
    now: int
    ruleset: Ruleset
    hits: list[Hit]
    runs: tuple[NewRun, ...]
    seen: dict[str, Any] | None


def job_of(taken: Taken, number: int, hit: Hit) -> Job:
    """Return the job of a delivery that was just born."""
    return Job(
        RunKey(number, hit.rule.number, 1),
        taken.message,
        source=taken.source,
        ruleset=taken.ruleset,
        ruleset_number=taken.ruleset.number,
        started_at=taken.now,
        received_at=taken.now,
        mode=hit.rule.mode,
        seen=taken.seen,
    )


def unfit(message: TriggerMessage, error: Exception) -> Reject:
    """Return the reject of a message that no record can hold."""
    return Reject(
        reason="bad-entry",
        detail=f"the message cannot be stored: {error}",
        data=message.data or b"",
        meta=message.meta,
    )


def looping(message: TriggerMessage) -> Reject:
    """Return the reject of a message that has made too many hops."""
    return Reject(
        reason="too-many-hops",
        detail=f"more than {MAX_HOPS} hops: the rules feed each other in a circle",
        data=message.data or b"",
        meta=message.meta,
    )

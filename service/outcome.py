"""How an attempt ended, as one table: status or error × was it sent → outcome.

Pure. The only place where an answer or an error of a backend is judged.
"""

import enum
from collections.abc import Mapping
from typing import Final

import msgspec

from actions.base import Answer
from actions.errors import ActionError, LoginRequired, OutcomeUnknown, Refused, RetryLater
from actions.hiding import hidden
from actions.transport import retry_after


class Outcome(enum.StrEnum):
    """How an attempt ended."""

    OK = "ok"
    RETRY = "retry"  # surely not performed, or the backend says: again later
    REFUSED = "refused"  # trying again is useless
    UNKNOWN = "unknown"  # it may have been performed
    LOGIN = "login"  # the connection's credentials are not taken


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome with its reason for people; `after` is the backend's Retry-After in seconds.

    `healthy` says that the backend answered in a way that speaks for its health: it feeds the breaker.
    """

    outcome: Outcome
    detail: str = ""
    after: float | None = None
    healthy: bool = True


STATUSES: Final[dict[int, Outcome]] = {
    401: Outcome.LOGIN,
    403: Outcome.LOGIN,
    408: Outcome.RETRY,
    425: Outcome.RETRY,
    429: Outcome.RETRY,
    500: Outcome.RETRY,
    501: Outcome.REFUSED,
    502: Outcome.UNKNOWN,
    503: Outcome.RETRY,
    504: Outcome.UNKNOWN,
    505: Outcome.REFUSED,
}
"""Statuses with a row of their own (`DESIGN.md` §10)."""

CLASSES: Final[dict[int, Outcome]] = {
    2: Outcome.OK,
    3: Outcome.REFUSED,  # redirects are never followed
    4: Outcome.REFUSED,
    5: Outcome.UNKNOWN,  # gateways invent 5xx of their own: the request may have reached the backend
}
"""What every other status means, by its first digit; anything else is unknown."""

OVERRIDES: Final[dict[str, Outcome]] = {"ok": Outcome.OK, "retry": Outcome.RETRY, "refused": Outcome.REFUSED}
"""What a step's `on:` may say."""


def judge(answer: Answer, on: Mapping[str, str], now: float) -> Verdict:
    """Judge an answer. `on` maps a status ("409") or a class ("4xx") to ok, retry or refused and wins."""
    status = answer.status
    if 200 <= status < 300 and not on:
        return _FINE
    said = on.get(str(status)) or on.get(f"{status // 100}xx")
    if said is not None:
        outcome = OVERRIDES[said]
    else:
        outcome = STATUSES.get(status) or CLASSES.get(status // 100, Outcome.UNKNOWN)
    if outcome is Outcome.OK:
        return _FINE
    return Verdict(
        outcome=outcome,
        detail=_detail(answer, said),
        after=retry_after(answer.header("retry-after"), now),
        healthy=status < 500 and status != 429,
    )


def judge_error(error: ActionError, secrets: tuple[str, ...] = ()) -> Verdict:
    """Judge a call that brought no answer; what it says may repeat what the backend said."""
    detail = hidden(str(error), secrets)[:512]
    if isinstance(error, RetryLater):
        return Verdict(outcome=Outcome.RETRY, detail=detail, after=error.after, healthy=False)
    if isinstance(error, Refused):
        return Verdict(outcome=Outcome.REFUSED, detail=detail)
    if isinstance(error, LoginRequired):
        return Verdict(outcome=Outcome.LOGIN, detail=detail)
    if isinstance(error, OutcomeUnknown):
        return Verdict(outcome=Outcome.UNKNOWN, detail=detail, healthy=bool(error.accepted))
    return Verdict(outcome=Outcome.UNKNOWN, detail=f"{type(error).__name__}: {detail}", healthy=False)


_FINE: Final = Verdict(outcome=Outcome.OK)


def _detail(answer: Answer, said: str | None) -> str:
    """Return the words for an attempt that did not go well; the body is cut to 256 characters."""
    words = f"the backend answered {answer.status}"
    if said is not None:
        words += f" (the step's `on:` says {said})"
    elif answer.status // 100 == 3:
        words += " and redirects are not followed"
    body = answer.body[:256].decode("utf-8", "replace").strip()
    return f"{words}: {body}" if body else words

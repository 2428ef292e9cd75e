"""How a source is, as people are told. Values only."""

from typing import Final, Literal

import msgspec

SourceState = Literal[
    "starting",  # connecting
    "running",  # connected, takes what comes
    "busy",  # long work of its own is under way (a snapshot), which takes messages in too
    "waiting",  # failed; will be started again at `retry_at`
    "refused",  # the outside or the configuration refuses us; tried again at long intervals
    "gap",  # something is lost or may be: a person decides how to go on
    "draining",  # takes nothing more; deliveries of its messages are still under way
    "paused",  # by an operator: takes nothing more
    "stopped",  # the service is stopping
]


NOT_CONNECTED: Final = "not-connected"
"""Code of the warning that a source has been starting for too long."""


class Warned(msgspec.Struct, frozen=True, kw_only=True):
    """A trouble that does not stop a source. `since` is in milliseconds since the epoch."""

    code: str
    message: str
    fix: str = ""
    since: int = 0


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a source is now. Instants are milliseconds since the epoch, 0 for never.

    `stuck` says that work is pending outside and the position has not moved for too long, whatever the
    source itself believes. `pending` counts, in `unit`, what waits outside; None when nobody can say.
    """

    name: str
    kind: str
    state: SourceState
    since: int
    detail: str = ""
    fix: str = ""
    last_message_at: int = 0
    last_error: str = ""
    last_error_at: int = 0
    retry_at: int = 0
    pending: int | None = None
    unit: str = "messages"
    position: str = ""
    moved_at: int = 0
    stuck: bool = False
    warnings: tuple[Warned, ...] = ()
    new: int = 0
    known: int = 0
    rejected: int = 0
    batches: int = 0
    restarts: int = 0
    paused_by: str = ""

    @property
    def healthy(self) -> bool:
        """Whether the source does its work, or rests because an operator wants it to."""
        if self.stuck or any(one.code == NOT_CONNECTED for one in self.warnings):
            return False
        return self.state in ("running", "busy", "starting", "paused", "draining")

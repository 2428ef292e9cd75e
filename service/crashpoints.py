"""Named places where the crash suite kills the process.

A point is one call, `reached("name")`. It does nothing unless POINTSMAN_CRASH names points: then the
process kills itself with SIGKILL at the n-th hit of one of them. Every point is listed here, so that the
suite can prove that each has fired; a name that is not listed is a programming error.

POINTSMAN_CRASH is a comma-separated list of `name:n`. POINTSMAN_CRASH_LOG, when set, names a file to which
the point is appended (and fsynced) before the kill: the evidence must outlive the process.
"""

import os
import signal
from collections.abc import Callable, Mapping
from typing import Final

POINTS: Final = (
    # a request
    "ingest.before_receive",
    "ingest.before_accept",
    "ingest.before_answer",
    "ingest.after_answer",
    # a batch of a source
    "source.before_emit",
    "source.after_emit",
    # a group of the store: everything that waited, in one transaction
    "store.accept.before",
    "store.accept.inside",
    "store.accept.before_commit",
    "store.accept.after_commit",
    "store.settle.before",
    "store.settle.inside",
    "store.settle.before_commit",
    "store.settle.after_commit",
    "store.claim.before",
    "store.claim.inside",
    "store.claim.after_commit",
    # a delivery
    "dispatch.handed_over",
    "dispatch.claimed",
    "dispatch.before_call",
    "dispatch.after_call",
    "dispatch.before_settle",
    "dispatch.after_settle",
    "dispatch.between_steps",
    "dispatch.retry_scheduled",
    # a call of several requests
    "call.etag",
    "call.accepted",
    "call.looked",
    "call.page",
    "call.fetched",
    "call.hook_asked",
    "call.hook_answered",
    # a login
    "login.before_ask",
    "login.granted",
    "login.kept",
    "login.begun",
    "login.returned",
    "login.finished",
    # a file that is replaced
    "file.opened",
    "file.written",
    "file.replaced",
    # an operator
    "release.before_commit",
    "release.after_commit",
    # starting
    "recovery.before",
    "recovery.inside",
    "recovery.before_commit",
    "recovery.after_commit",
    # a new ruleset
    "reload.before",
    "reload.stored",
    "reload.swapped",
    # a migration
    "migration.before",
    "migration.inside",
    "migration.before_commit",
    "migration.after_commit",
    # a batch of topics, of a queue
    "kafka.before_commit",
    "kafka.after_commit",
    "rabbitmq.before_ack",
    "rabbitmq.after_ack",
    "postgres.before_confirm",
    "postgres.after_confirm",
    "postgres.snapshot.begun",
    "postgres.snapshot.page",
    "postgres.snapshot.done",
    "postgres.outbox.before_delete",
    "postgres.outbox.after_delete",
    # a poll, a schedule
    "poll.answered",
    "poll.stored",
    "schedule.due",
    "schedule.stored",
    # stopping
    "stop.draining",
    "stop.before_close",
)
"""Every point, at the boundaries of `DESIGN.md` §3: around each commit and each call."""


def parse(text: str) -> dict[str, int]:
    """Read `name:n,name:n`; raise ValueError for an unknown name or a count below 1."""
    counts: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, count = part.partition(":")
        if name not in POINTS:
            raise ValueError(f"unknown crash point {name!r}")
        counts[name] = int(count or 1)
        if counts[name] < 1:
            raise ValueError(f"crash point {name!r}: the count must be 1 or more")
    return counts


def nothing(name: str) -> None:
    """Do nothing: no point is armed."""


def armed(environment: Mapping[str, str]) -> Callable[[str], None]:
    """Return the function to call at each point: one that does nothing unless the environment arms it."""
    counts = parse(environment.get("POINTSMAN_CRASH", ""))
    log = environment.get("POINTSMAN_CRASH_LOG", "")
    if not counts and not log:
        return nothing

    def at(name: str) -> None:
        if name not in counts:
            return
        counts[name] -= 1
        if counts[name]:
            return
        if log:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(descriptor, f"{name}\n".encode())
            os.fsync(descriptor)
        os.kill(os.getpid(), signal.SIGKILL)

    return at


reached: Final[Callable[[str], None]] = armed(os.environ)
"""What the code calls at each point."""

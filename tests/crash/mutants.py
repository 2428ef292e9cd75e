"""Five planted bugs. The suite must find each of them: that is what makes its zero believable.

A bug is planted in one child process of the launcher, by replacing methods of the service there; never in our own.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from typing import Any, Final

from service.delivery import Event
from service.dispatch.working import Working
from service.job import Job
from service.store.base import Attempt, Entry, RejectEntry, Settlement
from service.store.sqlite import accept, recover
from service.store.sqlite.group import Done, Group
from service.store.sqlite.writer import Writer

SLOW_DISK: Final = 0.05
"""Seconds that a commit takes with the first bug: on a fast disk its window would be a matter of luck."""


def _ignore(_value: object) -> None:
    pass


def answer_before_commit() -> None:
    """Tell senders that their messages are stored when the statements have run, before the commit."""
    execute, commit = Group.execute, Writer._commit

    def eager(self: Group, *arguments: Any) -> None:
        execute(self, *arguments)
        for (_entry, done), verdict in zip(self.entries, self.verdicts, strict=True):
            done(verdict)
        told: list[tuple[Entry | RejectEntry, Done]] = [(entry, _ignore) for entry, _done in self.entries]
        self.entries = told

    def slowly(self: Writer, group: Group) -> None:
        time.sleep(SLOW_DISK)
        commit(self, group)

    Group.execute = eager
    Writer._commit = slowly


def done_before_send() -> None:
    """Settle a run as delivered before its last call is made."""
    attempt = Working._attempt

    async def eager(self: Working, lane: Any, job: Job) -> Any:
        if job.following() is None:
            applied: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            fine = Attempt(
                number=job.number,
                step=job.step,
                started_at=job.started_at,
                ended_at=job.started_at,
                outcome="ok",
                status=200,
            )
            settlement = Settlement(
                key=job.key, number=job.number, event=Event.SUCCEED, attempt=fine, step=job.step
            )
            self._settling._store.settle(settlement, applied.set_result)
            await applied
        return await attempt(self, lane, job)

    Working._attempt = eager


def new_key_per_attempt() -> None:
    """Make the idempotency key of the attempt's number too."""
    key = Job.idempotency_key

    def fresh(self: Job, step: Any) -> str:
        return f"{key(self, step)}-{self.number}"

    Job.idempotency_key = fresh


def lost_retry_time() -> None:
    """Forget at a restart when the waiting runs are to be tried again."""
    recovering = recover.recover

    def forgetful(connection: sqlite3.Connection, *arguments: Any) -> int:
        freed = recovering(connection, *arguments)
        connection.execute("UPDATE runs SET due_at = NULL WHERE state = 3")
        return freed

    recover.recover = forgetful


def no_order_per_key() -> None:
    """Let a queued run start whatever of its key has not ended."""
    accept.unfinished = lambda *_: False


MUTANTS: Final[dict[str, Callable[[], None]]] = {
    "2xx before commit": answer_before_commit,
    "done before send": done_before_send,
    "new key per attempt": new_key_per_attempt,
    "lost retry time": lost_retry_time,
    "no order per key": no_order_per_key,
}

"""One request between its last byte and its answer. It knows neither connections nor bytes."""

import asyncio
from collections.abc import Callable

from service.ingest.desk import Desk, Storing
from triggers.base import Accepted, Reply


class Exchange:
    """Holds a request's place in the order of answers.

    `since` is when the request was complete; `bare` leaves the body away (HEAD); `close` makes it the last on
    its connection, `linger` with input possibly still coming.
    """

    __slots__ = ("_desk", "_settled", "_storing", "bare", "close", "linger", "reply", "since")

    def __init__(self, since: float, *, close: bool, bare: bool, linger: bool, reply: Reply | None) -> None:
        self.since = since
        self.close = close
        self.bare = bare
        self.linger = linger
        self.reply = reply

    def await_storing(self, storing: Storing, desk: Desk, settled: Callable[[], None]) -> None:
        """Take the answer when the batch is stored or could not be, and call `settled`."""
        self._storing = storing
        self._desk = desk
        self._settled = settled
        storing.future.add_done_callback(self._settle)

    def _settle(self, _: "asyncio.Future[Accepted]") -> None:
        reply = self._desk.settle(self._storing)
        if self.reply is None:  # else it took too long and was answered already
            self.reply = reply
            self._settled()

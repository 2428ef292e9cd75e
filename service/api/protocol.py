"""The connections of the admin listener: a bounded head, and a bounded time for a request to arrive.

uvicorn by itself waits for a request as long as its sender likes, whoever that is; and the protocol that it
would choose, on httptools, keeps headers of any size. What a request may do is no business of this file.
"""

import asyncio
from http import HTTPStatus
from typing import Final, cast

from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from service.api.problems import problem_document

HEAD_BYTES: Final = 64 * 1024
"""The largest request line with its headers."""


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 for clients without manners: what has not arrived in time is cut off."""

    patience = 20.0
    """Seconds from the connection, or a request's first byte, to the last byte of the request's body."""

    _cut: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self._watch()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def _watch(self) -> None:
        """Begin the time of a request that is arriving; end it for one that is all here."""
        cycle = self._last_cycle()
        if cycle is not None and not cycle.more_body and not cycle.response_complete:
            self._unwatch()
        elif self._cut is None and not self.transport.is_closing():
            self._cut = self.loop.call_later(self.patience, self.transport.close)

    def _last_cycle(self) -> RequestResponseCycle | None:
        return self.cycle  # None before the first request, whatever its type says

    def _unwatch(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None

    @override
    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or has too large a head, as everything is refused here."""
        cycle = self._last_cycle()
        if cycle is None or cycle.response_complete:
            status, slug, title = HTTPStatus.BAD_REQUEST, "bad-request", "The request cannot be read"
            detail = f"it is no HTTP/1.1, or its line and headers are larger than {HEAD_BYTES} bytes"
            body = problem_document(status, slug, title, detail)
            head = (
                f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/problem+json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode("ascii") + body)
        self.transport.close()

"""The engine of the hot path: pyreqwest (Rust's reqwest and hyper), one client per pinned address.

Its error classes lie: a refused connection, a cut after sending and a total time-out can all carry the name
"connect". What proves that nothing was sent is hyper's own cause, `client error (Connect)`; anything else
is unknown. A cancelled call goes on in the driver's thread until its deadline: it was unknown anyway.
"""

import time
from datetime import timedelta
from typing import Final

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import BuilderError, PoolTimeoutError, PyreqwestError
from pyreqwest.http import HeaderMap
from pyreqwest.request import StreamRequest
from pyreqwest.response import ResponseBodyReader
from typing_extensions import override

from actions.base import Answer
from actions.errors import ActionError, OutcomeUnknown, Refused, RetryLater
from actions.transport import Engine, EngineSettings, Request

_NOT_SENT: Final = "client error (Connect)"
_ABOUT_THE_URL: Final = "error sending request for url"  # holds the URL, which may hold a key
_UNREADABLE: Final = "\ufffd"  # stands for a header value that is no ASCII text
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_IDLE: Final = timedelta(seconds=30)


class PyreqwestEngine(Engine):
    """Sends through pyreqwest."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._clients: dict[str, Client] = {}
        self._closed = False

    @override
    async def send(self, request: Request, *, address: str, deadline: float, max_answer_bytes: int) -> Answer:
        started = time.perf_counter()
        if self._closed or deadline <= 0:
            raise RetryLater(f"{self.settings.name}: {'closed' if self._closed else 'no time left'}")
        client = self._clients.get(address) or self._connect(address)
        streamed = self._build(client, request, deadline)
        try:
            async with streamed as answer:
                body = await _read(answer.body_reader, max_answer_bytes)
                truncated = len(body) > max_answer_bytes
                return Answer(
                    status=answer.status,
                    headers=_headers(answer.headers),
                    body=body[:max_answer_bytes] if truncated else body,
                    truncated=truncated,
                    elapsed=time.perf_counter() - started,
                )
        except PyreqwestError as error:
            # Not `from error`: its text holds the URL, which may hold a key.
            raise judge(error, self.settings.name) from None

    @override
    def forget(self, address: str) -> None:
        # A dropped client lives on in the calls under way and closes its sockets after the last of them.
        self._clients.pop(address, None)

    @override
    async def close(self) -> None:
        self._closed = True
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()

    def _connect(self, address: str) -> Client:
        settings = self.settings
        builder = (
            ClientBuilder()
            .no_proxy()
            .follow_redirects(False)
            .http1_only()
            .referer(False)
            .default_cookie_store(False)
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .connect_timeout(timedelta(seconds=settings.connect_timeout))
            .pool_idle_timeout(_IDLE)
            .pool_max_idle_per_host(settings.in_flight)
            .runtime_multithreaded(False)
        )
        if settings.host.strip("[]") != address:
            builder = builder.resolve(settings.host, address, 0)  # port 0: the URL's
        try:
            if settings.ca_pem:
                builder = builder.add_root_certificate_pem(settings.ca_pem)
            if settings.identity_pem:
                builder = builder.identity_pem(settings.identity_pem)
            client = builder.build()
        except (PyreqwestError, ValueError):
            raise Refused(f"{settings.name}: the CA or client certificate cannot be read") from None
        self._clients[address] = client
        return client

    def _build(self, client: Client, request: Request, deadline: float) -> StreamRequest:
        try:
            builder = client.request(request.method, request.url).headers(request.headers)
            if request.body:
                builder = builder.body_bytes(request.body)
            elif request.method in _WITH_BODY:
                builder = builder.header("content-length", "0")  # the driver leaves it out (RFC 9110 §8.6)
            return builder.timeout(timedelta(seconds=deadline)).build_streamed()
        except (BuilderError, ValueError):
            raise Refused(f"{self.settings.name}: the method, URL or a header cannot be sent") from None


async def _read(reader: ResponseBodyReader, cap: int) -> bytes:
    """Return the body, at most one byte more than the cap."""
    first = await reader.read(cap + 1)
    if first is None:
        return b""
    body = bytes(first)
    while len(body) <= cap and (more := await reader.read(cap + 1 - len(body))) is not None:
        body += bytes(more)
    return body


def _headers(headers: HeaderMap) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(headers.items())
    except ValueError:  # one value is no ASCII text; the driver gives no bytes
        return tuple((name, _value(headers, name)) for name in headers)


def _value(headers: HeaderMap, name: str) -> str:
    try:
        return headers[name]
    except ValueError:
        return _UNREADABLE


def judge(error: PyreqwestError, name: str) -> ActionError:
    """Return our error for the driver's, as the cause chain proves it."""
    details = getattr(error, "details", None) or {}
    causes = [cause["message"] for cause in details.get("causes") or ()]
    told = [text for text in causes if not text.startswith((_ABOUT_THE_URL, "client error ("))]
    reason = (told[-1] if told else type(error).__name__)[:256]
    if isinstance(error, BuilderError):
        return Refused(f"{name}: the method, URL or a header cannot be sent")
    if isinstance(error, PoolTimeoutError) or _NOT_SENT in causes:
        return RetryLater(f"{name}: no connection: {reason}")
    return OutcomeUnknown(f"{name}: no whole answer: {reason}")

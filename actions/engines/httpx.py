"""The second engine: httpx's transport (no client, hence no cookies, redirects or proxies).

Slower than the first by far; there because one seam with two drivers behind it is a seam. The driver's trace
events say whether a byte of the request was written: that, not the class of the error, decides.
"""

import asyncio
import ssl
import time
from typing import Any, Final

import httpx
from typing_extensions import override

from actions.base import Answer
from actions.engines.tls import trust
from actions.errors import ActionError, OutcomeUnknown, Refused, RetryLater
from actions.transport import Engine, EngineSettings, Request

_WRITING: Final = "http11.send_request_headers.started"
_WRITTEN: Final = "http11.send_request_headers.complete"
_NEVER: Final = (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL)
_IDLE: Final = 30.0


class HTTPXEngine(Engine):
    """Sends through httpx."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._transport: httpx.AsyncHTTPTransport | None = None
        self._closed = False

    @override
    async def send(self, request: Request, *, address: str, deadline: float, max_answer_bytes: int) -> Answer:
        started = time.perf_counter()
        name = self.settings.name
        if self._closed or deadline <= 0:
            raise RetryLater(f"{name}: {'closed' if self._closed else 'no time left'}")
        if self._transport is None:
            self._transport = self._connect(tls=request.url.startswith("https:"))
        seen: list[str] = []
        try:
            outgoing = self._build(request, address, deadline, seen)
            async with asyncio.timeout(deadline):
                response = await self._transport.handle_async_request(outgoing)
                try:
                    body = await _read(response, max_answer_bytes)
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, TimeoutError, ValueError) as error:
            # Not `from error`: a driver's text may hold the URL, which may hold a key.
            raise judge(error, name, seen) from None
        return Answer(
            status=response.status_code,
            headers=tuple(
                (key.decode("latin-1").lower(), value.decode("latin-1"))
                for key, value in response.headers.raw
            ),
            body=body[:max_answer_bytes],
            truncated=len(body) > max_answer_bytes,
            elapsed=time.perf_counter() - started,
        )

    @override
    def forget(self, address: str) -> None:
        """Leave idle connections to their expiry: nothing is sent on them, for addresses are given."""

    @override
    async def close(self) -> None:
        self._closed = True
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    def _connect(self, *, tls: bool) -> httpx.AsyncHTTPTransport:
        settings = self.settings
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=settings.in_flight, keepalive_expiry=_IDLE
        )
        # Reading the system's authorities costs tens of milliseconds; an empty context trusts nobody.
        context = trust(settings) if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return httpx.AsyncHTTPTransport(
            verify=context, http1=True, http2=False, limits=limits, trust_env=False, retries=0
        )

    def _build(self, request: Request, address: str, deadline: float, seen: list[str]) -> httpx.Request:
        async def trace(event: str, _: Any) -> None:
            seen.append(event)

        url = httpx.URL(request.url)
        host = self.settings.host
        extensions: dict[str, Any] = {
            "trace": trace,
            "timeout": {"connect": min(deadline, self.settings.connect_timeout), "pool": deadline},
        }
        if host.strip("[]") != address:
            extensions["sni_hostname"] = host
        headers = [("Host", url.netloc.decode("ascii")), *request.headers]
        return httpx.Request(
            request.method,
            url.copy_with(host=address),
            headers=headers,
            content=request.body,
            extensions=extensions,
        )


async def _read(response: httpx.Response, cap: int) -> bytes:
    """Return the body as it came, at most one byte more than the cap."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > cap:
            break
    return bytes(body[: cap + 1])


def judge(error: Exception, name: str, seen: list[str]) -> ActionError:
    """Return our error for the driver's, as the events seen so far prove it."""
    reason = (str(error) or type(error).__name__)[:256]
    if isinstance(error, (*_NEVER, ValueError)) and _WRITTEN not in seen:
        return Refused(f"{name}: the method, URL or a header cannot be sent")
    if _WRITING not in seen:
        return RetryLater(f"{name}: no connection: {reason}")
    return OutcomeUnknown(f"{name}: no whole answer: {reason}")

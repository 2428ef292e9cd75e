"""A client without manners: it sends any bytes to the real instance and reads what comes back."""

import asyncio
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Self

import msgspec

from tests.end_to_end.instance import signed
from tests.fakes.ingest import Answer, read_answers
from tests.patience import PATIENCE


def request(
    body: bytes, headers: Mapping[str, str] | None = None, *, path: str = "/hooks/web", method: str = "POST"
) -> bytes:
    """Return the bytes of a request with a counted body; header values are sent as they are."""
    lines = [f"{method} {path} HTTP/1.1", "Host: hooks.example", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def genuine(body: bytes, **headers: str) -> bytes:
    """Return the bytes of a signed request."""
    return request(body, signed(body, f"evt_{uuid.uuid4().hex}", **headers))


class Wire:
    """One connection. It is closed with the block."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.writer.close()

    async def send(self, *pieces: bytes) -> bool:
        """Send; return whether the other side took all of it."""
        try:
            for piece in pieces:
                self.writer.write(piece)
                await self.writer.drain()
        except ConnectionError:
            return False
        return True

    async def answer(self) -> Answer:
        """Read one answer."""
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
            (answer,) = read_answers(head + await self.reader.readexactly(length))
            return answer

    async def rest(self) -> bytes:
        """Read until the other side closes."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


async def ask(port: int, raw: bytes) -> Answer:
    """Send one request on a connection of its own and return the answer."""
    async with Wire(port) as wire:
        await wire.send(raw)
        return await wire.answer()


async def timed(port: int, count: int) -> list[float]:
    """Send good webhooks one after the other, each on a new connection; return the seconds that each took."""
    took = []
    for number in range(count):
        raw = genuine(msgspec.json.encode({"good": number}))
        started = time.monotonic()
        answer = await ask(port, raw)
        took.append(time.monotonic() - started)
        assert answer.status == 202, answer
    return took


def high(times: Iterable[float]) -> float:
    """Return the 90th percentile: what a disk that others use holds up now and then is none of it."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.9))]

"""What the tests of the RabbitMQ source share: running one, a wire that can be cut, messages nobody can decode."""

import asyncio
import json
import os
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

from pamqp.commands import Basic
from typing_extensions import override

from service.demo.servers import LocalRabbitMQ
from tests.contract.source_contract import Footprint, Run
from tests.fakes.raw_backend import RawBackend, Talk
from tests.fakes.sources import Emitted, Reports, source_context
from tests.patience import PATIENCE
from tests.servers.rabbit_room import RabbitRoom
from triggers.message import TriggerMessage, decode_data
from triggers.rabbitmq import RabbitMQConfig, RabbitMQSource


def config(room: RabbitRoom, queue: str, **said: Any) -> RabbitMQConfig:
    """Return the configuration of a source of a queue."""
    return RabbitMQConfig.model_validate(
        {"kind": "rabbitmq", "url": room.plain_url, "queue": queue, "timeout": "5s", **said}
    )


@asynccontextmanager
async def opened(
    config: RabbitMQConfig,
    emitted: Emitted,
    *,
    name: str = "orders",
    reached: Callable[[str], None] | None = None,
) -> AsyncIterator[Run]:
    """Give an open source, not running; end and close it afterwards."""
    before = Footprint()
    source = RabbitMQSource(name, config)
    report = Reports()
    await source.open(
        source_context(emitted, name=name, report=report, **({} if reached is None else {"reached": reached}))
    )
    run = Run(source, report, emitted)
    try:
        yield run
    finally:
        await run.cancel(PATIENCE)
        await asyncio.wait_for(source.close(), PATIENCE)
        if run.task is not None and not run.task.cancelled():
            run.task.exception()
        await before.comes_back()


async def takes(config: RabbitMQConfig, emitted: Emitted, condition: Callable[[], bool], what: str) -> None:
    """Run a source until something holds of what it brought; a run that ends before is the failure."""
    async with opened(config, emitted) as run:
        run.start()
        await until(run, condition, what)


async def until(run: Run, condition: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
    """Wait until something holds of what a run brought; a run that ends before is the failure."""
    assert run.task is not None
    waiting = asyncio.ensure_future(run.emitted.until(condition, what, within))
    await asyncio.wait({waiting, run.task}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        run.task.result()
    await waiting


async def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until something holds that nobody tells."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE} s"
        await asyncio.sleep(0.01)


async def connected(run: Run) -> None:
    """Wait until a run consumes."""
    await asyncio.wait_for(run.report.connected.wait(), PATIENCE)


def bodies(count: int, start: int = 0) -> list[bytes]:
    """Return so many bodies with numbers."""
    return [json.dumps({"n": number}).encode() for number in range(start, start + count)]


def numbers(emitted: Emitted) -> list[int]:
    """Return the numbers that are stored, in order."""
    return [decode_data(item)["n"] for item in emitted.items if isinstance(item, TriggerMessage)]


async def publish(room: RabbitRoom, queue: str, count: int, start: int = 0) -> None:
    """Publish numbered messages, each with its own message_id, until all of them are confirmed.

    A quorum queue whose broker was killed in its first seconds may confirm nothing on the first connection.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            async with room.channel() as channel, asyncio.timeout(10):
                sending = [
                    channel.basic_publish(
                        body,
                        routing_key=queue,
                        properties=Basic.Properties(
                            message_id=f"m-{start + place}", content_type="application/json", delivery_mode=2
                        ),
                    )
                    for place, body in enumerate(bodies(count, start))
                ]
                await asyncio.gather(*sending)
                return
        except TimeoutError:
            assert time.monotonic() < deadline, "nothing is confirmed"


class Raw(Basic.Properties):
    """Properties as bytes: what no client library writes and every broker hands over."""

    def __init__(self, flags: int, raw: bytes) -> None:
        super().__init__(message_id="unused")
        self._raw = struct.pack(">H", flags) + raw

    @override
    def marshal(self) -> bytes:
        return self._raw


def undecodable() -> Sequence[Raw]:
    """Return properties at which the driver's own decoders raise."""
    flags = Basic.Properties.flags
    nested = b""
    for _ in range(2_000):
        nested = b"\x01kF" + struct.pack(">I", len(nested)) + nested
    return (
        Raw(flags["message_id"], b"\x03a\xffb"),
        Raw(flags["timestamp"], struct.pack(">Q", 1_767_323_045_123_456)),
        Raw(flags["headers"], struct.pack(">I", 4) + b"\x01\xfft\x01"),
        Raw(flags["headers"], struct.pack(">I", len(nested)) + nested),
    )


async def control(server: LocalRabbitMQ, *words: str) -> None:
    """Run `rabbitmqctl` on a node of the test's own."""
    done = await asyncio.to_thread(
        subprocess.run,
        ["/usr/lib/rabbitmq/bin/rabbitmqctl", *words],
        env={**os.environ, **server._environment()},
        capture_output=True,
        timeout=60,
        check=False,
        cwd=Path("/"),
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)


class Wire:
    """A proxy before a broker, whose connections can be cut, reset in the middle of a frame, or go silent."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._target = (host, port)
        self._tls = tls
        self._front = RawBackend(self._relay)
        self._listening = AsyncExitStack()
        self._pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.port = 0
        self.reset_after: int | None = None
        """Bytes from the broker after which a connection is reset; None: never."""

    async def __aenter__(self) -> Self:
        await self._listening.enter_async_context(self._front.listening(self._tls))
        self.port = self._front.port
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.reset()
        await self._listening.aclose()

    def silence(self) -> None:
        """Keep every connection and carry nothing any more, in no direction: half-open sockets."""
        self._flowing.clear()

    def speak(self) -> None:
        """Carry again."""
        self._flowing.set()

    def reset(self) -> None:
        """Reset all connections."""
        for pair in self._pairs:
            for writer in pair:
                plain = writer.get_extra_info("socket")
                if plain is not None and plain.fileno() >= 0:
                    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
        self._pairs.clear()

    async def _relay(self, talk: Talk) -> None:
        upstream, out = await asyncio.open_connection(*self._target)
        pair = (talk.writer, out)
        self._pairs.append(pair)
        try:
            await asyncio.gather(
                self._carry(talk.reader, out), self._carry(upstream, talk.writer, counted=True)
            )
        finally:
            out.close()
            if pair in self._pairs:
                self._pairs.remove(pair)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool = False
    ) -> None:
        seen = 0
        try:
            while chunk := await reader.read(4096):
                await self._flowing.wait()
                seen += len(chunk)
                if counted and self.reset_after is not None and seen > self.reset_after:
                    writer.write(chunk[: -1 - (seen - self.reset_after) % len(chunk)])
                    self.reset()
                    return
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

"""The ingest server on real loopback sockets, on uvloop as in production.

What can be shown without a socket is shown in the unit tests; here is what needs a kernel: that answers
survive a close, that floods cost little memory, that slow connections keep nobody out, that a stop is graceful.
"""

import asyncio
import resource
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import uvloop

from service.errors import Unavailable
from service.ingest import IngestServer, Limits
from tests.fakes.ingest import Answer, FakeHooks, chunked, read_answers, request
from tests.patience import PATIENCE


def on_uvloop(scene: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE):
            await scene()

    uvloop.run(bounded())


@dataclass
class Running:
    server: IngestServer
    hooks: FakeHooks
    skipped: float = 0.0
    """Seconds that the server's clock is ahead of ours."""

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.server.port)

    async def converse(self, *pieces: bytes) -> list[Answer]:
        """Send all pieces on one connection and read until the server closes it."""
        reader, writer = await self.open()
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return read_answers(await reader.read())
        finally:
            writer.close()


@asynccontextmanager
async def running(hooks: FakeHooks | None = None, limits: Limits | None = None) -> AsyncIterator[Running]:
    hooks = hooks or FakeHooks()
    house: Running
    server = IngestServer(
        hooks,
        limits or Limits(),
        report=lambda name, error: pytest.fail(f"{name}: {error}"),
        monotonic=lambda: time.monotonic() + house.skipped,
    )
    house = Running(server, hooks)
    await server.start("127.0.0.1", 0)
    try:
        yield house
    finally:
        await server.stop(1.0)


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    (answer,) = read_answers(head + await reader.readexactly(length))
    return answer


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the other end brings about; the scene's deadline bounds it."""
    while not condition():  # noqa: ASYNC110 # there is no event for what the kernel does
        await asyncio.sleep(0.005)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()


def test_serves_pipelined_requests_over_one_connection() -> None:
    async def scene() -> None:
        async with running() as house:
            answers = await house.converse(
                request(b"1") + chunked(b"2", b"3") + request(b"", method="GET"),
                request(b"4", "Connection: close"),
            )
        assert [answer.status for answer in answers] == [202, 202, 405, 202]
        assert [batch.items[0].data for _, batch in house.hooks.stored] == [b"1", b"23", b"4"]

    on_uvloop(scene)


def test_answers_in_order_though_stored_out_of_order() -> None:
    async def scene() -> None:
        async with running(FakeHooks(later=True)) as house:
            reader, writer = await house.open()
            writer.write(request(b"1") + request(b"2") + request(b"3"))
            await until(lambda: len(house.hooks.waiting) == 3)
            for index in (2, 0, 1):
                house.hooks.waiting[index].set_result(FakeHooks.accepted(index))
            answers = [await read_answer(reader) for _ in range(3)]
            writer.close()
        assert [answer.json["id"] for answer in answers] == ["msg_0_0", "msg_1_0", "msg_2_0"]

    on_uvloop(scene)


def test_a_thousand_pipelined_requests_are_all_answered_in_order() -> None:
    async def scene() -> None:
        hooks = FakeHooks(later=True)
        async with running(hooks) as house:
            reader, writer = await house.open()
            writer.write(b"".join(request(b"%d" % number) for number in range(1_000)))
            for number in range(1_000):
                await until(lambda number=number: len(hooks.waiting) > number)
                assert len(hooks.waiting) - number <= 16
                hooks.waiting[number].set_result(FakeHooks.accepted(number))
                assert (await read_answer(reader)).json == {"id": f"msg_{number}_0"}
            writer.close()
        assert [batch.items[0].data for _, batch in hooks.stored] == [
            b"%d" % number for number in range(1_000)
        ]

    on_uvloop(scene)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(b"x" * 10, "Content-Length: 11"), 400),
        (request(b"", "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
        (request().replace(b"\r\n", b"\n"), 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400),
        (request(b"", "Content-Length: 999999999"), 413),
        (request(b"", target="/" + "a" * 100_000), 414),
        (request(b"", *(f"X-{number}: y" for number in range(200))), 431),
        (request(b"1", "Expect: wonders"), 417),
        (request(b"1", "Content-Encoding: gzip"), 415),
        (request(b"1", target="/elsewhere"), 404),
        (request(b"1", method="PUT"), 405),
    ],
)
def test_a_refused_client_reads_the_answer_and_then_the_end(data: bytes, status: int) -> None:
    async def scene() -> None:
        async with running() as house:
            (answer,) = await house.converse(data)
        assert answer.status == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["connection"] == "close"

    on_uvloop(scene)


def test_the_answer_to_a_body_that_is_too_large_survives_the_upload() -> None:
    async def scene() -> None:
        async with running(limits=Limits(linger_time=timedelta(seconds=10))) as house:
            reader, writer = await house.open()
            writer.write(request(b"", f"Content-Length: {100 << 20}"))
            before = resident_bytes()
            for _ in range(200):
                writer.write(b"x" * 100_000)
                await writer.drain()
            (answer,) = read_answers(await reader.read())
            assert answer.status == 413
            assert resident_bytes() - before < 20 << 20
            writer.close()

    on_uvloop(scene)


def test_a_hundred_megabytes_of_headers_are_refused_and_cost_no_memory() -> None:
    async def scene() -> None:
        async with running(limits=Limits(connections_per_peer=2_000)) as house:
            line = b"X-Filler: " + b"y" * 990 + b"\r\n"
            flood = b"POST /hooks/x HTTP/1.1\r\n" + line * 100
            before, sent = resident_bytes(), 0
            while sent < 100 << 20:
                reader, writer = await house.open()
                for _ in range(100):
                    writer.write(flood)
                    await writer.drain()
                    sent += len(flood)
                (answer,) = read_answers(await reader.read())
                assert answer.status == 431
                writer.close()
            assert resident_bytes() - before < 20 << 20
            assert house.server.held_bytes == 0
            (answer,) = await house.converse(request(b"1", "Connection: close"))
            assert answer.status == 202

    on_uvloop(scene)


def test_slow_connections_do_not_slow_the_good_ones() -> None:
    """As many drip as may be open at all; new and old good senders are served all the while."""

    async def scene() -> None:
        limits = Limits(connections=300, connections_per_peer=300)
        async with running(limits=limits) as house:
            reader, writer = await house.open()
            slow = [await house.open() for _ in range(299)]
            for _, dripping in slow:
                dripping.write(b"POST /hooks/x HTTP/1.1\r\nX-Slow:")
            await until(lambda: house.server.held_bytes >= 299 * 30)
            took: list[float] = []
            for number in range(400):
                for _, dripping in slow[number % 299 :][:1]:
                    if not dripping.is_closing():
                        dripping.write(b" y")
                began = time.perf_counter()
                writer.write(request(b"%d" % number))
                assert (await read_answer(reader)).status == 202
                took.append(time.perf_counter() - began)
            house.skipped = 2.0
            for _ in range(50):
                (answer,) = await house.converse(request(b"new", "Connection: close"))
                assert answer.status == 202
            assert sorted(took)[200] < 0.1  # every other one: others use the machine too
            assert house.server.connections <= 300
            assert house.server.counters.evicted >= 1
            for _, dripping in slow:
                dripping.close()
            writer.close()

    on_uvloop(scene)


def test_connections_over_the_limit_are_told_so_and_never_pile_up() -> None:
    async def scene() -> None:
        async with running(limits=Limits(connections=20, connections_per_peer=100)) as house:
            pairs = [await house.open() for _ in range(60)]
            await until(lambda: house.server.counters.refused == 40)
            assert house.server.connections == 20
            statuses = [read_answers(await reader.read())[0].status for reader, _ in pairs[20:]]
            assert statuses == [503] * 40
            for _, writer in pairs:
                writer.close()
            await until(lambda: house.server.connections == 0)

    on_uvloop(scene)


def test_the_sweep_runs_by_itself() -> None:
    async def scene() -> None:
        limits = Limits(head_time=timedelta(milliseconds=100))
        async with running(limits=limits) as house:
            dripping, quiet = house.converse(b"POST /hooks/x HTTP/1.1\r\nX-"), house.converse()
            answers, nothing = await asyncio.gather(dripping, quiet)
        assert [answer.status for answer in answers] == [408]
        assert nothing == []

    on_uvloop(scene)


def test_invites_a_body_and_takes_it() -> None:
    async def scene() -> None:
        async with running() as house:
            reader, writer = await house.open()
            data = request(b"abc", "Expect: 100-continue")
            writer.write(data[:-3])
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(data[-3:])
            assert (await read_answer(reader)).status == 202
            writer.close()

    on_uvloop(scene)


def test_a_client_that_ends_its_side_gets_its_answer() -> None:
    async def scene() -> None:
        hooks = FakeHooks(later=True)
        async with running(hooks) as house:
            reader, writer = await house.open()
            writer.write(request(b"1"))
            writer.write_eof()
            await until(lambda: len(hooks.waiting) == 1)
            hooks.waiting[0].set_result(FakeHooks.accepted(0))
            (answer,) = read_answers(await reader.read())
            writer.close()
        assert answer.status == 202

    on_uvloop(scene)


def test_a_client_that_resets_the_connection_harms_nobody() -> None:
    async def scene() -> None:
        hooks = FakeHooks(later=True)
        async with running(hooks) as house:
            for _ in range(20):
                _, writer = await house.open()
                writer.write(request(b"1"))
                await writer.drain()
                reset = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                await until(lambda: house.server.connections == 1)
                await until(lambda: house.server.counters.requests == len(hooks.waiting) > 0)
                writer.transport.abort()
                await until(lambda: house.server.connections == 0)
            for number, future in enumerate(hooks.waiting):
                future.set_result(FakeHooks.accepted(number))
            hooks.later = False
            (answer,) = await house.converse(request(b"1", "Connection: close"))
            assert answer.status == 202
            assert len(hooks.stored) == 21
            assert house.server.counters.unanswered == 20

    on_uvloop(scene)


def test_a_client_that_never_reads_is_read_no_more_and_cut_off() -> None:
    async def scene() -> None:
        async with running() as house:
            _, writer = await house.open()
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            flood = request(b"", target="/" + "x" * 20) * 200
            with pytest.raises(TimeoutError):
                while True:
                    writer.write(flood)
                    async with asyncio.timeout(0.3):
                        await writer.drain()
            house.skipped = 11.0
            house.server.sweep()
            await until(lambda: house.server.connections == 0)
            assert house.server.counters.timed_out == 1
            writer.transport.abort()

    on_uvloop(scene)


def test_a_stop_answers_what_is_in_work_and_takes_no_more() -> None:
    async def scene() -> None:
        hooks = FakeHooks(later=True)
        async with running(hooks) as house:
            idle_reader, idle = await house.open()
            reader, writer = await house.open()
            writer.write(request(b"1"))
            await until(lambda: len(hooks.waiting) == 1 and house.server.connections == 2)
            port = house.server.port
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(house.server.stop(5.0))
                assert await idle_reader.read() == b""
                with pytest.raises(ConnectionError):
                    await asyncio.open_connection("127.0.0.1", port)
                hooks.waiting[0].set_result(FakeHooks.accepted(0))
                (answer,) = read_answers(await reader.read())
                assert answer.status == 202
                assert answer.headers["connection"] == "close"
                for each in (idle, writer):
                    each.close()
            assert house.server.connections == 0

    on_uvloop(scene)


def test_a_stop_cuts_off_what_outlasts_its_grace() -> None:
    async def scene() -> None:
        async with running(FakeHooks(later=True)) as house:
            reader, writer = await house.open()
            writer.write(request(b"1"))
            await until(lambda: house.server.counters.requests == 1)
            await house.server.stop(0.05)
            assert house.server.connections == 0
            assert await reader.read() == b""
            writer.close()
            await house.server.stop(0.05)

    on_uvloop(scene)


@pytest.mark.parametrize("turns", range(5))
def test_a_stop_leaves_nobody_behind_whom_it_was_just_accepting(turns: int) -> None:
    async def scene() -> None:
        async with running() as house:
            with socket.create_connection(("127.0.0.1", house.server.port)) as client:
                client.setblocking(False)
                for _ in range(turns):
                    await asyncio.sleep(0)
                await house.server.stop(PATIENCE)
                async with asyncio.timeout(PATIENCE):
                    with suppress(ConnectionError):
                        assert await asyncio.get_running_loop().sock_recv(client, 1) == b""

    on_uvloop(scene)


def test_an_address_that_is_taken_is_a_clear_error() -> None:
    async def scene() -> None:
        async with running() as house:
            other = IngestServer(FakeHooks(), Limits(), report=lambda *_: None)
            with pytest.raises(Unavailable, match=f"127.0.0.1:{house.server.port}: .*another instance"):
                await other.start("127.0.0.1", house.server.port)
            with pytest.raises(Unavailable):
                _ = other.port
            await other.stop(0)

    on_uvloop(scene)


def test_it_runs_on_the_plain_loop_too() -> None:
    async def scene() -> None:
        async with running() as house:
            answers = await house.converse(request(b"1"), chunked(b"2", fields=("Connection: close",)))
            (refused,) = await house.converse(request(b"", "Content-Length: 999999999") + b"x" * 100_000)
        assert [answer.status for answer in answers] == [202, 202]
        assert refused.status == 413

    asyncio.run(scene())

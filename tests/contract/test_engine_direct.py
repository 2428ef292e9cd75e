import asyncio
import contextlib
import os
import resource

import pytest

from actions.errors import RetryLater
from tests.contract.engine_contract import HOST, EngineContract, answering, full_listener, post, serving
from tests.fakes.raw_backend import Talk
from tests.patience import PATIENCE


@contextlib.contextmanager
def many_descriptors():
    """Take more descriptors than `select` can look at."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] < 2048:
        pytest.skip("this process may not have so many descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 2048), limits[1]))
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(1024)]
    try:
        yield
    finally:
        for one in taken:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


class TestDirectEngine(EngineContract):
    kind = "direct"

    async def test_a_deadline_that_passes_while_connecting_was_not_sent(self):
        with full_listener() as port:
            async with self.engine(connect_timeout=5.0) as engine:
                with pytest.raises(RetryLater):
                    await self.send(engine, post(f"http://{HOST}:{port}/x"), deadline=0.2)

    async def test_what_a_backend_says_unasked_is_no_answer(self):
        said = asyncio.Event()

        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.answer(b"mine")
            await talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nyours")
            said.set()
            await answering(talk)

        async with serving(script) as backend, self.engine() as engine:
            assert (await self.send(engine, post(backend.url()))).body == b"mine"
            await asyncio.wait_for(said.wait(), PATIENCE)
            assert (await self.send(engine, post(backend.url()))).body != b"yours"

    async def test_a_head_and_a_large_body_in_few_pieces_are_an_answer(self):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(b"HTTP/1.1 200 OK\r\nContent-Le")
            await talk.say(b"ngth: 900000\r\n\r\n" + b"x" * 900_000)

        assert len((await self.once(script)).body) == 900_000

    async def test_fields_behind_the_body_are_left_aside(self):
        async def script(talk: Talk) -> None:
            await talk.request()
            await talk.say(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Late: 1\r\n\r\n"
            )

        answer = await self.once(script)
        assert (answer.body, answer.header("x-late")) == (b"ok", None)

    async def test_a_connection_that_rested_is_looked_at_beyond_the_thousandth_descriptor(self, monkeypatch):
        monkeypatch.setattr("actions.engines.direct._LOOKED", -1.0)
        with many_descriptors():
            async with serving(answering) as backend, self.engine() as engine:
                for _ in range(2):
                    assert (await self.send(engine, post(backend.url()))).status == 200
                assert backend.connections == 1

"""The webhook source keeps what every source promises, behind the real ingest server on the loopback.

An HttpSource has nothing to run: here `Served` runs the server for one of them and hands each batch to `emit`, as the
service does. The outside is a sender that brings everything in order until it gets a final answer.
"""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from typing_extensions import override

from service.errors import Unavailable
from service.ingest import IngestServer, Limits
from tests.contract.source_contract import Outside, SourceContract
from tests.fakes.sources import entry
from tests.patience import PATIENCE
from triggers.base import (
    Accepted,
    Batch,
    Emit,
    Finding,
    HttpSource,
    Progress,
    Source,
    SourceConfig,
    SourceContext,
)
from triggers.errors import NotStored, SourceUnavailable
from triggers.presets import sign
from triggers.webhook import WebhookConfig, WebhookSource

SECRET = "whsec_" + base64.b64encode(b"contract-contract-contract-contract").decode("ascii")


class Sender(Outside):
    """A provider: signs, sends one after the other, and sends again until it is answered for good."""

    credentials = (SECRET,)
    crash_points = ("ingest.before_answer",)

    def __init__(self) -> None:
        self.waiting: list[tuple[str, bytes]] = []
        self.stirred = asyncio.Event()
        self.port = 0
        self.up = asyncio.Event()

    @override
    def config(self, **changes: Any) -> SourceConfig:
        verify = {"scheme": "standard-webhooks", "secrets": [SECRET]}
        return WebhookConfig.model_validate({"kind": "webhook", "verify": verify, **changes})

    @override
    async def bring(self, count: int) -> list[str]:
        tokens = self.tokens(count)
        self.waiting += [(f"evt_{token}", entry(token)) for token in tokens]
        self.stirred.set()
        return tokens

    @override
    async def bring_bad(self) -> bytes:
        self.waiting.append(("evt_bad", b'{"n": '))
        self.stirred.set()
        return b'{"n": '

    @override
    async def unacknowledged(self) -> int:
        return len(self.waiting)

    async def send(self) -> None:
        """Send for ever."""
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
            while True:
                while not self.waiting:
                    self.stirred.clear()
                    await self.stirred.wait()
                await self.up.wait()
                port, (name, body) = self.port, self.waiting[0]
                headers = {
                    "content-type": "application/json",
                    "connection": "close",
                    **sign("standard-webhooks", SECRET, body, now=time.time(), id=name),
                }
                try:
                    answer = await client.post(
                        f"http://127.0.0.1:{port}/hooks/orders", content=body, headers=headers
                    )
                except httpx.TransportError:
                    self.down(port)
                    continue
                if answer.status_code < 500:
                    self.waiting.pop(0)
                else:
                    self.down(port)

    def serve(self, port: int) -> None:
        """Send to this port from now on."""
        self.port = port
        self.up.set()

    def down(self, port: int) -> None:
        """Wait for the next server, unless it is there already."""
        if self.port == port:
            self.up.clear()


class Desk:
    """The hooks of one source: each batch is emitted, and what became of it is the answer."""

    ready = True

    def __init__(self, source: HttpSource[Any], emit: Emit, context: SourceContext) -> None:
        self._source = source
        self._emit = emit
        self._context = context
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tasks: set[asyncio.Task[None]] = set()

    def source(self, name: str) -> HttpSource[Any] | None:
        """Return the one there is."""
        return self._source if name == self._source.name else None

    def accept(self, source: str, batch: Batch) -> "asyncio.Future[Accepted]":
        """Store a batch; nobody waits with the answer any more when it is done."""
        del source
        future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._store(batch, future))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return future

    async def _store(self, batch: Batch, future: "asyncio.Future[Accepted]") -> None:
        try:
            accepted = await self._emit(batch.items)
            self._context.reached("ingest.before_answer")
        except asyncio.CancelledError:
            future.cancel()
            raise
        except NotStored as error:
            future.set_exception(Unavailable(str(error)))
            self.failed.set_exception(error)
        except BaseException as crash:  # what the crash point raises: the sender gets no answer
            if self.failed.done():
                return
            self.failed.set_exception(crash)
        else:
            future.set_result(accepted)


class Served(Source[Any]):
    """A webhook source with the server that it has in the service."""

    def __init__(self, inner: HttpSource[Any], sender: Sender) -> None:
        super().__init__(inner.name, inner.config)
        self.inner = inner
        self.kind = inner.kind  # type: ignore[misc]  # that of the source behind it
        self.sender = sender
        self.closing: asyncio.Event | None = None
        self.stopping: asyncio.Task[None] | None = None

    @override
    def review(self) -> list[Finding]:
        return self.inner.review()

    @override
    async def open(self, context: SourceContext) -> None:
        self.context = context
        self.closing = asyncio.Event()
        await self.inner.open(context)

    @override
    async def check(self) -> list[Finding]:
        return await self.inner.check()

    @override
    async def progress(self) -> Progress:
        return await self.inner.progress()

    @override
    async def run(self, emit: Emit) -> None:
        assert self.closing is not None
        await self.inner.run(emit)
        desk = Desk(self.inner, emit, self.context)
        faults: list[BaseException] = []
        server = IngestServer(desk, Limits(), report=lambda _name, error: faults.append(error))
        await server.start("127.0.0.1", 0)
        self.sender.serve(server.port)
        self.context.report.running()
        closing = asyncio.create_task(self.closing.wait())
        try:
            await asyncio.wait([closing, desk.failed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            closing.cancel()
            for task in desk.tasks:
                task.cancel()
            failed = desk.failed.exception() if desk.failed.done() else None
            grace = 1.0 if isinstance(failed, NotStored) else 0.0
            self.stopping = asyncio.create_task(server.stop(grace))
            await asyncio.shield(self.stopping)  # a cancel in here must not leave half a server
        assert faults == []
        raise failed or SourceUnavailable("closed")

    @override
    async def close(self) -> None:
        if self.closing is not None:
            self.closing.set()
        if self.stopping is not None:
            await self.stopping
        await self.inner.close()


class TestWebhookSource(SourceContract):
    @pytest.fixture
    async def outside(self) -> AsyncIterator[Sender]:
        self.sender = Sender()
        sending = asyncio.create_task(self.sender.send())
        yield self.sender
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending

    @override
    def make(self, name: str, config: SourceConfig) -> Source[Any]:
        assert isinstance(config, WebhookConfig)
        return Served(WebhookSource(name, config), self.sender)

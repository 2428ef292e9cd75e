"""The poll source keeps what every source promises, over real calls to a backend on the loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from typing_extensions import override

from actions.auth import read_auth
from actions.egress import read_egress
from actions.http import HTTPConnector
from actions.specs import read_spec
from service.connections import BreakerPolicy, Connection, Limits
from service.polling import make_call
from service.rules.model import Pin
from service.usecases.checking import compile_for_source
from tests.contract.source_contract import Outside, SourceContract
from tests.end_to_end.backend import Act, Backend, Call
from triggers.base import Polled, Source, SourceConfig
from triggers.poll import PollConfig, PollSource

SPEC = read_spec(
    {
        "orders.yaml": b"""
openapi: 3.0.3
info: {title: Orders, version: "1"}
servers: [{url: "http://127.0.0.1:1"}]
security: [{key: []}]
paths:
  /orders: {get: {operationId: list, responses: {"200": {description: ok}}}}
components: {securitySchemes: {key: {type: http, scheme: bearer}}}
"""
    }
)
TOKEN = "t0ken-of-the-orders"


class Orders(Outside):
    """A backend that lists its orders, the newest first; connection `gone` leads to a port where nobody listens."""

    credentials = (TOKEN,)
    crash_points = ("poll.answered", "poll.stored")
    restartable = True
    expression = staticmethod(compile_for_source)

    def __init__(self) -> None:
        self.backend = Backend(decide=self._answer)
        self.items: list[bytes] = []
        self.call = self

    def _answer(self, call: Call) -> Act:
        authorized = call.headers.get("authorization") == f"Bearer {TOKEN}"
        return Act(status=200 if authorized else 401, body=b"[" + b",".join(reversed(self.items)) + b"]")

    @override
    def config(self, **changes: Any) -> SourceConfig:
        said = {"kind": "poll", "call": "shop.list", "every": "1s", "item_id": "item.id", "first": "emit"}
        return PollConfig.model_validate({**said, **changes})

    @override
    def unreachable(self) -> SourceConfig:
        return self.config(call="gone.list")

    @override
    async def bring(self, count: int) -> list[str]:
        tokens = self.tokens(count)
        self.items += [json.dumps({"id": token, "n": token}).encode() for token in tokens]
        return tokens

    @override
    async def bring_bad(self) -> bytes:
        self.items.append(b'{"n": "without an id"}')
        return self.items[-1]

    @override
    async def stop(self) -> None:
        await self.backend.die()

    @override
    async def start(self) -> None:
        await self.backend.revive()

    # A connector for each call, closed behind it: what the contract counts are the sockets of the source.

    async def __call__(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Polled:
        port = self.backend.port if operation.startswith("shop.") else 1
        connector = HTTPConnector(
            "shop",
            SPEC,
            server=f"http://127.0.0.1:{port}",
            auth=read_auth({"bearer": TOKEN}, SPEC.security_schemes),
            egress=read_egress(("127.0.0.1",)),
            engine="direct",  # it closes its sockets when it is told to, also in the middle of a call
        )
        try:
            call = make_call(
                lambda name: connection(name, connector),
                lambda _name: Pin("", SPEC),
                freed=lambda _name: None,
            )
            return await call(operation, arguments, query=query, headers=headers)
        finally:
            await connector.close()

    def changes_nothing(self, operation: str) -> bool:
        return operation.endswith(".list")


def connection(name: str, connector: HTTPConnector) -> Connection:
    return Connection(
        name,
        1,
        limits=Limits(),
        breaker=BreakerPolicy(),
        connector_for=lambda _pin: connector,
        digest="",
        now=0.0,
    )


class TestPollSource(SourceContract):
    @pytest.fixture
    async def outside(self) -> AsyncIterator[Orders]:
        orders = Orders()
        await orders.backend.open()
        yield orders
        await orders.backend.close()

    @override
    def make(self, name: str, config: SourceConfig) -> Source[Any]:
        assert isinstance(config, PollConfig)
        return PollSource(name, config, wait=lambda _seconds: asyncio.sleep(0.02))

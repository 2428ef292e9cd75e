"""An instance without listeners: the real store, intake, dispatcher and API, a scripted backend, no socket."""

import asyncio
import base64
import contextlib
import functools
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from actions.base import Answer
from service.api.server import create_app
from service.app import Service
from service.connections import BreakerPolicy, Connection, Limits
from service.settings import Settings
from tests.fakes.connector import ScriptedConnector
from triggers.base import HttpRequest

SECRET = "whsec_" + base64.b64encode(b"canary-of-the-webhooks-secret-01").decode("ascii")
ENVIRONMENT = {
    "HOOK_SECRET": SECRET,
    "BEARER": "canary-bearer-token",
    "KEY": "canary-api-key",
    "PASSWORD": "canary-password",
}
BASE = "http://127.0.0.1:8081"

SPEC = {
    "openapi": "3.0.3",
    "info": {"title": "shop", "version": "1"},
    "paths": {
        "/orders": {
            "post": {
                "operationId": "order",
                "parameters": [{"name": "q", "in": "query", "schema": {"type": "string"}}],
                "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
                "responses": {"200": {"description": "ok"}},
            }
        }
    },
    "components": {
        "securitySchemes": {"key": {"type": "apiKey", "in": "query", "name": "api_key"}},
    },
}

CONFIGURATION: dict[str, Any] = {
    "sources": {
        "open": {"kind": "webhook", "verify": {"scheme": "none"}, "type": "data.type", "id": "data.id"},
        "signed": {
            "kind": "webhook",
            "verify": {"scheme": "standard-webhooks", "secrets": [{"env": "HOOK_SECRET"}]},
        },
    },
    "connectors": {"shop": {"spec": "shop.json"}},
    "connections": {
        "shop": {
            "connector": "shop", "server": "http://127.0.0.1:1", "egress": ["127.0.0.1"],
            "auth": {"bearer": {"env": "BEARER"}},
        },
        "keyed": {
            "connector": "shop", "server": "http://127.0.0.1:1", "egress": ["127.0.0.1"],
            "auth": {"api_key": {"env": "KEY"}, "in": "query", "name": "api_key"},
        },
        "basic": {
            "connector": "shop", "server": "http://127.0.0.1:1", "egress": ["127.0.0.1"],
            "auth": {"basic": {"username": "shop", "password": {"env": "PASSWORD"}}},
        },
    },
    "rules": {
        "paid": {
            "from": ["open"],
            "match": {"type": ["paid"], "data": {"total": [{"numeric": [">=", 100]}]}},
            "when": 'data.currency == "EUR"',
            "do": [{"call": "shop.order", "with": {"body": {"id": "${data.id}"}}, "on_unknown": "dead"}],
        },
        "refunded": {
            "match": {"type": ["refunded"]},
            "do": [{"call": "shop.order", "with": {"body": {"id": "${data.id}"}}, "on_unknown": "dead"}],
        },
    },
}  # fmt: skip


@functools.cache
def _application(hosts: tuple[str, ...]) -> FastAPI:
    """Return the one application of all houses: making it and its first answers takes longer than most tests."""
    nobody: Any = None
    return create_app(nobody, nobody, hosts)


class House:
    """The instance, and clients for its API by role."""

    def __init__(self, service: Service, connector: ScriptedConnector) -> None:
        self.service = service
        self.connector = connector
        self.app = _application(service.settings.admin_hosts)
        self.tokens: dict[str, str] = {}
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self._serve, raise_app_exceptions=False), base_url=BASE
        )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as this house; one test asks one house at a time."""
        self.app.state.desk, self.app.state.tokens = self.service.desk, self.service.tokens
        await self.app(scope, receive, send)

    async def ask(
        self,
        method: str,
        path: str,
        role: str | None = "admin",
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Ask the API with the token of a role; None: with none."""
        said = {} if role is None else {"authorization": f"Bearer {self.tokens[role]}"}
        return await self.client.request(method, path, headers={**said, **(headers or {})}, **more)

    async def get(self, path: str, role: str = "reader", **query: Any) -> Any:
        """Return what a resource says, seen that it went well."""
        answer = await self.ask("GET", path, role, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def send(self, body: Any, source: str = "open") -> None:
        """Bring a message in as the webhook does."""
        request = HttpRequest(
            method="POST",
            target=f"/hooks/{source}",
            path=f"/hooks/{source}",
            query="",
            headers=(("content-type", "application/json"), ("authorization", "canary-sent-along")),
            body=body if isinstance(body, bytes) else json.dumps(body).encode(),
            peer="127.0.0.1",
            scheme="http",
            host="127.0.0.1",
            now=time.time(),
        )
        batch = self.service.hooks.sources[source].receive(request)
        await self.service.hooks.accept(source, batch)

    async def settled(self) -> None:
        """Wait until nothing is under way any more; the store tells nobody when it changes."""
        deadline = time.monotonic() + 10
        while await self._under_way():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)

    async def _under_way(self) -> bool:
        counts = await self.service.store.counts()
        return bool(counts.get("running") or counts.get("pending"))


def write(folder: Path, configuration: dict[str, Any] = CONFIGURATION) -> Path:
    """Write the configuration's files and return the path of the first."""
    (folder / "shop.json").write_text(json.dumps(SPEC), "utf-8")
    path = folder / "pointsman.yaml"
    path.write_text(json.dumps(configuration), "utf-8")
    return path


@contextlib.asynccontextmanager
async def house(folder: Path, *, loaded: bool = True) -> AsyncIterator[House]:
    """Open a house over a folder: one message delivered, one dead, one unmatched, and one reject."""
    settings = Settings(config=write(folder), data=folder / "data")
    service = Service(settings, ENVIRONMENT)
    connector = ScriptedConnector(_script)
    await service.store.open()
    dispatching = None
    try:
        await service._restore()
        made = House(service, connector)
        for role in ("reader", "operator", "admin"):
            made.tokens[role] = (await service.tokens.make(role, role, now=1, by="test"))["token"]
        if loaded:
            await service.reload()
            await use_script(service, connector)
            dispatching = asyncio.create_task(service.dispatch.run())
            await made.send({"id": "1", "type": "paid", "total": 120, "currency": "EUR"})
            await made.send({"id": "2", "type": "refunded"})
            await made.send({"id": "3", "type": "paid", "total": 5, "currency": "EUR"})
            await made.send(b"\xff\x00 no json")
            await made.settled()
        yield made
    finally:
        if dispatching is not None:
            await service.dispatch.stop(5.0)
            dispatching.cancel()
            await asyncio.gather(dispatching, return_exceptions=True)
        await made.client.aclose()
        await service.store.close()
        for one in service.backends._connectors.values():
            await one.close()


def _script(_number: int, prepared: Any) -> Answer:
    if b'"2"' in prepared.request:
        return Answer(status=422, headers=(("content-type", "application/json"),), body=b'{"why":"no"}')
    return Answer(status=200, body=b'{"id": 7}')


async def use_script(service: Service, connector: ScriptedConnector) -> None:
    """Let the connection `shop` end in the script."""
    others = [one for one in service.dispatch.connections() if one.name != "shop"]
    shop = Connection(
        "shop",
        await service.store.number("lane", "shop"),
        limits=Limits(),
        breaker=BreakerPolicy(failures=1000),
        connector_for=lambda _pin: connector,
        digest="scripted",
        now=0.0,
    )
    service.dispatch.use([shop, *others])

"""A real instance of the service on free loopback ports, with a configuration folder of its own.

In this process (`instance`), or as the real command in a process of its own (`process`). What it did is seen as people
see it: through the use cases behind the API, or through the API.
"""

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from service.app import Service
from service.settings import Settings
from service.usecases import deliveries
from tests.patience import PATIENCE
from triggers.presets import sign

SECRET = "whsec_" + base64.b64encode(b"end-to-end-end-to-end-end-to-end").decode("ascii")
ENVIRONMENT = {"HOOK_SECRET": SECRET, "BACKEND_TOKEN": "token-of-the-backend"}
RETRY = {"for": "30s", "first": "10ms", "max": "40ms"}
"""Fast retries: the tests wait for them."""

WEB = {
    "kind": "webhook",
    "verify": {"scheme": "standard-webhooks", "secrets": [{"env": "HOOK_SECRET"}]},
}
OPEN = {"kind": "webhook", "verify": {"scheme": "none"}}


def _operation(name: str, *parameters: dict[str, Any], body: bool = True) -> dict[str, Any]:
    made: dict[str, Any] = {"operationId": name, "responses": {"200": {"description": "ok"}}}
    if body:
        made["requestBody"] = {"content": {"application/json": {"schema": {}}}}
    if parameters:
        made["parameters"] = list(parameters)
    return made


def _text(name: str, place: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "schema": {"type": "string"}}


SPEC: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "scripted", "version": "1"},
    "paths": {
        "/one": {"post": _operation("one")},
        "/two": {"post": _operation("two")},
        "/items/{item}": {
            "put": _operation(
                "putItem",
                _text("item", "path", required=True),
                _text("q", "query"),
                _text("X-Note", "header"),
                _text("crumb", "cookie"),
            )
        },
        "/get": {"get": _operation("get", body=False)},
    },
}


def connection(url: str, **more: Any) -> dict[str, Any]:
    """Return a connection to a backend. Its breaker does not open by itself and retries stay within a test's time."""
    return {
        "connector": "shop",
        "server": url,
        "egress": ["127.0.0.1"],
        "breaker": {"failures": 1000},
        "limits": {"timeout": "5s"},
        **more,
    }


def step(call: str = "shop.one", **more: Any) -> dict[str, Any]:
    """Return a step that sends the message's data."""
    return {"call": call, "with": {"body": "${data}"}, "retry": RETRY, **more}


def document(
    url: str,
    *,
    rules: Mapping[str, Any] | None = None,
    connections: Mapping[str, Any] | None = None,
    sources: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a configuration: by default every message of `web` goes to operation `one` of `shop`."""
    return {
        "sources": dict(sources or {"web": WEB}),
        "connectors": {"shop": {"spec": "shop.json"}},
        "connections": dict(connections or {"shop": connection(url)}),
        "rules": dict(rules if rules is not None else {"all": {"from": ["web"], "do": [step()]}}),
    }


def write_configuration(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write a configuration (JSON is YAML) and its description into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shop.json").write_text(json.dumps(SPEC), "utf-8")
    path = folder / "pointsman.yaml"
    path.write_text(json.dumps(content), "utf-8")
    return path


def signed(body: bytes, name: str, **headers: str) -> dict[str, str]:
    """Return the headers of a genuine webhook for the source `web`."""
    return {
        "content-type": "application/json",
        **sign("standard-webhooks", SECRET, body, now=time.time(), id=name),
        **{key.replace("_", "-"): value for key, value in headers.items()},
    }


async def until(
    looks_right: Callable[[], Any | Awaitable[Any]], what: str = "it", within: float = PATIENCE
) -> Any:
    """Look until there is something to see, and return it; the store tells nobody when it changes."""
    deadline = time.monotonic() + within
    while True:
        found = looks_right()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not happen within {within} s"
        await asyncio.sleep(0.01)


@dataclass
class Instance:
    """A running service in this process, and a client for it."""

    folder: Path
    service: Service
    client: httpx.AsyncClient
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where webhooks go."""
        return f"http://127.0.0.1:{self.service.ingest.port}"

    async def post(
        self, body: bytes, *, name: str = "", source: str = "web", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send a signed webhook and return the answer."""
        name = name or f"evt_{uuid.uuid4().hex}"
        return await self.client.post(
            f"{self.url}/hooks/{source}", content=body, headers={**signed(body, name), **(headers or {})}
        )

    async def send(self, data: Any = None, **more: Any) -> str:
        """Send a signed webhook, see it accepted, and return the message's id."""
        body = data if isinstance(data, bytes) else msgspec.json.encode({} if data is None else data)
        answer = await self.post(body, **more)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def deliveries(self, **more: Any) -> list[dict[str, Any]]:
        """Return deliveries as people see them, newest first."""
        page = await deliveries.list_deliveries(self.service.desk, limit=500, **more)
        return list(page["items"])

    async def show(self, delivery: str) -> dict[str, Any]:
        """Return one delivery with its attempts."""
        return await deliveries.show_delivery(self.service.desk, delivery)

    async def ended(self, message: str, *states: str, within: float = PATIENCE) -> dict[str, Any]:
        """Wait until a message's only delivery is in one of the states; return it with its attempts."""
        wanted = states or ("delivered", "dead", "superseded", "expired", "discarded")

        async def look() -> str | None:
            found = await self.deliveries(message=message)
            return next((row["id"] for row in found if row["state"] in wanted), None)

        return await self.show(await until(look, f"{message} {'/'.join(wanted)}", within))

    async def count(self, state: str) -> int:
        """Return how many of the newest 500 deliveries are in a state."""
        return len(await self.deliveries(state=state))

    async def reload(self, content: Mapping[str, Any] | None = None) -> None:
        """Write another configuration and put it in force."""
        if content is not None:
            write_configuration(self.folder, content)
        await self.service.reload()

    def lane(self, name: str = "shop") -> Any:
        """Return a connection at run time."""
        return next(one for one in self.service.dispatch.connections() if one.name == name)

    async def admin(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Call the admin API with the first token."""
        token = (self.service.settings.data / "admin.token").read_text("ascii").strip()
        return await self.client.request(
            method,
            f"http://127.0.0.1:{self.service.admin.port}{path}",
            headers={"authorization": f"Bearer {token}"},
            **more,
        )


@contextlib.asynccontextmanager
async def instance(
    folder: Path,
    content: Mapping[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
    **settings: Any,
) -> AsyncIterator[Instance]:
    """Run an instance over a folder inside the block; leave it to stop gracefully."""
    config = write_configuration(folder, content)
    said = {"data": folder / "data", "grace": 5.0, **settings}
    service = Service(
        Settings(config=config, port=0, admin_port=0, **said), {**ENVIRONMENT, **(environment or {})}
    )
    async with (
        httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client,
        service.running(),
    ):
        yield Instance(folder, service, client)


@dataclass
class Process:
    """The real command, serving."""

    pid: int
    port: int
    admin_port: int
    data: Path
    log: list[dict[str, Any]]
    process: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        """Where webhooks go."""
        return f"http://127.0.0.1:{self.port}"

    def resident_bytes(self) -> int:
        """Return how much memory it holds."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        """Return how much processor time it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def logged(self, event: str, within: float = PATIENCE) -> dict[str, Any]:
        """Wait for a line of its log and return it."""
        return await until(
            lambda: next((line for line in self.log if line.get("event") == event), None), event, within
        )

    async def stop(self) -> int:
        """End it as a supervisor does; return its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), PATIENCE)


@contextlib.asynccontextmanager
async def process(
    folder: Path,
    content: Mapping[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
    before: Iterable[str] = (),
) -> AsyncIterator[Process]:
    """Run `pointsman serve` over a folder inside the block. `before` are words before the command."""
    config = write_configuration(folder, content)
    child = await asyncio.create_subprocess_exec(
        *before, sys.executable, "-m", "service", "serve", "--config", str(config), "--data", str(folder / "data"),
        "--port", "0", "--admin-port", "0",
        env={**os.environ, **ENVIRONMENT, "POINTSMAN_LOG_FORMAT": "json", **(environment or {})},
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 22,
    )  # fmt: skip
    log: list[dict[str, Any]] = []
    reading = asyncio.create_task(_read_log(child, log))
    made = Process(child.pid, 0, 0, folder / "data", log, child)
    try:
        said = await made.logged("listening")
        made.port, made.admin_port = said["webhooks"], said["admin"]
        await made.logged("configuration in force")
        yield made
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        await reading


async def _read_log(child: asyncio.subprocess.Process, log: list[dict[str, Any]]) -> None:
    assert child.stderr is not None
    while line := await child.stderr.readline():
        try:
            log.append(json.loads(line))
        except ValueError:
            log.append({"event": "text", "line": line.decode("utf-8", "replace")})

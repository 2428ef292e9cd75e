"""Logins under test: a clock that is set by hand, and connectors that call a protected API."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from actions.auth import (
    Auth,
    Described,
    LoginContext,
    MemoryKeeper,
    TokenKeeper,
    described,
    guarded,
    read_auth,
)
from actions.base import Answer
from actions.egress import read_egress
from actions.http import HTTPConnector
from actions.origins import Certificates, make_origins
from actions.specs import read_spec
from actions.specs.model import Spec

START = 1_800_000_000.0


class Clock:
    """Wall-clock seconds that stand still until somebody moves them."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def spec_of(
    schemes: dict[str, Any] | None = None,
    security: Any = None,
    paths: dict[str, Any] | None = None,
    root: Any = None,
    **more: Any,
) -> Spec:
    """Return a description with one operation, `get`, and these security schemes."""
    operation: dict[str, Any] = {"operationId": "get", "responses": {"200": {"description": "ok"}}}
    if security is not None:
        operation["security"] = security
    content = {
        "openapi": "3.0.3",
        "info": {"title": "API", "version": "1"},
        "components": {"securitySchemes": schemes or {}},
        "paths": paths or {"/things": {"get": operation}},
        **({} if root is None else {"security": root}),
        **more,
    }
    return read_spec({"api.json": json.dumps(content).encode()})


class House:
    """One connection: its description, its login and its connector."""

    def __init__(
        self,
        base: str,
        login: dict[str, Any] | None,
        *,
        spec: Spec | None = None,
        tokens: TokenKeeper | None = None,
        egress: Any = ("127.0.0.1",),
        certificates: Certificates | None = None,
        values: dict[str, str] | None = None,
        name: str = "api",
        engine: str = "direct",
    ) -> None:
        self.clock = Clock()
        self.tokens = tokens or MemoryKeeper()
        self.spec = spec or spec_of()
        policy = read_egress(egress)
        origins = make_origins(name, egress=policy, certificates=certificates, engine=engine)
        self.context = LoginContext(
            name=name,
            fetch=guarded(origins.fetch, policy),
            tokens=self.tokens,
            clock=self.clock,
            jitter=lambda: 0.0,
        )
        known: Described = described(self.spec, values or {}, base)
        self.auth: Auth = read_auth(login, known, self.context)
        self.connector = HTTPConnector(name, self.spec, server=base, auth=self.auth, origins=origins)

    async def call(self, operation: str = "get", deadline: float = 5.0) -> Answer:
        prepared = self.connector.prepare(operation, {}, key="k")
        return await self.connector.call(prepared, deadline=deadline, headers={})

    @property
    def state(self) -> Any:
        (state,) = self.auth.states()
        return state


@contextlib.asynccontextmanager
async def house(*args: Any, **options: Any) -> AsyncIterator[House]:
    made = House(*args, **options)
    try:
        yield made
    finally:
        await made.connector.close()

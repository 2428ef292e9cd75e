"""A connector whose backend is a script: what each call answers or raises, in order."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from typing_extensions import override

from actions.base import Answer, Connector, Finding, OperationInfo, Prepared
from actions.errors import Refused

Script = Callable[[int, Prepared], Answer | Exception]


class ScriptedConnector(Connector):
    """Answers the n-th call (from 0) by its script; `calls` are the calls, `gate` may hold them up."""

    def __init__(self, script: Script = lambda _n, _prepared: Answer(status=200, body=b"{}")) -> None:
        self.script = script
        self.calls: list[Prepared] = []
        self.headers: list[Mapping[str, str]] = []
        self.gate: asyncio.Event | None = None
        self.logins = 0
        self.can_login = False
        self.in_flight = 0
        self.most_in_flight = 0
        self.closed = False
        self.hidden: tuple[str, ...] = ()

    @override
    async def check(self) -> list[Finding]:
        return []

    @override
    async def open(self) -> None:
        return None

    @override
    def operations(self) -> Mapping[str, OperationInfo]:
        return {}

    @override
    def prepare(
        self, operation: str, arguments: Mapping[str, Any], *, key: str, at: float = 0.0, preset: str = ""
    ) -> Prepared:
        if arguments.get("refuse"):
            raise Refused("cannot be built", (("/refuse", "is true"),))
        body = msgspec.json.encode(arguments, order="deterministic")
        digest = hashlib.blake2b(operation.encode() + body, digest_size=16).digest()
        return Prepared(operation=operation, key=key, digest=digest, request=body)

    @override
    async def call(self, prepared: Prepared, *, deadline: float, headers: Mapping[str, str]) -> Answer:
        number = len(self.calls)
        self.calls.append(prepared)
        self.headers.append(headers)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            if self.gate is not None:
                await self.gate.wait()
            result = self.script(number, prepared)
        finally:
            self.in_flight -= 1
        if isinstance(result, Exception):
            raise result
        return result

    @override
    def show(self, prepared: Prepared) -> dict[str, Any]:
        return {"method": "POST", "url": prepared.operation, "headers": {}, "body": prepared.request.decode()}

    @override
    def secrets(self) -> tuple[str, ...]:
        return self.hidden

    @override
    async def login_again(self) -> bool:
        self.logins += 1
        return self.can_login

    @override
    async def close(self) -> None:
        self.closed = True


def answers(*results: Answer | Exception | int) -> Script:
    """Return a script that gives these in order, and the last one for ever; a number is a status."""

    def script(number: int, _prepared: Prepared) -> Answer | Exception:
        result = results[min(number, len(results) - 1)]
        return Answer(status=result, body=b'{"id": 7}') if isinstance(result, int) else result

    return script

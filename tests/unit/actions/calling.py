"""What the tests of calls stand on: a clock, a name server and an engine that do as they are told."""

import asyncio

from actions.base import Answer
from actions.errors import ActionError
from actions.transport import Engine, EngineSettings, Request

OK = Answer(status=200, headers=(("content-type", "application/json"),), body=b"{}")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Names:
    """Answers look-ups from a script, one entry per look-up, the last one for ever."""

    def __init__(self, *script: object) -> None:
        self.script = list(script)
        self.asked: list[tuple[str, int]] = []
        self.closed = False

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        entry = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        await asyncio.sleep(0)
        if isinstance(entry, Exception):
            raise entry
        if entry is None:
            await asyncio.Event().wait()
        return list(entry)

    def close(self) -> None:
        self.closed = True


class ScriptedEngine(Engine):
    """Records what it is given; addresses in `failing` raise their error."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self.sent: list[tuple[Request, str]] = []
        self.deadlines: list[float] = []
        self.caps: list[int] = []
        self.failing: dict[str, ActionError] = {}
        self.answer = OK
        self.forgotten: list[str] = []
        self.closed = 0

    async def send(self, request: Request, *, address: str, deadline: float, max_answer_bytes: int) -> Answer:
        self.sent.append((request, address))
        self.deadlines.append(deadline)
        self.caps.append(max_answer_bytes)
        await asyncio.sleep(0)
        if address in self.failing:
            raise self.failing[address]
        return self.answer

    def forget(self, address: str) -> None:
        self.forgotten.append(address)

    async def close(self) -> None:
        self.closed += 1

    @property
    def addresses(self) -> list[str]:
        return [address for _, address in self.sent]

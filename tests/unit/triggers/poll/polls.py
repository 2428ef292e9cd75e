"""A poll source around scripted answers: it polls as often as there are answers, and then no more."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from service.usecases.checking import compile_for_source
from tests.fakes.sources import Emitted, Reports, source_context
from triggers.base import Polled
from triggers.errors import SourceRejected
from triggers.poll import PollConfig, PollSource

URL = "https://shop.example/v1/orders"
JSON = ("content-type", "application/json")


class Enough(Exception):
    """There are no more answers."""


class ScriptedCall:
    """Answers in order and notes what it was asked; an answer may be an error to raise."""

    def __init__(self, answers: Sequence[Polled | Exception], *, safe: bool = True) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Mapping[str, Any], Sequence[tuple[str, str]], Mapping[str, str] | None]] = []
        self.safe = safe

    async def __call__(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Polled:
        assert operation == "shop.listOrders"
        self.asked.append((arguments, query, headers))
        answer = self.answers[len(self.asked) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def changes_nothing(self, operation: str) -> bool:
        if operation != "shop.listOrders":
            raise SourceRejected("no such operation")
        return self.safe


def answer(body: Any = b"", status: int = 200, **headers: str) -> Polled:
    """Return an answer; a body that is no bytes is JSON, underscores in header names are hyphens."""
    text = body if isinstance(body, bytes) else msgspec.json.encode(body)
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Polled(
        status=status, headers=named if "content_type" in headers else (JSON, *named), body=text, url=URL
    )


def config(**more: Any) -> PollConfig:
    return PollConfig.model_validate({"kind": "poll", "call": "shop.listOrders", **more})


class Polls:
    """One source; `run` polls once for each of some answers, as a new process would go on."""

    def __init__(self, **more: Any) -> None:
        self.config = config(**more)
        self.emitted = Emitted()
        self.report = Reports()
        self.pauses: list[float] = []
        self.points: list[str] = []
        self.now = 1_000_000.0
        self.chance = 0.5
        self.call = ScriptedCall([])

    async def opened(self, *answers: Polled | Exception, safe: bool = True) -> PollSource:
        call = self.call = ScriptedCall(answers, safe=safe)

        async def wait(seconds: float) -> None:
            self.pauses.append(seconds)
            if len(call.asked) == len(answers):
                raise Enough

        source = PollSource("orders", self.config, wait=wait, chance=lambda: self.chance)
        context = source_context(
            self.emitted,
            reached=self.points.append,
            report=self.report,
            clock=lambda: self.now,
            call=call,
            expression=compile_for_source,
        )
        await source.open(context)
        return source

    async def run(self, *answers: Polled | Exception, safe: bool = True) -> None:
        """Poll once for each answer."""
        source = await self.opened(*answers, safe=safe)
        try:
            await source.run(self.emitted.begin())
        except Enough:
            return
        finally:
            await source.close()

    def ids(self) -> list[str]:
        return [message.id for message in self.emitted.messages]

    def bodies(self) -> list[bytes | None]:
        return [message.data for message in self.emitted.messages]

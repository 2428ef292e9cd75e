"""A connection paused by hand: nothing new is called, nothing is lost, nothing is counted against a delivery."""

import asyncio
from pathlib import Path

import pytest

from service.clock import SteadyClock
from service.connections import Limits
from service.delivery import State
from service.pausing import Pausing
from tests.fakes.connector import ScriptedConnector, answers
from tests.integration.engine_room import Room, engine_room
from tests.integration.test_dispatch import key_of, rule
from tests.integration.test_dispatch_survival import at_rest


def pausing(room: Room) -> Pausing:
    return Pausing(room.store, clock_ms=room.clock, changed=room.dispatch.pauses_changed)


async def pause(room: Room) -> None:
    await pausing(room).pause("shop", by="anna", reason="")


async def resume(room: Room) -> None:
    at_it = pausing(room)
    await at_it.restore()
    await at_it.resume("shop", by="anna")


async def pending(room: Room, count: int) -> None:
    """Wait until so many runs lie in the store, uncalled, and nothing in memory."""

    async def look() -> bool:
        return len(await room.runs(State.PENDING)) == count and at_rest(room)

    await room.until(look)


async def test_what_is_in_flight_ends_and_nothing_new_is_called_until_it_is_resumed(tmp_path: Path) -> None:
    async with engine_room(tmp_path) as room:
        shop = room.connectors["shop"] = ScriptedConnector()
        shop.gate = asyncio.Event()
        await room.use({"r": rule(step={"on_unknown": "dead"})}, connections={"shop": Limits(in_flight=2)})
        await asyncio.gather(*(room.send({"id": n}) for n in range(8)))
        await room.until(lambda: len(shop.calls) == 2)
        await pause(room)
        shop.gate.set()
        await room.ended(2)
        await asyncio.gather(*(room.send({"id": n}) for n in range(8, 12)))
        await pending(room, 10)
        room.dispatch.nudge()
        await room.dispatch.claiming.once(0.0, room.clock())
        assert len(shop.calls) == 2
        for run in await room.runs(State.PENDING):
            assert (await room.store.delivery(key_of(run)))["attempts"] == [], "waiting is no attempt"
        await resume(room)
        await room.ended(12)
        assert len(shop.calls) == 12
        await room.until(lambda: at_rest(room))


async def test_queued_deliveries_keep_their_order_over_a_pause(tmp_path: Path) -> None:
    async with engine_room(tmp_path) as room:
        shop = room.connectors["shop"] = ScriptedConnector()
        shop.gate = asyncio.Event()
        await room.use({"r": rule(mode="queued", key="data.of")})
        for number in range(3):
            await room.send({"of": "a", "id": number})
        await room.until(lambda: len(shop.calls) == 1)
        await pause(room)
        shop.gate.set()
        await room.ended(1)
        for number in range(3, 6):
            await room.send({"of": "a", "id": number})
        await room.until(lambda: at_rest(room))
        assert len(shop.calls) == 1
        await resume(room)
        await room.ended(6)
        assert [call.request for call in shop.calls] == [b'{"body":{"id":%d}}' % n for n in range(6)]


async def test_a_pause_between_two_steps_keeps_the_second_back_and_the_first_is_not_repeated(
    tmp_path: Path,
) -> None:
    async with engine_room(tmp_path) as room:
        shop = room.connectors["shop"] = ScriptedConnector()
        shop.gate = asyncio.Event()
        two = {"call": "shop.two", "with": {"body": "${steps.one.status}"}, "on_unknown": "dead"}
        first = {"call": "shop.one", "name": "one", "with": {"body": 1}}
        await room.use({"r": {"match": {"type": ["t"]}, "do": [first, two]}})
        await room.send({"id": 1})
        await room.until(lambda: len(shop.calls) == 1)
        await pause(room)
        shop.gate.set()
        await pending(room, 1)
        assert [call.operation for call in shop.calls] == ["one"]
        await resume(room)
        run = (await room.ended(1))[0]
        assert [call.operation for call in shop.calls] == ["one", "two"]
        attempts = (await room.store.delivery(key_of(run)))["attempts"]
        assert [(one["number"], one["step"], one["outcome"]) for one in attempts] == [
            (1, 0, "ok"),
            (2, 1, "ok"),
        ]


async def test_what_is_claimed_while_the_pause_begins_goes_back(tmp_path: Path) -> None:
    async with engine_room(tmp_path) as room:
        shop = room.connectors["shop"] = ScriptedConnector()
        await room.use({"r": rule(step={"on_unknown": "dead"})})
        await pause(room)
        await room.send({"id": 1})
        await pending(room, 1)
        claim = room.store.claim
        claimed = 0

        async def slow(*given: object) -> object:
            nonlocal claimed
            found = await claim(*given)
            if found and not claimed:
                claimed = len(found)
                await pause(room)
            return found

        room.store.claim = slow
        await resume(room)
        await room.until(lambda: claimed)
        await pending(room, 1)
        assert shop.calls == []
        await resume(room)
        await room.ended(1)


class Clock:
    """The steady clock, with a hand to turn it."""

    def __init__(self) -> None:
        self._clock = SteadyClock()
        self.ahead = 0

    def __call__(self) -> int:
        return self._clock() + self.ahead


@pytest.mark.parametrize("paused", [True, False])
async def test_the_time_of_a_pause_does_not_count_against_the_retry_time(
    tmp_path: Path, paused: bool
) -> None:
    clock = Clock()
    async with engine_room(tmp_path, clock) as room:
        shop = room.connectors["shop"] = ScriptedConnector(answers(503))
        shop.gate = asyncio.Event()
        retry = {"for": "1m", "first": "10ms", "max": "20ms"}
        await room.use({"r": rule(step={"retry": retry})})
        await room.send({"id": 1})
        await room.until(lambda: len(shop.calls) == 1)
        if paused:
            await pause(room)
        clock.ahead = 3_600_000
        if paused:
            await resume(room)
        shop.gate.set()
        if not paused:
            await room.ended(1, State.DEAD)
            return
        await room.until(lambda: len(shop.calls) >= 3)
        shop.script = answers(200)
        await room.ended(1)


async def test_a_retry_waits_for_its_time_whatever_is_resumed(tmp_path: Path) -> None:
    clock = Clock()
    async with engine_room(tmp_path, clock) as room:
        shop = room.connectors["shop"] = ScriptedConnector(answers(503, 200))
        await room.use({"r": rule(step={"retry": {"for": "1d", "first": "10m", "max": "1h"}})})
        await room.send({"id": 1})
        await room.ended(1, State.WAITING)
        await pause(room)
        await resume(room)
        await room.dispatch.claiming.once(0.0, clock())
        assert len(shop.calls) == 1
        clock.ahead = 3_600_000
        room.dispatch.nudge()
        await room.ended(1)

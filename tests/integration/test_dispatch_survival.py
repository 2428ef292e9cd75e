"""What the dispatcher outlives: poison, races, reloads, stops. Nothing is left running, no slot is kept."""

import asyncio
import random

import pytest

from actions.base import Answer
from actions.errors import OutcomeUnknown, RetryLater
from service.connections import BreakerPolicy, Limits
from service.delivery import Event, State
from service.errors import NotFound, Unavailable
from tests.fakes.connector import ScriptedConnector, answers
from tests.integration.engine_room import Room, engine_room
from tests.integration.test_dispatch import key_of, rule
from tests.patience import PATIENCE


def at_rest(room: Room) -> bool:
    """Tell whether every slot is free and every counter back at zero."""
    lanes = room.dispatch.lanes.used.values()
    return room.dispatch.lanes.in_memory == 0 and all(
        (lane.reserved, lane.spawned, len(lane.queue), lane.connection.in_flight) == (0, 0, 0, 0)
        for lane in lanes
    )


class Bursting(ScriptedConnector):
    """A connector with a bug: a login that raises something of its own."""

    async def login_again(self) -> bool:
        raise ZeroDivisionError


async def test_a_bug_in_a_connector_holds_its_delivery_and_ends_nobody_else(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = Bursting(answers(401, 200))
        await room.use({"r": rule()})
        await room.send({"id": 1})
        held = await room.ended(1, State.HELD)
        assert "ZeroDivisionError" in held[0]["reason"]
        detail = await room.store.delivery(key_of(held[0]))
        assert [one["outcome"] for one in detail["attempts"]] == ["unknown"]
        await room.send({"id": 2})
        await room.ended(1)
        await room.until(lambda: at_rest(room))


async def test_a_run_whose_ruleset_cannot_be_read_is_held_and_the_others_go_on(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        connector = room.connectors["shop"] = ScriptedConnector(answers(503, 503, 200))
        connector.gate = asyncio.Event()
        await room.use({"r": rule()})
        await room.send({"id": 1})
        await room.use({"r": rule(), "other": rule()})
        await room.send({"id": 2})
        await room.until(lambda: len(connector.calls) == 3)
        first = room.intake.ruleset.number - 1

        async def broken(number: int) -> object:
            if number == first:
                raise NotFound("there is no such ruleset")
            return (await room.rulesets.plan(number)).ruleset

        room.rulesets.ruleset = broken  # a store that lost a row
        connector.gate.set()
        held = await room.ended(1, State.HELD)
        assert held[0]["reason"].startswith("rule: ")
        await room.ended(2)
        await room.until(lambda: at_rest(room))


async def test_a_store_that_cannot_be_read_for_a_moment_leaves_nothing_running(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(503, 503, 503, 200))
        await room.use({"r": rule()})
        calls = 0

        async def busy(number: int) -> object:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise Unavailable("the store cannot be used: database is locked")
            return (await room.rulesets.plan(number)).ruleset

        room.rulesets.ruleset = busy  # a store that is locked
        for number in range(3):
            await room.send({"id": number})
        await room.ended(3)
        await room.until(lambda: at_rest(room))


async def test_a_stop_during_a_claim_gives_everything_back(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(503))
        await room.use({"r": rule(step={"retry": {"for": "1h", "first": "1h", "max": "1h"}})})
        await room.send({"id": 1})
        waiting = await room.ended(1, State.WAITING)
        claim = room.store.claim
        stopping: list[asyncio.Task[None]] = []

        async def during(*args: object) -> object:
            stopping.append(asyncio.create_task(room.dispatch.stop(5.0)))
            await asyncio.sleep(0)  # the stop has begun
            return await claim(*args)  # passed on as they came

        room.store.claim = during  # the moment that matters
        await room.store.release(Event.RELEASE, [key_of(waiting[0])], reason="", now=room.clock())
        room.dispatch.nudge()
        await room.until(lambda: stopping)
        async with asyncio.timeout(PATIENCE):
            await stopping[0]
        assert not await room.runs(State.RUNNING)
        assert len(await room.runs(State.PENDING)) == 1
        await room.until(lambda: at_rest(room))


async def test_a_probe_that_was_overtaken_by_a_failure_is_made_later(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        connector = room.connectors["shop"] = ScriptedConnector(answers(RetryLater("refused"), 200))
        await room.use({"r": rule()}, breaker=BreakerPolicy(failures=1, first=0.05, longest=0.2))
        claim = room.store.claim

        async def overtaken(*args: object) -> object:
            found = await claim(*args)  # passed on as they came
            connection = room.dispatch.connections()[0]
            if found and connection.breaker.open:
                room.store.claim = claim  # once
                connection.breaker.unhealthy("one more that was in flight", asyncio.get_running_loop().time())
            return found

        room.store.claim = overtaken  # the moment that matters
        await room.send({"id": 1})
        await room.ended(1)
        assert len(connector.calls) == 2
        await room.until(lambda: at_rest(room))


async def test_a_wake_up_during_a_claim_is_not_lost(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(503, 200))
        await room.use({"r": rule(step={"retry": {"for": "1h", "first": "1h", "max": "1h"}})})
        await room.send({"id": 1})
        waiting = await room.ended(1, State.WAITING)
        next_due = room.store.next_due

        async def late(lanes: object) -> object:
            found = await next_due(lanes)  # passed on as it came
            room.store.next_due = next_due  # once
            await room.store.release(Event.RELEASE, [key_of(waiting[0])], reason="", now=room.clock())
            room.dispatch.nudge()
            return found

        room.store.next_due = late  # the moment that matters
        room.dispatch.nudge()
        await room.ended(1)


async def test_an_open_breaker_with_nothing_to_probe_with_costs_nothing(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(RetryLater("refused")))
        await room.use(
            {"r": rule(step={"retry": {"for": "1h", "first": "1h", "max": "1h"}})},
            breaker=BreakerPolicy(failures=1, first=0.01, longest=0.01),
        )
        await room.send({"id": 1})
        await room.ended(1, State.WAITING)
        await asyncio.sleep(0.05)
        looked = 0
        claim_once = room.dispatch.claiming.once

        async def counted(*instants: object) -> bool:
            nonlocal looked
            looked += 1
            return await claim_once(*instants)

        room.dispatch.claiming.once = counted  # to count
        room.dispatch.nudge()
        await asyncio.sleep(0.3)
        assert looked < 10


async def test_a_connection_that_went_and_came_back_has_no_slot_too_few(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()})
        lane, slot = room.dispatch.reserve("shop")
        while not slot:
            await asyncio.sleep(0.001)
            lane, slot = room.dispatch.reserve("shop")
        kept = room.dispatch.connections()
        room.dispatch.use([])
        room.dispatch.use(kept)
        room.dispatch.cancel("shop")
        assert lane == kept[0].lane
        await room.until(lambda: at_rest(room))


async def test_a_step_whose_connection_is_gone_is_dead_and_says_so(tmp_path) -> None:
    two = {"match": {"type": ["t"]}, "do": [{"call": "shop.one"}, {"call": "other.two"}]}
    tell = {
        "from": ["pointsman"], "match": {"type": ["pointsman.delivery.dead"]}, "do": [{"call": "shop.one"}],
    }  # fmt: skip
    async with engine_room(tmp_path) as room:
        connector = room.connectors["shop"] = ScriptedConnector()
        connector.gate = asyncio.Event()
        await room.use({"r": two, "tell": tell}, connections={"shop": Limits(), "other": Limits()})
        await room.send({"id": 1})
        await room.until(lambda: len(connector.calls) == 1)
        await room.use({"tell": tell})
        connector.gate.set()
        dead = await room.ended(1, State.DEAD)
        assert "not configured" in dead[0]["reason"]
        await room.ended(1)
        assert len(connector.calls) == 2


async def test_a_delivery_that_was_born_dead_says_so(tmp_path) -> None:
    tell = {
        "from": ["pointsman"], "match": {"type": ["pointsman.delivery.dead"]},
        "do": [{"call": "shop.one", "with": {"body": "${data.reason}"}}],
    }  # fmt: skip
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule(mode="queued", key="data.nothing.here"), "tell": tell})
        await room.send({"id": 1})
        await room.ended(1, State.DEAD)
        await room.ended(1)
        assert b"key: " in room.connectors["shop"].calls[0].request


async def test_a_message_that_cannot_be_encoded_keeps_no_slot(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()})
        await room.send({"id": 1})
        await room.ended(1)
        with pytest.raises(UnicodeEncodeError):
            await room.send({"id": 2}, subject="\ud800")
        await room.until(lambda: at_rest(room))


async def test_after_any_mix_of_trouble_everything_is_at_rest(tmp_path) -> None:
    results = [200, 200, 200, 503, 404, 401, 429, OutcomeUnknown("cut"), RetryLater("refused")]
    for seed in range(3):
        chance = random.Random(seed)

        def script(_number: int, _prepared: object, chance: random.Random = chance) -> Answer | Exception:
            result = chance.choice(results)
            return Answer(status=result, body=b"{}") if isinstance(result, int) else result

        rules = {
            "plain": rule(),
            "both": {"match": {"type": ["t"]}, "do": [{"call": "shop.one"}, {"call": "other.two"}]},
            "same": {"match": {"type": ["t"]}, "do": [{"call": "shop.one"}, {"call": "shop.two"}]},
            "queue": rule("other.one", mode="queued", key="data.key"),
            "restart": rule("other.one", mode="restart", key="data.key"),
            "tell": {
                "from": ["pointsman"],
                "match": {"source": ["/pointsman"]},
                "do": [{"call": "other.two"}],
            },
        }
        for one in rules.values():
            one["do"][0]["retry"] = {"for": "1h", "first": "10ms", "max": "20ms"}
        async with engine_room(tmp_path / str(seed)) as room:
            for name in ("shop", "other"):
                room.connectors[name] = ScriptedConnector(script)
                room.connectors[name].can_login = chance.random() < 0.5
            both = {"shop": Limits(in_flight=3), "other": Limits(in_flight=4, rate=2000.0)}
            breaker = BreakerPolicy(failures=4, first=0.01, longest=0.02)
            await room.use(rules, connections=both, breaker=breaker)
            sent = []
            for number in range(60):
                sent.append(asyncio.ensure_future(room.send({"id": number, "key": f"k{number % 3}"})))
                if chance.random() < 0.3:
                    await asyncio.sleep(0.002)
                if chance.random() < 0.1:
                    for name in both:
                        room.dispatch.release(name)
                if chance.random() < 0.1:
                    kept = room.dispatch.connections()
                    room.dispatch.use(kept[: chance.randrange(3)])
                    room.dispatch.use(kept)
            await asyncio.gather(*sent)
            for connector in room.connectors.values():
                connector.script = answers(200)

            async def rested(room: Room = room, both: dict[str, Limits] = both) -> bool:
                for name in both:
                    room.dispatch.release(name)
                return room.store.health().unfinished == 0

            await room.until(rested)
            await room.until(lambda room=room: at_rest(room))
            assert not await room.runs(State.PENDING, State.RUNNING, State.WAITING, State.HELD)

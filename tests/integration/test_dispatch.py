"""What becomes of deliveries: attempts, retries, ends, order, holds, breakers, restarts."""

import asyncio

import msgspec
import pytest

from actions.base import Answer
from actions.errors import OutcomeUnknown, Refused, RetryLater
from service.connections import BreakerPolicy, Limits
from service.delivery import Event, State
from service.errors import Conflict
from service.store.base import RunKey
from tests.fakes.connector import ScriptedConnector, answers
from tests.integration.engine_room import engine_room

FAST = {"for": "1h", "first": "10ms", "max": "50ms"}


def key_of(row) -> RunKey:
    return RunKey(row["message"], row["rule"], row["run"])


def rule(call="shop.one", **more):
    step = {"call": call, "with": {"body": {"id": "${data.id}"}}, "retry": FAST}
    step.update(more.pop("step", {}))
    return {"match": {"type": ["t"]}, "do": [step], **more}


async def test_a_matching_message_is_delivered_once(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()})
        accepted = await room.send({"id": 1})
        assert (accepted.new, accepted.known, accepted.rejected) == (1, 0, 0)
        runs = await room.ended(1)
        assert len(room.connectors["shop"].calls) == 1
        detail = await room.store.delivery(key_of(runs[0]))
        assert [(a["number"], a["outcome"], a["status"]) for a in detail["attempts"]] == [(1, "ok", 200)]


async def test_a_repeat_is_accepted_again_and_changes_nothing(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()})
        first = await room.send({"id": 1}, name="same")
        second = await room.send({"id": 1}, name="same")
        assert second.known == 1
        assert second.ids == first.ids
        await room.ended(1)
        assert len(await room.runs()) == 1


async def test_the_same_id_with_another_body_is_kept_as_a_reject(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()})
        await room.send({"id": 1}, name="same")
        conflict = await room.send({"id": 2}, name="same")
        assert conflict.rejected == 1
        assert conflict.ids[0].startswith("rej_")
        page = await room.store.rejects()
        assert page.rows[0]["reason"] == "id-conflict"
        await room.ended(1)
        assert len(await room.runs()) == 1


async def test_a_message_that_nothing_matches_is_stored_without_deliveries(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()})
        accepted = await room.send({"id": 1}, of_type="other")
        assert accepted.new == 1
        assert not await room.runs()
        assert room.intake.unmatched == 1


@pytest.mark.parametrize(
    "failure", [503, 500, 429, 408, RetryLater("refused"), OutcomeUnknown("cut"), 502, 504]
)
async def test_a_failure_is_tried_again_with_the_same_key_and_body(tmp_path, failure) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(failure, failure, 200))
        await room.use({"r": rule()})
        await room.send({"id": 1})
        runs = await room.ended(1)
        calls = room.connectors["shop"].calls
        assert len(calls) == 3
        assert len({(call.key, call.digest) for call in calls}) == 1
        detail = await room.store.delivery(key_of(runs[0]))
        assert [a["number"] for a in detail["attempts"]] == [1, 2, 3]
        assert detail["attempts"][-1]["outcome"] == "ok"


@pytest.mark.parametrize("status", [400, 404, 409, 410, 422, 301])
async def test_a_refusal_is_dead_at_once(tmp_path, status) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(status))
        await room.use({"r": rule()})
        await room.send({"id": 1})
        runs = await room.ended(1, State.DEAD)
        assert str(status) in runs[0]["reason"]
        assert len(room.connectors["shop"].calls) == 1


async def test_the_steps_on_turns_a_status_into_what_it_says(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(409))
        await room.use({"r": rule(step={"on": {"409": "ok"}})})
        await room.send({"id": 1})
        await room.ended(1)


@pytest.mark.parametrize("status", [200, 400, 401, None])
async def test_a_credential_that_a_backend_repeats_is_kept_nowhere(tmp_path, status) -> None:
    secret = "s3cret-token"
    said = Refused(f"ended as failed: {secret}")
    if status is not None:
        said = Answer(status=status, headers=(("x-got", secret),), body=f"got Bearer {secret}".encode())
    async with engine_room(tmp_path) as room:
        connector = room.connectors["shop"] = ScriptedConnector(answers(said))
        connector.hidden = (secret,)
        await room.use({"r": rule(step={"name": "first"})})
        await room.send({"id": 1})
        end = {200: State.DELIVERED, 401: State.WAITING}.get(status, State.DEAD)
        await room.until(lambda: room.runs(end))
        (run,) = await room.runs(end)
        detail = await room.store.delivery(key_of(run))
        (attempt, *_) = detail["attempts"]
        assert secret not in str(detail)
        assert secret not in room.dispatch.connections()[0].last_error
        assert "***" in f"{attempt['detail']} {attempt['answer']}"


PLACE = (("location", "/jobs/7"),)


async def test_what_was_accepted_is_waited_for_again_also_after_a_restart(tmp_path) -> None:
    slow = OutcomeUnknown("it was accepted (202) and was not done in time", accepted=PLACE)
    waiting = rule(step={"wait": "5s", "retry": {"for": "1h", "first": "1h", "max": "1h"}})
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(slow))
        await room.use({"r": waiting}, breaker=BreakerPolicy(failures=1))
        await room.send({"id": 1})
        await room.until(lambda: room.runs(State.WAITING))
        assert room.connectors["shop"].calls[0].follow.accepted == ()
        assert room.dispatch.connections()[0].state == "ok"  # it answers, if late
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(RetryLater("no connection"), slow, 200))
        await room.use({"r": rule(step={"wait": "5s"})})
        for count in (1, 2, 3):
            (run,) = await room.runs(State.WAITING)
            await room.store.release(Event.RELEASE, [key_of(run)], reason="", now=room.clock())
            room.dispatch.nudge()
            await room.until(lambda count=count: len(room.connectors["shop"].calls) >= count)
            await room.until(lambda: room.runs(State.WAITING, State.DELIVERED))
        assert [one.follow.accepted for one in room.connectors["shop"].calls] == [PLACE] * 3
        await room.ended(1)


async def test_what_was_accepted_and_has_failed_is_called_anew_by_hand(tmp_path) -> None:
    slow = OutcomeUnknown("it was accepted (202) and was not done in time", accepted=PLACE)
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(slow, Refused("it has ended as failed"), 200))
        await room.use({"r": rule(step={"wait": "5s"})})
        await room.send({"id": 1})
        (run,) = await room.ended(1, State.DEAD)
        await room.store.next_run(key_of(run), generation=None, now=room.clock(), by="me")
        room.dispatch.nudge()
        await room.ended(1)
        assert [one.follow.accepted for one in room.connectors["shop"].calls] == [(), PLACE, ()]


async def test_unknown_is_dead_where_the_step_says_so(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(OutcomeUnknown("cut")))
        await room.use({"r": rule(step={"on_unknown": "dead"})})
        await room.send({"id": 1})
        await room.ended(1, State.DEAD)
        assert len(room.connectors["shop"].calls) == 1


async def test_dead_after_the_configured_time_with_every_attempt(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(503))
        await room.use({"r": rule(step={"retry": {"for": "2s", "first": "10ms", "max": "20ms"}})})
        await room.send({"id": 1})
        runs = await room.ended(1, State.DEAD)
        detail = await room.store.delivery(key_of(runs[0]))
        assert len(detail["attempts"]) == len(room.connectors["shop"].calls) >= 2
        assert "given up" in detail["reason"]


async def test_retry_by_hand_is_the_next_run_with_the_same_key(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(422, 200))
        await room.use({"r": rule()})
        await room.send({"id": 1})
        dead = await room.ended(1, State.DEAD)
        key = await room.store.next_run(key_of(dead[0]), generation=None, now=room.clock(), by="anna")
        room.dispatch.nudge()
        assert key.run == 2
        await room.ended(1)
        first, second = room.connectors["shop"].calls
        assert first.key == second.key
        assert (await room.store.delivery(key_of(dead[0])))["state"] is State.DEAD


async def test_what_was_delivered_or_is_under_way_has_no_next_run(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(503))
        await room.use({"r": rule(step={"retry": {"for": "1h", "first": "1h", "max": "1h"}})})
        await room.send({"id": 1})
        run = (await room.ended(1, State.WAITING))[0]
        with pytest.raises(Conflict):
            await room.store.next_run(key_of(run), generation=None, now=room.clock(), by="anna")


async def test_steps_run_in_order_and_see_earlier_answers(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        rules = {
            "r": {
                "match": {"type": ["t"]},
                "do": [
                    {
                        "name": "first",
                        "call": "shop.one",
                        "with": {"body": {"id": "${data.id}"}},
                        "retry": FAST,
                    },
                    {"call": "shop.two", "with": {"body": {"made": "${steps.first.body.id}"}}, "retry": FAST},
                ],
            }
        }
        await room.use(rules)
        room.connectors["shop"].script = lambda n, _p: Answer(
            status=201, body=b'{"id": 12345678901234567890}'
        )
        await room.send({"id": 1})
        runs = await room.ended(1)
        one, two = room.connectors["shop"].calls
        assert (one.operation, two.operation) == ("one", "two")
        assert two.request == b'{"body":{"made":12345678901234567890}}'
        assert one.key != two.key
        attempts = (await room.store.delivery(key_of(runs[0])))["attempts"]
        assert [(a["number"], a["step"]) for a in attempts] == [(1, 0), (2, 1)]


async def test_a_retry_resumes_at_the_step_that_failed(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        rules = {
            "r": {
                "match": {"type": ["t"]},
                "do": [
                    {"name": "first", "call": "shop.one", "with": {"body": {}}, "retry": FAST},
                    {"call": "shop.two", "with": {"body": {"made": "${steps.first.body.id}"}}, "retry": FAST},
                ],
            }
        }
        await room.use(rules)
        room.connectors["shop"].script = answers(200, 503, 503, 200)
        await room.send({"id": 1})
        await room.ended(1)
        assert [call.operation for call in room.connectors["shop"].calls] == ["one", "two", "two", "two"]
        assert room.connectors["shop"].calls[-1].request == b'{"body":{"made":7}}'


async def test_steps_of_two_connections_go_from_lane_to_lane(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        rules = {
            "r": {
                "match": {"type": ["t"]},
                "do": [
                    {"name": "first", "call": "shop.one", "with": {"body": {}}, "retry": FAST},
                    {"call": "crm.two", "with": {"body": {"made": "${steps.first.body.id}"}}, "retry": FAST},
                ],
            }
        }
        room.connectors = {
            "shop": ScriptedConnector(answers(200)),
            "crm": ScriptedConnector(answers(503, 200)),
        }
        await room.use(rules, connections={"shop": Limits(), "crm": Limits()})
        await room.send({"id": 1})
        runs = await room.ended(1)
        assert len(room.connectors["shop"].calls) == 1
        assert [c.request for c in room.connectors["crm"].calls] == [b'{"body":{"made":7}}'] * 2
        attempts = (await room.store.delivery(key_of(runs[0])))["attempts"]
        assert [(a["number"], a["step"], a["outcome"]) for a in attempts] == [
            (1, 0, "ok"),
            (2, 1, "retry"),
            (3, 1, "ok"),
        ]


async def test_a_leaf_without_a_value_is_dead_at_once_with_its_path(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()})
        await room.send({"other": 1})
        runs = await room.ended(1, State.DEAD)
        assert "/body/id" in runs[0]["reason"]
        assert not room.connectors["shop"].calls


async def test_an_error_in_the_key_is_dead_at_birth_with_its_reason(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule(key="data.missing", mode="queued")})
        await room.send({"id": 1})
        runs = await room.ended(1, State.DEAD)
        assert "key" in runs[0]["reason"]


async def test_an_error_in_when_is_no_match_and_is_counted_with_a_sample(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule(when="data.missing > 1")})
        await room.send({"id": 1})
        assert not await room.runs()
        counts = next(iter(room.intake.rules.values()))
        assert counts.when_errors == 1
        assert counts.failures[0].type == "t"


async def test_calls_of_one_key_happen_in_the_order_of_acceptance(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(
            lambda n, _p: Answer(status=503) if n % 3 == 0 else Answer(status=200)
        )
        await room.use({"r": rule(key="data.customer", mode="queued")})
        await asyncio.gather(*(room.send({"id": n, "customer": n % 3}) for n in range(30)))
        await room.ended(30)
        done: dict[int, list[int]] = {}
        seen = set()
        for call in room.connectors["shop"].calls:
            number = msgspec.json.decode(call.request)["body"]["id"]
            if number not in seen:
                seen.add(number)
                done.setdefault(number % 3, []).append(number)
        for order in done.values():
            assert order == sorted(order)


async def test_single_keeps_the_first_and_supersedes_the_rest(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule(key="'k'", mode="single")})
        shop = room.connectors["shop"]
        shop.gate = asyncio.Event()
        await room.send({"id": 1})
        await room.send({"id": 2})
        await room.ended(1, State.SUPERSEDED)
        shop.gate.set()
        await room.ended(1)
        assert len(shop.calls) == 1


async def test_restart_keeps_the_latest(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule(key="'k'", mode="restart")})
        shop = room.connectors["shop"]
        shop.gate = asyncio.Event()
        await room.send({"id": 1})
        await room.send({"id": 2})
        superseded = await room.ended(1, State.SUPERSEDED)
        shop.gate.set()
        delivered = await room.ended(1)
        assert superseded[0]["message"] < delivered[0]["message"]


async def test_never_more_in_flight_than_the_connection_takes(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()}, connections={"shop": Limits(in_flight=3)})
        shop = room.connectors["shop"]
        shop.gate = asyncio.Event()
        await asyncio.gather(*(room.send({"id": n}) for n in range(40)))
        await room.until(lambda: shop.in_flight == 3)
        shop.gate.set()
        await room.ended(40)
        assert shop.most_in_flight == 3
        assert len(shop.calls) == 40


async def test_the_rate_is_kept(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()}, connections={"shop": Limits(rate=50.0)})
        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.gather(*(room.send({"id": n}) for n in range(75)))
        await room.ended(75)
        assert loop.time() - started >= 25 / 50


async def test_a_dead_backend_opens_its_breaker_and_fills_only_its_own_lane(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors = {
            "shop": ScriptedConnector(answers(RetryLater("refused"))),
            "crm": ScriptedConnector(),
        }
        await room.use(
            {"dead": rule(), "fine": rule("crm.one")},
            connections={"shop": Limits(in_flight=2), "crm": Limits()},
            breaker=BreakerPolicy(failures=3, first=0.05, longest=0.1),
        )
        await asyncio.gather(*(room.send({"id": n}) for n in range(100)))

        async def fine_done() -> bool:
            lane = await room.store.number("lane", "crm")
            page = await room.store.deliveries(limit=500, states=[State.DELIVERED], lane=lane)
            return len(page.rows) == 100

        await room.until(fine_done)
        assert room.dispatch.connections()[0].state == "open"
        assert len(room.connectors["shop"].calls) < 30
        room.connectors["shop"].script = answers(200)
        await room.ended(200)
        assert room.dispatch.connections()[0].state == "ok"


async def test_401_logs_in_once_more_and_goes_on(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        shop = room.connectors["shop"] = ScriptedConnector(answers(401, 200))
        shop.can_login = True
        await room.use({"r": rule()})
        await room.send({"id": 1})
        await room.ended(1)
        assert shop.logins == 1
        assert room.dispatch.connections()[0].state == "ok"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_connection_whose_login_is_not_taken_is_held_until_released(tmp_path, status) -> None:
    async with engine_room(tmp_path) as room:
        shop = room.connectors["shop"] = ScriptedConnector(answers(status))
        await room.use({"r": rule()})
        await room.send({"id": 1})
        await room.until(lambda: room.dispatch.connections()[0].state == "held")
        for number in range(2, 6):
            await room.send({"id": number})
        assert len(shop.calls) == 1
        assert room.held[-1].startswith("shop:")
        shop.script = answers(200)
        assert room.dispatch.release("shop")
        await room.ended(5)
        assert room.held[-1] == "shop:"


async def test_a_restart_finds_what_waited_and_what_was_interrupted(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()}, connections={"shop": Limits(in_flight=2)})
        shop = room.connectors["shop"]
        shop.gate = asyncio.Event()
        await asyncio.gather(*(room.send({"id": n}) for n in range(10)))
        await room.until(lambda: shop.in_flight == 2)
        await room.kill()
        keys = {call.key for call in shop.calls}
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()})
        await room.ended(10)
        assert keys <= {call.key for call in room.connectors["shop"].calls}
        assert len({call.key for call in room.connectors["shop"].calls}) >= 8


async def test_deliveries_are_performed_with_the_ruleset_that_made_them(tmp_path) -> None:
    async with engine_room(tmp_path, working=False) as room:
        await room.use({"r": rule()})
        await room.send({"id": 1})
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule(step={"with": {"body": {"changed": "yes"}}})})
        await room.ended(1)
        assert room.connectors["shop"].calls[0].request == b'{"body":{"id":1}}'


async def test_a_request_that_renders_otherwise_is_held_with_that_reason(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        shop = room.connectors["shop"] = ScriptedConnector(answers(503, 200))
        await room.use({"r": rule()})
        real, count = shop.prepare, 0

        def other_second_time(operation, arguments, *, key, at, preset):
            nonlocal count
            count += 1
            return real(operation, {**arguments, "n": count}, key=key, at=at, preset=preset)

        shop.prepare = other_second_time
        await room.send({"id": 1})
        runs = await room.ended(1, State.HELD)
        assert "request changed" in runs[0]["reason"]
        assert len(shop.calls) == 1


async def test_a_dead_delivery_is_a_message_too_and_never_causes_itself(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors = {"shop": ScriptedConnector(answers(422)), "pager": ScriptedConnector(answers(422))}
        tell = {
            "from": ["pointsman"],
            "match": {"type": ["pointsman.delivery.dead"]},
            "do": [
                {"call": "pager.one", "with": {"body": {"why": "${data.reason}", "rule": "${data.rule}"}}}
            ],
        }
        await room.use(
            {"r": {**rule(), "from": ["web"]}, "tell": tell},
            connections={"shop": Limits(), "pager": Limits()},
        )
        await room.send({"id": 1})
        await room.ended(2, State.DEAD)
        assert b'"rule":"r"' in room.connectors["pager"].calls[0].request
        assert len(room.connectors["pager"].calls) == 1
        page = await room.store.messages(limit=10)
        assert len(page.rows) == 2


async def test_an_expired_message_is_not_called(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()})
        await room.send({"id": 1}, extensions={"expirytime": "2001-01-01T00:00:00Z"})
        await room.ended(1, State.EXPIRED)
        assert not room.connectors["shop"].calls


async def test_a_message_with_too_many_hops_is_a_reject(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()})
        accepted = await room.send({"id": 1}, extensions={"pointsmanhops": 17})
        assert accepted.rejected == 1
        assert (await room.store.rejects()).rows[0]["reason"] == "too-many-hops"


async def test_the_trace_goes_on_and_the_hops_are_counted(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()})
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        await room.send({"id": 1}, extensions={"traceparent": trace, "pointsmanhops": 3})
        await room.ended(1)
        headers = room.connectors["shop"].headers[0]
        assert headers["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
        assert headers["traceparent"] != trace
        assert headers["pointsman-hops"] == "4"
        assert headers["pointsman-causation"].startswith("msg_")


async def test_discarding_names_who_did_it(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        room.connectors["shop"] = ScriptedConnector(answers(503))
        await room.use({"r": rule(step={"retry": {"for": "1h", "first": "1h", "max": "1h"}})})
        await room.send({"id": 1})
        await room.ended(1, State.WAITING)
        run = (await room.runs())[0]
        result = await room.store.release(
            Event.DISCARD, [key_of(run)], reason="discarded by anna", now=room.clock()
        )
        assert result == [State.DISCARDED]
        assert (await room.store.delivery(key_of(run)))["reason"] == "discarded by anna"


async def test_everything_in_flight_is_bounded_under_a_flood(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use({"r": rule()}, connections={"shop": Limits(in_flight=4)})
        await asyncio.gather(*(room.send({"id": n}) for n in range(2000)))
        assert room.dispatch.waiting("shop") <= 17
        await room.until(lambda: len(room.connectors["shop"].calls) == 2000)
        await room.until(lambda: room.dispatch.ended["delivered"] == 2000)
        assert len({call.key for call in room.connectors["shop"].calls}) == 2000

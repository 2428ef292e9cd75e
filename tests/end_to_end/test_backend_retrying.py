"""Trying again over real HTTP: when, how long, with what; over restarts and jumps of the wall clock."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from service.clock import SteadyClock
from tests.end_to_end.backend import Act, Backend, answers, backend, first_only
from tests.end_to_end.instance import Instance, connection, document, instance, signed, step, until
from tests.patience import SLACK


def patient(total: str = "30s", **more: Any) -> dict[str, Any]:
    """Return rules whose step is tried again at once when the backend does not say otherwise."""
    return {
        "all": {"from": ["web"], "do": [step(retry={"for": total, "first": "1ms", "max": "5ms"}, **more)]}
    }


async def _waiting(it: Instance, message: str, *after: str) -> dict[str, Any]:
    """Wait until the first attempt of a message has failed and the next one is planned, or is over (`after`)."""

    async def look() -> dict[str, Any] | None:
        found = await it.deliveries(message=message)
        return found[0] if found and found[0]["state"] in ("waiting", *after) else None

    return await until(look, "a planned retry")


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def _each(it: Instance, cases: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Send one message for each case and return the deliveries when all have ended."""
    sent = {case: await it.send({"case": case}) for case in cases}
    return {case: await it.ended(message) for case, message in sent.items()}


def _gap(shop: Backend, case: str) -> float:
    """Return the seconds between the two calls of a case."""
    first, second = (call for call in shop.calls if call.json["case"] == case)
    return second.at - first.at


async def test_no_attempt_is_made_before_retry_after_in_seconds(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=patient())) as it:
        acts = {str(status): answers(status, retry_after="1") for status in (408, 429, 500, 502, 503)}
        shop.decide = first_only(acts)
        messages = [await it.send({"case": case}) for case in acts]
        for message in messages:
            await _waiting(it, message, "delivered")
            it.service.dispatch.nudge()  # somebody looks for work: still not due
        for message in messages:
            assert (await it.ended(message))["state"] == "delivered"
        for case in acts:
            assert 1.0 <= _gap(shop, case) < 1.0 + SLACK, case


async def test_no_attempt_is_made_before_retry_after_as_a_date(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=patient())) as it:
        moment = datetime.fromtimestamp(int(time.time()) + 2, UTC)
        shop.script(answers(429, retry_after=format_datetime(moment, usegmt=True)))
        message = await it.send({"a": 1})
        await shop.called(2)
        assert time.time() >= moment.timestamp()
        assert (await it.ended(message))["state"] == "delivered"


async def test_an_absurd_retry_after_waits_for_the_last_moment_of_the_retry_time(tmp_path: Path) -> None:
    absurd = ("1000000000", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT", "99999999999999999999")
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=patient("8s"))) as it:
        shop.decide = first_only({value: answers(429, retry_after=value) for value in absurd})
        messages = [await it.send({"case": value}) for value in absurd]
        for message in messages:
            shown = await it.show((await _waiting(it, message))["id"])
            started = _instant(shown["attempts"][0]["started_at"])
            assert _instant(shown["due_at"]) == pytest.approx(started + 8.0, abs=0.002)
        for value, message in zip(absurd, messages, strict=True):
            assert (await it.ended(message))["state"] == "delivered"
            assert _gap(shop, value) >= 6.0, value


async def test_a_retry_after_that_says_nothing_leaves_the_rules_own_delay(tmp_path: Path) -> None:
    junk = (
        "-100", "-1000000000", "0", "soon", "", "100.5", "1e3", "Thu, 01 Jan 1970 00:00:00 GMT", "0x10", "\u00b9\u00b2",
        "31 Feb", "Mon, 00 Zzz 99999 99:99:99 GMT", "Sun, 06 Nov 1994 08:49:37 +9999999999", ", ,", "100, 200",
    )  # fmt: skip
    head = "HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\nretry-after: {}\r\n\r\n"
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=patient())) as it:
        shop.decide = first_only({value: Act(raw=head.format(value).encode("latin-1")) for value in junk})
        ended = await _each(it, junk)
        assert {one["state"] for one in ended.values()} == {"delivered"}
        assert {value: gap for value in junk if (gap := _gap(shop, value)) > SLACK} == {}


async def test_a_run_dies_with_every_attempt_once_its_time_is_over(tmp_path: Path) -> None:
    rules = {"all": {"from": ["web"], "do": [step(retry={"for": "2s", "first": "20ms", "max": "200ms"})]}}
    async with (
        backend(answers(503, {"why": "closed"})) as shop,
        instance(tmp_path, document(shop.url, rules=rules)) as it,
    ):
        message = await it.send({"a": 1})
        dead = await it.ended(message)
        attempts = dead["attempts"]
        assert dead["state"] == "dead"
        assert len(attempts) == len(shop.calls) >= 2
        assert [one["number"] for one in attempts] == list(range(1, len(attempts) + 1))
        assert {(one["outcome"], one["status"]) for one in attempts} == {("retry", 503)}
        assert all(one["answer"]["body"] == '{"why": "closed"}' for one in attempts)
        assert f"given up after {len(attempts)} attempts" in dead["reason"]
        took = _instant(attempts[-1]["started_at"]) - _instant(attempts[0]["started_at"])
        assert took <= 2.0 + SLACK  # the next one would have been too late, or the last was itself
        assert len({(call.key, call.body, call.target) for call in shop.calls}) == 1

        shop.default = Act()
        answer = await it.admin("POST", f"/api/v1/deliveries/{dead['id']}/retry")
        assert answer.status_code == 202, answer.text
        made = answer.json()["id"]
        assert made != dead["id"]
        await until(lambda: _is(it, made, "delivered"))
        assert {call.key for call in shop.calls} == {shop.calls[0].key}
        assert (await it.show(dead["id"]))["state"] == "dead"


async def _is(it: Instance, delivery: str, state: str) -> bool:
    return bool((await it.show(delivery))["state"] == state)


async def test_a_retry_by_hand_does_not_wait_for_retry_after(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=patient())) as it:
        shop.script(answers(429, retry_after="3600"))
        message = await it.send({"a": 1})
        planned = await _waiting(it, message)
        assert (await it.admin("POST", f"/api/v1/deliveries/{planned['id']}/retry")).status_code == 202
        assert (await it.ended(message))["state"] == "delivered"


async def test_after_a_breaker_closes_there_is_one_more_attempt_however_late_it_is(tmp_path: Path) -> None:
    breaker = {"failures": 3, "first": "1s", "max": "1s"}
    connections = {"shop": connection("http://127.0.0.1:1", breaker=breaker)}
    async with backend(answers(503)) as shop:
        connections["shop"]["server"] = shop.url
        content = document(shop.url, connections=connections, rules=patient("300ms"))
        async with instance(tmp_path, content) as it:
            messages = [await it.send({"n": n}) for n in range(5)]
            await until(lambda: it.lane().state == "open", "the breaker opens")
            shop.default = Act()
            for message in messages:
                assert (await it.ended(message))["state"] == "delivered"
            assert time.monotonic() - shop.calls[0].at > 0.8


SOON = "between two attempts"


async def test_a_message_that_has_expired_is_not_sent_and_an_odd_expiry_never_matters(tmp_path: Path) -> None:
    expiries = {
        "2001-01-01T00:00:00Z": "expired", "0001-01-01T00:00:00+14:00": "expired", SOON: "expired",
        "9999-12-31T23:59:59-14:00": "delivered", "soon": "delivered", "": "delivered", "2001-13-01T00:00:00Z": "delivered",
        "2001-01-01": "expired", "99999999999999999999": "delivered",
    }  # fmt: skip
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=patient())) as it:
        shop.decide = first_only(
            {expiry: answers(503, retry_after="3") if expiry == SOON else Act() for expiry in expiries}
        )
        ends = {}
        for expiry in expiries:
            headers = {"ce-specversion": "1.0", "ce-id": f"e{len(ends)}", "ce-source": "/s", "ce-type": "t"}
            body = json.dumps({"case": expiry}).encode()
            soon = datetime.fromtimestamp(time.time() + 2.5, UTC).isoformat()
            answer = await it.post(body, headers={**headers, "ce-expirytime": expiry.replace(SOON, soon)})
            assert answer.status_code in (202, 400), (expiry, answer.text)
            if answer.status_code == 202:
                ends[expiry] = await it.ended(answer.json()["id"])
        seen = {expiry: end["state"] for expiry, end in ends.items()}
        assert seen == {expiry: expiries[expiry] for expiry in seen}
        assert {SOON, "2001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"} <= set(seen)
        assert len(ends[SOON]["attempts"]) == 1
        assert "2001-01-01T00:00:00Z" not in [call.json["case"] for call in shop.calls]


# -- clocks


def _jump(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the wall clock of this process ahead or back; the monotonic clock goes on."""
    real: Callable[[], float] = time.time
    monkeypatch.setattr(time, "time", lambda: real() + seconds)


@pytest.mark.parametrize("hour", [3600.0, -3600.0])
async def test_a_jump_of_the_wall_clock_moves_no_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hour: float
) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=patient())) as it:
        shop.script(answers(503, retry_after="4"), answers(503))
        message = await it.send({"a": 1})
        await _waiting(it, message)
        _jump(monkeypatch, hour)
        it.service.dispatch.nudge()
        first, second, _third = await shop.called(3)
        assert 4.0 <= second.at - first.at < 4.0 + SLACK
        assert (await it.ended(message))["state"] == "delivered"


async def test_a_waiting_retry_keeps_its_time_over_a_restart(tmp_path: Path) -> None:
    content = {}
    async with backend() as shop:
        content = document(shop.url, rules=patient())
        shop.script(answers(503, retry_after="8"))
        async with instance(tmp_path, content) as it:
            message = await it.send({"a": 1})
            due = (await _waiting(it, message))["due_at"]
        async with instance(tmp_path, content) as it:
            (row,) = await it.deliveries(message=message)
            assert (row["state"], row["due_at"]) == ("waiting", due)
            first, second = await shop.called(2)
            assert second.at - first.at >= 8.0
            assert first.key == second.key
            done = await it.ended(message)
            assert [one["outcome"] for one in done["attempts"]] == ["retry", "ok"]


@pytest.mark.parametrize("hour", [3600.0, -3600.0])
async def test_a_retry_is_neither_lost_nor_stormed_by_a_clock_set_between_two_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hour: float
) -> None:
    async with backend() as shop:
        content = document(shop.url, rules=patient())
        shop.script(answers(503, retry_after="4"))
        async with instance(tmp_path, content) as it:
            message = await it.send({"a": 1})
            await _waiting(it, message)
        wall = time.time
        monkeypatch.setattr("service.app.SteadyClock", lambda: SteadyClock(wall=lambda: wall() + hour))
        async with instance(tmp_path, content) as it:
            assert (await it.ended(message))["state"] == "delivered"
            assert len(shop.calls) == 2


# -- what is on the wire


async def test_key_trace_cause_and_hops_travel_with_every_attempt(tmp_path: Path) -> None:
    rules = {
        "all": {
            "from": ["web"],
            "do": [step(name="first"), step("shop.two", name="second")],
        },
        "too": {"from": ["web"], "do": [step()]},
    }
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=rules)) as it:
        shop.script(answers(503), answers(503), path="/one")
        shop.script(answers(502), path="/two")
        message = await it.send(
            {"a": 1},
            headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "pointsman-hops": "3"},
        )
        calls = await shop.called(6)
        keys = {call.target: {one.key for one in shop.to(call.target)} for call in calls}
        assert len(keys["/one"]) == 2  # two rules, each with its own
        assert len(keys["/two"]) == 1
        assert not keys["/one"] & keys["/two"]
        assert all(len(key) == 32 for made in keys.values() for key in made)
        for call in calls:
            version, seen, span, flags = call.headers["traceparent"].split("-")
            assert (version, seen, flags) == ("00", trace, "01")
            assert len(span) == 16
            assert call.headers["pointsman-causation"] == message
            assert call.headers["pointsman-hops"] == "4"
            assert call.headers["idempotency-key"].startswith('"')
        assert len({call.headers["traceparent"] for call in calls}) == 6


async def test_a_repeated_webhook_calls_nothing_and_another_body_is_kept_as_a_reject(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url)) as it:
        answered = await asyncio.gather(*(it.post(b'{"a": 1}', name="evt_same") for _ in range(50)))
        assert {answer.status_code for answer in answered} == {202}
        assert len({answer.json()["id"] for answer in answered}) == 1
        await it.ended(answered[0].json()["id"])
        other = await it.post(b'{"a": 2}', name="evt_same")
        assert other.status_code == 202
        assert other.json()["id"].startswith("rej_")
        assert len(shop.calls) == 1


async def test_a_message_that_made_too_many_hops_is_kept_and_calls_nothing(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url)) as it:
        for hops, accepted in (("16", "msg_"), ("17", "rej_"), ("999999999999999999999", "rej_")):
            answer = await it.post(b'{"a": 1}', headers={"pointsman-hops": hops})
            assert answer.json()["id"].startswith(accepted), hops
        await shop.called(1)
        rejects = await it.admin("GET", "/api/v1/rejects")
        assert {one["reason"] for one in rejects.json()["items"]} == {"too-many-hops"}


async def test_two_rules_that_feed_each_other_end(tmp_path: Path) -> None:
    """The backend is a webhook of the same instance: the message goes round until its hops are used up."""
    async with backend() as shop, instance(tmp_path, document(shop.url)) as it:
        await it.send({"lap": 0})
        taken, laps = "msg_", 0
        while taken.startswith("msg_"):
            laps += 1
            call = (await shop.called(laps))[-1]
            passed_on = {"pointsman-hops": call.headers["pointsman-hops"]}
            body = b'{"lap": %d}' % laps
            answer = await it.client.post(
                f"{it.url}/hooks/web", content=body, headers={**signed(body, f"evt_{laps}"), **passed_on}
            )
            taken = answer.json()["id"]
        assert taken.startswith("rej_")
        assert laps == len(shop.calls) == 17

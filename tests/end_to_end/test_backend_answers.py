"""What a backend answers, however it does: bounded in bytes and time, and exactly what later steps and people see."""

import asyncio
import json
import resource
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.backend import Act, answers, backend
from tests.end_to_end.instance import connection, document, instance, step
from tests.patience import SLACK

MIB = 1024 * 1024


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _steps(second: dict[str, Any]) -> dict[str, Any]:
    """Return rules whose second step sends what it makes of the first one's answer."""
    return {
        "all": {
            "from": ["web"],
            "do": [step(name="first"), step("shop.two", **{"with": {"body": second}})],
        }
    }


@pytest.mark.parametrize("engine", ["pyreqwest", "httpx", "direct"])
async def test_a_huge_answer_is_read_to_the_cap_and_cut(tmp_path: Path, engine: str) -> None:
    limits = {"max_answer": "64KiB", "timeout": "5s"}
    async with backend() as shop:
        content = document(shop.url, connections={"shop": connection(shop.url, limits=limits, engine=engine)})
        async with instance(tmp_path, content) as it:
            before = _peak_bytes()
            chunked = b"transfer-encoding: chunked\r\n\r\n"
            shop.script(
                Act(status=422, body=b"a" * MIB),
                Act(raw=b"HTTP/1.1 422 No\r\n" + chunked, endless=True),
                Act(raw=b"HTTP/1.1 200 OK\r\n" + chunked, endless=True),
            )
            for end, sign in (("dead", "a"), ("dead", "x"), ("delivered", "x")):
                seen = await it.ended(await it.send({"a": 1}))
                assert seen["state"] == end
                kept = seen["attempts"][0]["answer"]
                assert kept["cut"] is True
                assert set(kept["body"]) == {sign}
                assert len(kept["body"]) <= 16 * 1024
            assert _peak_bytes() - before < 30 * MIB


@pytest.mark.parametrize("engine", ["pyreqwest", "httpx", "direct"])
async def test_a_gzip_bomb_stays_one_capped_body(tmp_path: Path, engine: str) -> None:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    head = squeezer.compress(b"") + squeezer.flush(zlib.Z_FULL_FLUSH)
    bomb = head + 300 * (squeezer.compress(b"\0" * MIB) + squeezer.flush(zlib.Z_FULL_FLUSH))
    assert len(bomb) < MIB
    async with backend() as shop:
        content = document(shop.url, connections={"shop": connection(shop.url, engine=engine)})
        content["rules"] = _steps({"length": "${size(string(steps.first.status))}"})
        async with instance(tmp_path, content) as it:
            before = _peak_bytes()
            coded = (("content-encoding", "gzip"), ("content-type", "application/json"))
            shop.script(Act(headers=coded, body=bomb), Act(status=400, headers=coded, body=bomb))
            started = time.monotonic()
            dead = await it.ended(await it.send({"a": 1}))
            assert dead["state"] == "dead"
            assert [one["answer"]["cut"] for one in dead["attempts"]] == [True, True]
            assert time.monotonic() - started < 5.0 + SLACK
            assert _peak_bytes() - before < 60 * MIB


async def test_the_deadline_is_for_all_of_a_call_not_for_each_byte(tmp_path: Path) -> None:
    limits = {"timeout": "600ms"}
    async with backend() as shop:
        content = document(shop.url, connections={"shop": connection(shop.url, limits=limits)})
        content["rules"]["all"]["do"][0]["on_unknown"] = "dead"
        async with instance(tmp_path, content) as it:
            shop.script(
                Act(drip=0.05),
                Act(body=b"z" * 100, early=3, drip=0.05),
                Act(length=1000, delay=0.1),  # and then nothing more, with the connection open
                Act(raw=b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100, drip=0.05),
            )
            for _ in range(4):
                seen = await it.ended(await it.send({"a": 1}))
                (attempt,) = seen["attempts"]
                assert (seen["state"], attempt["outcome"]) == ("dead", "unknown")
                assert attempt["took_ms"] < 2000 + SLACK * 1000


async def test_numbers_arrive_as_they_came_from_the_webhook_and_from_earlier_answers(tmp_path: Path) -> None:
    numbers = (
        "12345678901234567890", "-98765432109876543210", "18446744073709551616", "1.10", "0.10000000000000000000001",
        "1e2", "-0", "-0.0", "9007199254740993", "1E+2", "123456789012345678901234567890.5",
    )  # fmt: skip
    for_data = ", ".join(f'"n{place}": {number}' for place, number in enumerate(numbers))
    first = {f"n{place}": f"${{data.n{place}}}" for place in range(len(numbers))}
    second = {f"n{place}": f"${{steps.first.body.n{place}}}" for place in range(len(numbers))}
    rules = {
        "all": {
            "from": ["web"],
            "do": [
                step(name="first", **{"with": {"body": {**first, "all": "${data}", "text": "n=${data.n0}"}}}),
                step("shop.two", **{"with": {"body": {**second, "whole": "${steps.first.body}"}}}),
                step(
                    "shop.putItem",
                    **{"with": {"item": "${data.n0}", "q": "${data.n3}", "X-Note": "${data.n1}"}},
                ),
            ],
        }
    }
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=rules)) as it:
        shop.script(Act(body=f"{{{for_data}}}".encode()), path="/one")
        done = await it.ended(await it.send(f"{{{for_data}}}".encode()))
        assert done["state"] == "delivered", done["reason"]
        one, two, put = shop.calls
        for place, number in enumerate(numbers):
            assert f'"n{place}":{number}'.encode() in one.body.replace(b'": ', b'":')
            assert f'"n{place}":{number}'.encode() in two.body.replace(b'": ', b'":')
        assert f'"all":{{{for_data}}}'.encode() in one.body
        assert f'"whole":{{{for_data}}}'.encode() in two.body
        assert b'"text":"n=12345678901234567890"' in one.body
        assert put.target == "/items/12345678901234567890?q=1.10"
        assert put.headers["x-note"] == "-98765432109876543210"


async def test_later_steps_see_status_headers_and_body_of_an_answer(tmp_path: Path) -> None:
    second = {
        "status": "${steps.first.status}",
        "request": "${steps.first.headers['x-request']}",
        "id": "${steps.first.body.items[0].id}",
        "gone": "${steps.first.body.?absent}",
    }
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=_steps(second))) as it:
        shop.script(answers(503), answers(201, {"items": [{"id": "é€"}]}, x_request="r-1"), path="/one")
        shop.script(answers(502), answers(429), path="/two")
        done = await it.ended(await it.send({"a": 1}))
        assert done["state"] == "delivered"
        assert [(one["step"], one["outcome"]) for one in done["attempts"]] == [
            (0, "retry"), (0, "ok"), (1, "unknown"), (1, "retry"), (1, "ok"),
        ]  # fmt: skip
        assert len(shop.to("/one")) == 2  # the first step is not called again for the second one's sake
        assert {call.body for call in shop.to("/two")} == {
            json.dumps(
                {"status": 201, "request": "r-1", "id": "é€"}, ensure_ascii=False, separators=(",", ":")
            ).encode()
        }


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        (b"<html>moved</html>", '"<html>moved</html>"'),
        (b"", "null"),
        (b"null", "null"),
        (b'{"a": 1e400}', None),
        (b'{"a": ' + b"9" * 5000 + b"}", None),
        (b'{"a": NaN}', None),
        (b"[" * 100_000 + b"]" * 100_000, None),
        (b'{"a": "\xff\xfe"}', None),
        (b'{"a": "\\ud800"}', None),
        (b"\xef\xbb\xbf{}", None),
    ],
    ids=["html", "empty", "null", "1e400", "5000 digits", "NaN", "deep", "not UTF-8", "half a pair", "BOM"],
)
async def test_an_odd_answer_never_stops_the_steps(tmp_path: Path, body: bytes, seen: str | None) -> None:
    second = {"body": "${steps.first.body}"}
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=_steps(second))) as it:
        shop.script(Act(body=body), path="/one")
        done = await it.ended(await it.send({"a": 1}))
        assert done["state"] == "delivered", done["reason"]
        (call,) = shop.to("/two")
        assert call.json is not None
        if seen is not None:
            assert call.body == f'{{"body":{seen}}}'.encode()
        assert (await it.ended(await it.send({"a": 2})))["state"] == "delivered"


async def test_an_answer_too_long_for_later_steps_is_said_to_be_so(tmp_path: Path) -> None:
    second = {"id": "${steps.first.body.id}"}
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=_steps(second))) as it:
        shop.script(Act(body=json.dumps({"id": 1, "pad": "x" * 300_000}).encode()), path="/one")
        dead = await it.ended(await it.send({"a": 1}))
        assert (dead["state"], dead["step"]) == ("dead", 1)
        assert "/body/id" in dead["reason"]
        assert not shop.to("/two")


async def test_a_200_with_a_cut_body_is_not_a_success(tmp_path: Path) -> None:
    second = {"id": "${steps.first.body.id}"}
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=_steps(second))) as it:
        shop.script(Act(body=b'{"id": "a", "rest": "0123456789"}', cut="body"), path="/one")
        done = await it.ended(await it.send({"a": 1}))
        assert done["attempts"][0]["outcome"] == "unknown"
        assert (len(shop.to("/one")), len(shop.to("/two"))) == (2, 0)
        assert done["state"] == "dead"  # the second answer of the first step, {}, has no id


async def test_calls_under_way_are_not_mixed_up(tmp_path: Path) -> None:
    """Every answer goes to the delivery that made the call, with many under way on few connections."""
    second = {"n": "${data.n}", "echo": "${steps.first.body.n}"}
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=_steps(second))) as it:
        shop.decide = lambda call: (
            Act(body=call.body, delay=(call.json["n"] * 7 % 5) / 500) if call.target == "/one" else None
        )
        await asyncio.gather(*(it.send({"n": n}) for n in range(100)))
        calls = await shop.called(100, "/two")
        assert all(call.json["n"] == call.json["echo"] for call in calls)

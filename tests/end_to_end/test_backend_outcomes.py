"""Every row of the outcome table over real HTTP: what the backend does, what is recorded of it, where the run ends."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.backend import Act, Backend, answers, backend, first_only
from tests.end_to_end.instance import Instance, connection, document, instance, step


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: the first answer, what is recorded of it, and how the run ends when all else goes well."""

    name: str
    act: Act
    outcome: str
    end: str
    attempts: int
    status: int | None
    says: str = ""


def _rows() -> list[Row]:
    rows = [
        Row(name=str(status), act=answers(status), outcome="ok", end="delivered", attempts=1, status=status)
        for status in (200, 201, 202, 226, 299)
    ]
    rows.append(
        Row(
            name="204",
            act=Act(raw=b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"),
            outcome="ok", end="delivered", attempts=1, status=204,
        )
    )  # fmt: skip
    for outcome, statuses in (("retry", (408, 425, 429, 500, 503)), ("unknown", (502, 504, 507, 520, 599))):
        rows += [
            Row(
                name=str(status), act=answers(status, {"why": "busy"}), outcome=outcome, end="delivered",
                attempts=2, status=status, says=f"the backend answered {status}",
            )
            for status in statuses
        ]  # fmt: skip
    refused = (400, 402, 404, 405, 406, 409, 410, 411, 412, 413, 415, 418, 422, 451, 499, 501, 505)
    rows += [
        Row(
            name=str(status), act=answers(status, {"why": "no"}), outcome="refused", end="dead", attempts=1,
            status=status, says=f'the backend answered {status}: {{"why": "no"}}',
        )
        for status in refused
    ]  # fmt: skip
    rows += [
        Row(
            name=str(status), act=answers(status, location="http://127.0.0.1:1/elsewhere"), outcome="refused",
            end="dead", attempts=1, status=status, says="redirects are not followed",
        )
        for status in (300, 301, 302, 303, 307, 308)
    ]  # fmt: skip
    broken = {
        "closed without an answer": Act(cut="after"),
        "reset after the request": Act(cut="after", reset=True),
        "cut in the body of a 200": Act(body=b'{"id": "0123456789"}', cut="body"),
        "shorter than its length": Act(body=b"{}", length=1000),
        "not HTTP": Act(raw=b"SSH-2.0-OpenSSH_9.6\r\n"),
        "a head that never ends": Act(raw=b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2_000_000),
        "a broken chunk": Act(raw=b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
        "two different lengths": Act(
            raw=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x"
        ),
        "no answer in time": Act(delay=60),
    }
    rows += [
        Row(name=name, act=act, outcome="unknown", end="delivered", attempts=2, status=None, says="answer")
        for name, act in broken.items()
    ]
    rows.append(
        Row(name="interim flood", act=Act(early=60), outcome="ok", end="delivered", attempts=1, status=200)
    )
    return rows


ROWS = _rows()


async def _all(it: Instance, cases: list[str]) -> dict[str, dict[str, Any]]:
    """Send one message for each case and return the deliveries when all have ended."""
    sent = dict(zip(cases, await asyncio.gather(*(it.send({"case": case}) for case in cases)), strict=True))
    ended = await asyncio.gather(*(it.ended(message) for message in sent.values()))
    return dict(zip(cases, ended, strict=True))


def _wrong(row: Row, seen: dict[str, Any], shop: Backend) -> list[str]:
    """Return what is not as the row says."""
    attempts = seen["attempts"]
    calls = [call for call in shop.calls if call.json["case"] == row.name]
    expected = {
        "end": (seen["state"], row.end),
        "attempts": (len(attempts), row.attempts),
        "outcome": (attempts[0]["outcome"], row.outcome),
        "status": (attempts[0]["status"], row.status),
        "numbers": ([one["number"] for one in attempts], list(range(1, row.attempts + 1))),
        "calls": (len(calls), row.attempts),
        "keys": (len({call.key for call in calls}), 1),
        "bodies": (len({call.body for call in calls}), 1),
        "reason": (row.says in seen["reason"] if row.end == "dead" else seen["reason"] == "", True),
        "detail": (row.says in attempts[0]["detail"], True),
    }
    return [
        f"{row.name}: {what}: {got!r}, not {wanted!r}"
        for what, (got, wanted) in expected.items()
        if got != wanted
    ]


@pytest.mark.parametrize("engine", ["pyreqwest", "httpx", "direct"])
async def test_every_row_of_the_table_is_recorded_and_ends_as_it_says(tmp_path: Path, engine: str) -> None:
    async with backend() as shop:
        limits = {"timeout": "8s", "in_flight": 100}  # of which a busy machine takes some
        content = document(shop.url, connections={"shop": connection(shop.url, limits=limits, engine=engine)})
        async with instance(tmp_path, content) as it:
            shop.decide = first_only({row.name: row.act for row in ROWS})
            ended = await _all(it, [row.name for row in ROWS])
            wrong = [line for row in ROWS for line in _wrong(row, ended[row.name], shop)]
            assert not wrong, "\n".join(wrong)
            kept = ended["422"]["attempts"][0]["answer"]
            assert kept["body"] == '{"why": "no"}'
            assert kept["headers"]["content-type"] == "application/json"


async def test_unknown_outcomes_are_dead_where_the_step_says_so_and_others_are_tried_again(
    tmp_path: Path,
) -> None:
    rules = {
        "all": {"from": ["web"], "do": [step(on_unknown="dead", timeout="5s")]},
    }
    acts = {
        "502": answers(502),
        "cut": Act(cut="after"),
        "body": Act(body=b"0123456789", cut="body"),
        "late": Act(delay=60),
    }
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=rules)) as it:
        shop.decide = first_only({**acts, "503": answers(503)})
        ended = await _all(it, [*acts, "503"])
        for case in acts:
            assert ended[case]["state"] == "dead", case
            assert len(ended[case]["attempts"]) == 1, case
            assert ended[case]["attempts"][0]["outcome"] == "unknown", case
            assert "the step says on_unknown: dead" in ended[case]["reason"], case
        assert ended["503"]["state"] == "delivered"


async def test_a_step_says_itself_what_a_status_means(tmp_path: Path) -> None:
    said = {"409": "ok", "4xx": "retry", "503": "refused", "202": "retry", "401": "refused", "3xx": "ok"}
    rules = {"all": {"from": ["web"], "do": [step(on=said)]}}
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=rules)) as it:
        statuses = (409, 422, 503, 202, 401, 302, 200, 500)
        shop.decide = first_only({str(status): answers(status) for status in statuses})
        ended = await _all(it, [str(status) for status in statuses])
        seen = {case: (one["state"], len(one["attempts"])) for case, one in ended.items()}
        assert seen == {
            "409": ("delivered", 1), "422": ("delivered", 2), "503": ("dead", 1), "202": ("delivered", 2),
            "401": ("dead", 1), "302": ("delivered", 1), "200": ("delivered", 1), "500": ("delivered", 2),
        }  # fmt: skip
        assert it.lane().state == "ok"
        assert "the step's `on:` says refused" in ended["503"]["reason"]


@pytest.mark.parametrize("engine", ["pyreqwest", "httpx", "direct"])
async def test_a_refused_connection_was_surely_not_sent(tmp_path: Path, engine: str) -> None:
    rules = {"all": {"from": ["web"], "do": [step(on_unknown="dead")]}}
    content = document("", rules=rules)
    async with backend() as shop:
        content["connections"] = {"shop": connection(shop.url, engine=engine)}
        async with instance(tmp_path, content) as it:
            await shop.die()
            message = await it.send({"a": 1})
            waiting = await it.ended(message, "waiting", "running", "pending")
            while not waiting["attempts"] or waiting["attempts"][0]["outcome"] == "under way":
                waiting = await it.ended(message, "waiting", "running", "pending")
            assert waiting["attempts"][0]["outcome"] == "retry"
            assert waiting["attempts"][0]["status"] is None
            await shop.revive()
            done = await it.ended(message)
            assert done["state"] == "delivered"
            assert {one["outcome"] for one in done["attempts"][:-1]} == {"retry"}

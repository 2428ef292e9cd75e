"""Calls that take more than one request, in a real instance: pages, 202, ETags, keys, what a status means."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.end_to_end.apis import call, configured, done, ended, openapi, operation, parameter, write
from tests.end_to_end.backend import Act, Backend, Call, answers, backend
from tests.end_to_end.instance import RETRY, instance

ITEMS = [{"n": n, "big": 10**25 + n} for n in range(7)]


def _query(request: Call) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(request.target).query).items()}


def _by_link(request: Call) -> Act:
    page = int(_query(request).get("p", "0"))
    more = f'<?p={page + 1}&x=%C3%A4>; rel="next", <?p=0>; rel=first'
    named = {"link": more} if page < 3 else {}
    return answers(200, ITEMS[page * 2 : page * 2 + 2], **named)


def _by_cursor(request: Call) -> Act:
    at = int(_query(request).get("cursor", "0 ").split()[0])
    following = {"next_cursor": f"{at + 3} &="} if at + 3 < len(ITEMS) else {"next_cursor": ""}
    return answers(200, {"data": ITEMS[at : at + 3], "meta": following, **following})


def _by_offset(request: Call) -> Act:
    at = int(_query(request).get("offset", "0"))
    return answers(200, {"results": ITEMS[at : at + 2], "total": len(ITEMS)})


def _by_declared(request: Call) -> Act:
    page = int(_query(request).get("$skiptoken", "0"))
    found: dict[str, Any] = {"things": ITEMS[page * 4 : page * 4 + 4], "more": None}
    if page == 0:
        found["more"] = f"http://{request.headers['host']}/declared?$skiptoken=1"
    return answers(200, found)


PAGED: dict[str, tuple[Callable[[Call], Act], dict[str, Any], str, int]] = {
    "link": (_by_link, operation("link", parameter("p", "query")), "", 4),
    "cursor": (_by_cursor, operation("cursor", parameter("cursor", "query")), "data", 3),
    "offset": (_by_offset, operation("offset", parameter("offset", "query")), "results", 4),
    "declared": (
        _by_declared,
        operation("declared", **{"x-ms-pageable": {"nextLinkName": "more", "itemName": "things"}}),
        "things",
        2,
    ),
}
COLLECT = {"call": "api.collect", "with": {}, "retry": RETRY}


def _paged(name: str, url: str, items: str, **more: Any) -> dict[str, Any]:
    """Return a rule that reads all pages and sends what it found on."""
    seen = f"steps.{name}.body" + (f".{items}" if items else "")
    content = configured(url, call(name, follow_pages=more.pop("follow_pages", True), **more))
    content["rules"]["rule-0"]["do"].append(
        {
            **COLLECT,
            "with": {
                "body": {
                    "all": "${" + seen + "}",
                    "sizes": "${" + seen + ".map(one, one.n)}",
                    "pages": "${" + f"steps.{name}.headers['pointsman-pages']" + "}",
                    "more": "${" + f"steps.{name}.headers[?'pointsman-more'].orValue('')" + "}",
                }
            },
        }
    )
    return content


def _spec(name: str) -> dict[str, Any]:
    body: dict[str, Any] = {"requestBody": {"content": {"application/json": {"schema": {}}}}}
    return openapi({f"/{name}": {"get": PAGED[name][1]}, "/collect": {"post": operation("collect", **body)}})


def _decide(act: Callable[[Call], Act]) -> Callable[[Call], Act | None]:
    return lambda request: act(request) if request.method == "GET" else None


@pytest.mark.parametrize("name", list(PAGED))
async def test_all_pages_are_one_answer_for_the_next_step(tmp_path: Path, name: str) -> None:
    act, _, items, pages = PAGED[name]
    write(tmp_path, {"api.json": _spec(name)})
    async with backend() as api:
        api.decide = _decide(act)
        content = _paged(name, api.url, items)
        content["connections"]["api"]["auth"] = {"bearer": {"env": "BACKEND_TOKEN"}}
        async with instance(tmp_path, content) as it:
            await done(it, name)
        reads, (collected,) = api.to(f"/{name}"), api.to("/collect")
        assert len(reads) == pages
        assert {one.headers["authorization"] for one in api.calls} == {"Bearer token-of-the-backend"}
        assert collected.json == {"all": ITEMS, "sizes": [*range(7)], "pages": str(pages), "more": ""}
        assert b"10000000000000000000000006" in collected.body  # every digit


async def test_no_more_pages_are_read_than_may_be_and_the_next_step_can_see_it(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": _spec("offset")})
    async with backend() as api:
        api.decide = _decide(_by_offset)
        async with instance(tmp_path, _paged("offset", api.url, "results", follow_pages=2)) as it:
            await done(it, "offset")
        (collected,) = api.to("/collect")
        assert collected.json["sizes"] == [0, 1, 2, 3]
        assert collected.json["more"] == "the most pages were read"


async def test_a_page_that_fails_is_how_the_call_ends_and_all_are_read_again(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": _spec("link")})
    failures = [answers(503), Act(cut="body", body=b"[1, 2"), answers(401, {"why": "once"})]

    def decide(request: Call) -> Act | None:
        if request.target.startswith("/link?p=2") and failures:
            return failures.pop()
        return _by_link(request) if request.method == "GET" else None

    async with backend() as api:
        api.decide = decide
        content = _paged("link", api.url, "", on={"401": "retry"})
        async with instance(tmp_path, content) as it:
            delivery = await done(it, "link")
        outcomes = [one["outcome"] for one in delivery["attempts"]]
        assert outcomes == ["retry", "retry", "retry", "ok", "ok"]
        assert len(api.to("/collect")) == 1
        assert api.to("/collect")[0].json["sizes"] == [*range(7)]


# -- 202

JOBS = openapi(
    {
        "/jobs": {
            "post": operation(
                "start",
                requestBody={"content": {"application/json": {"schema": {}}}},
            ),
        },
        "/collect": {
            "post": operation("collect", requestBody={"content": {"application/json": {"schema": {}}}})
        },
    }
)


def _job(api: Backend, *states: Act) -> None:
    """Let the backend accept, and then tell of these states."""
    waiting = list(states)

    def decide(request: Call) -> Act | None:
        if request.method == "POST" and request.target == "/jobs":
            return answers(202, {"id": 7}, location="/jobs/7", retry_after="0")
        if request.target == "/jobs/7":
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return None

    api.decide = decide


RUNNING = answers(200, {"status": "Running"}, retry_after="0")


async def test_what_was_accepted_is_waited_for_and_its_result_goes_to_the_next_step(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": JOBS})
    async with backend() as api:
        _job(api, RUNNING, answers(503), RUNNING, answers(200, {"status": "Succeeded", "result": [1, 2]}))
        content = configured(api.url, call("start", {"body": "${data}"}, wait="20s"))
        content["rules"]["rule-0"]["do"].append({**COLLECT, "with": {"body": "${steps.start.body.result}"}})
        async with instance(tmp_path, content) as it:
            delivery = await done(it, "start")
        assert [one["outcome"] for one in delivery["attempts"]] == ["ok", "ok"]
        assert len([one for one in api.to("/jobs") if one.method == "POST"]) == 1
        assert api.to("/collect")[0].json == [1, 2]
        looks = [one for one in api.calls if one.target == "/jobs/7"]
        assert len(looks) >= 4
        assert all(one.body == b"" and "content-type" not in one.headers for one in looks)


async def test_what_failed_after_it_was_accepted_is_dead_with_its_words(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": JOBS})
    async with backend() as api:
        _job(api, RUNNING, answers(200, {"status": "Failed", "error": "the warehouse burnt down"}))
        async with instance(tmp_path, configured(api.url, call("start", {"body": {}}, wait="20s"))) as it:
            delivery = await ended(it, "start")
        assert delivery["state"] == "dead"
        assert "ended as failed" in delivery["reason"]
        assert "the warehouse burnt down" in delivery["reason"]
        assert len([one for one in api.calls if one.method == "POST"]) == 1


@pytest.mark.parametrize(("then", "state"), [("dead", "dead"), ("retry", "delivered")])
async def test_what_is_not_done_in_time_is_unknown(tmp_path: Path, then: str, state: str) -> None:
    write(tmp_path, {"api.json": JOBS})
    async with backend() as api:
        begun = 0

        def decide(request: Call) -> Act | None:
            nonlocal begun
            if request.method == "POST":
                begun += 1
                return answers(202, {}, location="/jobs/7", retry_after="60")
            return answers(200, {"status": "done"})

        api.decide = decide
        content = configured(api.url, call("start", {"body": {}}, wait="1s", on_unknown=then))
        async with instance(tmp_path, content) as it:
            delivery = await ended(it, "start")
        assert delivery["state"] == state
        assert delivery["attempts"][0]["outcome"] == "unknown"
        assert "not done in time" in delivery["attempts"][0]["detail"]
        begun_with = [one.key for one in api.calls if one.method == "POST"]
        assert len(begun_with) == begun == 1  # what was accepted is waited for, not begun anew
        assert begun_with[0]


# -- ETags, keys, statuses

STOCK = openapi(
    {
        "/stock/{id}": {
            "put": operation("set", parameter("id", "path"), requestBody={"content": {"application/json": {"schema": {}}}}),
            "get": operation("get", parameter("id", "path")),
        },
        "/orders": {
            "post": operation(
                "order",
                parameter("X-Idempotency-Key", "header"),
                requestBody={"content": {"application/json": {"schema": {}}}},
            )
        },
    }
)  # fmt: skip


class Stock:
    """One thing with an ETag; others may be faster."""

    def __init__(self, faster: int) -> None:
        self.version = 1
        self.faster = faster

    def __call__(self, request: Call) -> Act | None:
        if request.method == "GET":
            said = answers(200, {"n": self.version}, etag=f'"v{self.version}"')
            if self.faster:
                self.faster -= 1
                self.version += 1
            return said
        if request.headers.get("if-match") != f'"v{self.version}"':
            return answers(412, {"why": "somebody was faster"})
        self.version += 1
        return answers(200)


@pytest.mark.parametrize(("on", "state"), [({}, "dead"), ({"412": "retry"}, "delivered")])
async def test_what_somebody_else_has_changed_is_read_again(
    tmp_path: Path, on: dict[str, str], state: str
) -> None:
    write(tmp_path, {"api.json": STOCK})
    async with backend() as api:
        api.decide = Stock(faster=2)
        content = configured(api.url, call("set", {"id": "7", "body": {"n": 1}}, if_match=True, on=on))
        async with instance(tmp_path, content) as it:
            delivery = await ended(it, "set")
        assert delivery["state"] == state
        puts = [one for one in api.calls if one.method == "PUT"]
        assert [one.headers["if-match"] for one in puts] == (['"v1"', '"v2"', '"v3"'] if on else ['"v1"'])
        assert len({one.key for one in puts}) == 1
        gets = [one for one in api.calls if one.method == "GET"]
        assert len(gets) == len(puts)
        assert all("idempotency-key" not in one.headers and not one.body for one in gets)


async def test_a_resource_without_an_etag_is_not_touched(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": STOCK})
    async with backend() as api:
        api.default = answers(200, {})
        content = configured(api.url, call("set", {"id": "7", "body": {}}, if_match=True))
        async with instance(tmp_path, content) as it:
            delivery = await ended(it, "set")
        assert delivery["state"] == "dead"
        assert "it has no ETag" in delivery["reason"]
        assert {one.method for one in api.calls} == {"GET"}


async def test_the_declared_key_is_the_same_at_every_repeat_and_statuses_mean_what_the_step_says(
    tmp_path: Path,
) -> None:
    write(tmp_path, {"api.json": STOCK})
    async with backend() as api:
        api.script(answers(429, {}, retry_after="1"), answers(418), Act(cut="after"), answers(409))
        content = configured(api.url, call("order", {"body": "${data}"}, on={"418": "retry", "409": "ok"}))
        async with instance(tmp_path, content) as it:
            delivery = await done(it, "order")
            other = await done(it, "order", {"another": 1})
        assert [one["outcome"] for one in delivery["attempts"]] == ["retry", "retry", "unknown", "ok"]
        assert [one["outcome"] for one in other["attempts"]] == ["ok"]
        *first, last = api.calls
        keys = {one.headers["x-idempotency-key"] for one in first}
        assert len(keys) == 1
        assert len({one.body for one in first}) == 1
        assert last.headers["x-idempotency-key"] not in keys
        assert all("idempotency-key" not in one.headers for one in api.calls)
        assert first[1].at - first[0].at >= 1.0

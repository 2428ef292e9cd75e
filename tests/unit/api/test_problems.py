"""Everything that can be wrong with a request gets a problem document with a stable type."""

import pytest
from structlog.testing import capture_logs

from tests.tables import every_row

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "9" * 400


def assert_problem(answer, status, slug):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["type"] == f"urn:pointsman:problem:{slug}"
    assert document["status"] == status
    assert document["title"]
    return document


async def test_an_unknown_path_is_not_found(home):
    assert_problem(await home.ask("GET", "/api/v1/nothing"), 404, "not-found")


async def test_an_unknown_method_is_not_allowed(home):
    answer = await home.ask("PATCH", "/api/v1/messages")
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD"


@every_row(
    "path",
    [
        "/messages/msg_ffffff", "/messages/nope", f"/messages/msg_{LONG}", "/messages/%00", "/messages/msg_-1",
        "/messages/%F0%9F%9A%82", "/messages/%ED%A0%80", "/rejects/msg_000001", f"/rejects/rej_{LONG}",
        "/deliveries/dlv_000001", f"/deliveries/dlv_{LONG}-{LONG}-{LONG}", "/deliveries/dlv_000001-1-9",
        "/deliveries/dlv_000001-1--1", "/connectors/nope/operations", "/connectors/shop/operations/nope",
        "/messages/msg_000001/explain?rule=nope", "/messages?source=nope", "/deliveries?rule=nope",
        "/deliveries?connection=nope", "/deliveries?message=nope", "/rejects?source=%00",
    ],
)  # fmt: skip
async def test_what_is_not_there_is_not_found(home, path):
    document = assert_problem(await home.ask("GET", "/api/v1" + path), 404, "not-found")
    assert document["detail"]


async def test_a_name_that_is_near_is_offered(home):
    document = (await home.ask("GET", "/api/v1/deliveries?rule=pald")).json()
    assert document["detail"] == "there is no rule pald; did you mean paid?"


@every_row(
    ("path", "pointer"),
    [
        ("/messages?limit=0", "/query/limit"),
        ("/messages?limit=501", "/query/limit"),
        ("/messages?limit=ten", "/query/limit"),
        (f"/messages?limit={LONG}", "/query/limit"),
        ("/messages?cursor=nope", ""),
        (f"/messages?cursor={LONG[:200]}", ""),
        (f"/messages?cursor={LONG}", "/query/cursor"),
        ("/deliveries?cursor=%00", ""),
        ("/rejects?cursor=-1", ""),
        ("/messages?lmit=5", "/query/lmit"),
        ("/messages?" + "&".join(f"a{n}=1" for n in range(1000)), "/query/a0"),
        ("/health?source=x", "/query/source"),
        ("/deliveries?state=deed", ""),
    ],
)
async def test_a_bad_parameter_is_invalid_and_named(home, path, pointer):
    document = assert_problem(await home.ask("GET", "/api/v1" + path), 422, "invalid")
    assert document["errors"][0]["pointer"] == pointer
    assert document["errors"][0]["message"]


async def test_a_misspelt_parameter_is_answered_with_what_was_meant(home):
    document = (await home.ask("GET", "/api/v1/messages?lmit=5")).json()
    assert document["errors"][0]["fix"] == "did you mean limit?"


@every_row(
    ("content", "slug"),
    [
        (b"{", "invalid"),
        (b"[]", "invalid"),
        (b"null", "invalid"),
        (b"", "invalid"),
        (b'{"name": 7}', "invalid"),
        (b'{"nam": "x"}', "invalid"),
        (b'{"name": "x", "rol": "admin"}', "invalid"),
        (b'{"name": "x", "role": "amdin"}', "invalid"),
        (b'{"name": "../x"}', "invalid"),
        (b'{"name": "\\u0000"}', "invalid"),
        (b'{"name": "\\ud800"}', "invalid"),
        (b'{"name": ""}', "invalid"),
        (b'{"name": "' + b"x" * 64 + b'"}', "invalid"),
        (b"\xff\xfe", "invalid"),
        (b"[" * 100_000, "bad-request"),
    ],
)
async def test_a_bad_body_is_a_problem(home, content, slug):
    answer = await home.ask(
        "POST", "/api/v1/tokens", content=content, headers={"content-type": "application/json"}
    )
    assert_problem(answer, {"invalid": 422, "bad-request": 400}[slug], slug)


async def test_what_is_no_boolean_does_nothing(home):
    for value in ("on", 1, "true", None, [True]):
        answer = await home.ask("POST", "/api/v1/sources/open/setup", json={"apply": value})
        (error,) = assert_problem(answer, 422, "invalid")["errors"]
        assert error["pointer"] == "/body/apply"


async def test_all_problems_are_told_at_once(home):
    answer = await home.ask("POST", "/api/v1/tokens", json={"name": "", "role": "boss"})
    assert [one["pointer"] for one in assert_problem(answer, 422, "invalid")["errors"]] == ["/role", "/name"]


async def test_what_was_given_is_not_repeated(home):
    answer = await home.ask("POST", "/api/v1/tokens", json={"name": {"secret": "canary-in-a-body"}})
    assert_problem(answer, 422, "invalid")
    assert "canary" not in answer.text


async def test_a_state_that_forbids_it_is_a_conflict(home):
    assert_problem(await home.ask("POST", "/api/v1/deliveries/dlv_000001-1-1/retry"), 409, "conflict")
    assert_problem(await home.ask("POST", "/api/v1/deliveries/dlv_000001-1-1/discard"), 409, "conflict")
    assert_problem(await home.ask("POST", "/api/v1/connections/shop/release"), 409, "conflict")
    assert_problem(await home.ask("DELETE", "/api/v1/tokens/first"), 409, "conflict")
    assert_problem(await home.ask("POST", "/api/v1/tokens", json={"name": "reader"}), 409, "conflict")


async def test_a_failure_of_our_own_says_nothing_of_it_and_is_logged(home):
    async def fail(*_args, **_more):
        raise RuntimeError("canary in a traceback")

    messages = home.service.store.messages
    home.service.store.messages = fail
    try:
        with capture_logs() as logs:
            answer = await home.ask("GET", "/api/v1/messages")
    finally:
        home.service.store.messages = messages
    assert_problem(answer, 500, "internal")
    assert "canary" not in answer.text
    assert logs[0]["log_level"] == "error"


@every_row(
    ("path", "given", "fix"),
    [
        ("/connections/keyed/operations/order/call", {"dryrun": True}, "did you mean dry_run?"),
        ("/connections/keyed/operations/order/call", {"arguments": {}}, "there are: with, "),
        ("/tokens", {"name": "a", "rol": "reader"}, "did you mean role?"),
    ],
)
async def test_a_misspelt_field_is_told_with_what_was_meant(home, path, given, fix):
    document = assert_problem(await home.ask("POST", f"/api/v1{path}", json=given), 422, "invalid")
    (error,) = document["errors"]
    assert error["code"] == "unknown-field"
    assert error["fix"].startswith(fix)
    assert error["pointer"] in ("/body/dryrun", "/body/arguments", "/body/rol")


async def test_a_parameter_where_none_is_taken_is_told(home):
    document = assert_problem(await home.ask("GET", "/api/v1/connectors?x=1"), 422, "invalid")
    assert document["errors"][0]["fix"] == "none is taken here"


async def test_the_description_of_the_api_names_operations_as_the_log_does(home):
    described = (await home.ask("GET", "/api/v1/openapi.json")).json()
    ids = [one["operationId"] for item in described["paths"].values() for one in item.values()]
    assert len(ids) == len({*ids})
    assert {"show_connector", "try_connection", "call", "live"} <= {*ids}

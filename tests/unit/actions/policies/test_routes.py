"""routerequesttoendpoint and setvaluefromurl."""

import json
from typing import Any

import msgspec
import pytest

from actions.base import Answer
from actions.errors import OutcomeUnknown, Refused, RetryLater
from actions.policies import OperationPolicies
from actions.specs.model import Operation
from actions.transport import Request
from tests.tables import every_row
from tests.unit.actions.policies.trying import BASE, operation, policies, request, wire


def routed(
    path: str, of: Operation | None = None, method: str | None = None, **values: str
) -> OperationPolicies:
    given = {"newPath": path} | ({"httpMethod": method} if method is not None else {})
    return policies(("routerequesttoendpoint", given), of=of, values=values)


@every_row(
    ("path", "line"),
    [
        ("/real/{id}/items", b"POST /v1/real/7%2F8/items?a=1"),
        ("real/{ID}", b"POST /v1/real/7%2F8?a=1"),
        ("/", b"POST /v1/?a=1"),
        ("/$schema/x({id})", b"POST /v1/$schema/x(7%2F8)?a=1"),
        ("/x?b={id}&c=2", b"POST /v1/x?b=7%2F8&c=2&a=1"),
        ("/x/{a}", b"POST /v1/x/1?a=1"),
        ("/t/@connectionParameters('t')/x", b"POST /v1/t/%40%2F%3F/x?a=1"),
        ("/x?@queryParameters('a')=@queryParameters('a')", b"POST /v1/x?1=1&a=1"),
        ("/x#y", b"POST /v1/x?a=1"),
        ("/a b", b"POST /v1/a%20b?a=1"),
    ],
)
def test_the_request_goes_to_the_new_path_below_the_same_base(path: str, line: bytes) -> None:
    made = routed(path, t="@/?")
    assert wire(made.request(request(f"{BASE}/orders/7%2F8?a=1"))).startswith(line + b" HTTP/1.1\r\n")


@every_row(
    ("method", "sent"),
    [
        ("PATCH", "PATCH"),
        ("put", "PUT"),
        ("@Request.OriginalHTTPMethod", "POST"),
        (None, "POST"),
        ("", "POST"),
    ],
)
def test_the_method_is_the_new_one_or_the_described_one(method: str | None, sent: str) -> None:
    assert routed("/x", method=method).request(request()).method == sent


def test_parameters_of_one_segment_are_told_apart() -> None:
    one = operation(path="/q/{name}({id})")
    made = routed("/{name}({id})/{id}", of=one)
    assert made.request(request(f"{BASE}/q/a-b(c.d)")).url == f"{BASE}/a-b(c.d)/c.d"
    two = routed("/{a}/{b}", of=operation(path="/q/{a}-{b}"))
    assert two.request(request(f"{BASE}/q/x-y")).url == f"{BASE}/x/y"
    with pytest.raises(Refused, match="cannot be told apart"):
        two.request(request(f"{BASE}/q/x-y-z"))


@every_row(("path", "said"), [("/x/{none}", "none"), ("/x/@headers('none')", "needs none")])
def test_a_path_that_lacks_a_value_is_refused(path: str, said: str) -> None:
    with pytest.raises(Refused, match=f"my routerequesttoendpoint.*{said}"):
        routed(path).request(request())


@every_row("value", ["..", ".", "%2e%2e"])
def test_no_value_leads_to_another_path(value: str) -> None:
    with pytest.raises(Refused, match=r"segment is `\.`"):
        routed("/a/@connectionParameters('v')/b", v=value).request(request())


@every_row("path", ["https://evil.example/x", "//evil.example/x"])
def test_a_path_is_no_url(path: str) -> None:
    with pytest.raises(Refused, match="a path must follow the server"):
        routed(path).request(request())


FETCH = {
    "parameterTemplate": "@headers('If-Match')",
    "httpMethod": "GET",
    "parameterValueUrl": "/orders/{id}/details?x=@queryParameters('a')",
    "parameterValuePathTemplate": "@body()['@odata.etag']",
}


def sign(request_: Request) -> Request:
    return msgspec.structs.replace(request_, headers=(*request_.headers, ("X-Login", "mine")))


async def fetched(
    made: OperationPolicies, *answers: Answer, of: Request | None = None
) -> tuple[Any, list[bytes]]:
    lines: list[bytes] = []
    waiting = list(answers)

    async def send(asked: Request) -> Answer:
        lines.append(wire(asked))
        return waiting.pop(0)

    of = of or request(f"{BASE}/orders/7?a=1", ("X-A", "b"), body=b"{}")
    return await made.complete(of, send, sign), lines


def body(value: Any, **more: Any) -> Answer:
    return Answer(status=200, body=json.dumps(value).encode(), **more)


async def test_a_value_is_fetched_from_the_same_origin_before_the_call() -> None:
    made = policies(("setvaluefromurl", FETCH))
    assert made.fetches
    sent, lines = await fetched(made, body({"@odata.etag": 'W/"5"'}))
    assert lines == [b"GET /v1/orders/7/details?x=1 HTTP/1.1\r\nhost: api.example\r\nX-A: b\r\n\r\n"]
    assert wire(sent) == (
        b'POST /v1/orders/7?a=1 HTTP/1.1\r\nhost: api.example\r\nX-A: b\r\nIf-Match: W/"5"\r\n\r\n{}'
    )


async def test_what_was_fetched_is_there_for_the_policies_after_it() -> None:
    team = FETCH | {
        "parameterTemplate": "@queryParameters('team')",
        "parameterValuePathTemplate": "@body().team.id",
    }
    made = policies(
        ("setvaluefromurl", team),
        ("routerequesttoendpoint", {"newPath": "/teams/@queryParameters('team')/{id}"}),
    )
    sent, _ = await fetched(made, body({"team": {"id": 31}}))
    assert sent.url == f"{BASE}/teams/31/7?a=1&team=31"


async def test_one_url_is_fetched_once_a_call() -> None:
    second = FETCH | {
        "parameterTemplate": "@headers('X-B')",
        "parameterValuePathTemplate": "@headers('etag')",
    }
    made = policies(("setvaluefromurl", FETCH), ("setvaluefromurl", second))
    sent, lines = await fetched(made, body({"@odata.etag": "e"}, headers=(("etag", "h"),)))
    assert len(lines) == 1
    assert (sent.header("if-match"), sent.header("x-b")) == ("e", "h")


async def test_a_fetch_that_goes_wrong_is_the_answer_of_the_call() -> None:
    answer, _ = await fetched(
        policies(("setvaluefromurl", FETCH)), Answer(status=503, headers=(("retry-after", "9"),))
    )
    assert isinstance(answer, Answer)
    assert (answer.status, answer.header("retry-after")) == (503, "9")
    assert "GET https://api.example/v1/orders/7/details brought this answer" in (
        answer.header("pointsman-policies") or ""
    )


@every_row(
    "answer",
    [
        body({}),
        body([]),
        Answer(status=200, body=b"no json"),
        body({"@odata.etag": ""}),
        body({}, truncated=True),
    ],
)
async def test_a_value_that_is_not_there_refuses_the_call(answer: Answer) -> None:
    with pytest.raises(Refused, match="my setvaluefromurl"):
        await fetched(policies(("setvaluefromurl", FETCH)), answer)


@every_row("url", ["https://evil.example/x", "//evil.example/x", "/a/../b"])
async def test_a_value_is_fetched_from_nowhere_else(url: str) -> None:
    with pytest.raises(Refused, match="my setvaluefromurl"):
        await fetched(policies(("setvaluefromurl", FETCH | {"parameterValueUrl": url})))


def test_what_is_not_fetched_yet_is_shown_as_stars() -> None:
    assert policies(("setvaluefromurl", FETCH)).request(request()).header("if-match") == "***"


@every_row(("method", "raised"), [("GET", RetryLater), ("POST", OutcomeUnknown)])
async def test_a_fetch_of_unknown_outcome_is_made_again_if_it_only_reads(
    method: str, raised: type[Exception]
) -> None:
    async def send(asked: Request) -> Answer:
        raise OutcomeUnknown(f"{asked.method} was cut")

    made = policies(("setvaluefromurl", FETCH | {"httpMethod": method}))
    with pytest.raises(raised, match=f"{method} was cut"):
        await made.complete(request(f"{BASE}/orders/7?a=1"), send, sign)


@every_row("first", ["/a/@queryParameters('none')", "/x"])
def test_the_last_path_wins_and_the_others_need_no_values(first: str) -> None:
    made = policies(
        ("routerequesttoendpoint", {"newPath": first, "httpMethod": "PUT"}),
        ("routerequesttoendpoint", {"newPath": "/b/{id}", "httpMethod": "@Request.OriginalHTTPMethod"}),
    )
    sent = made.request(request(f"{BASE}/orders/7"))
    assert (sent.method, sent.url) == ("POST", f"{BASE}/b/7")


def test_a_path_that_brings_a_query_is_kept_when_another_one_follows() -> None:
    made = policies(
        ("routerequesttoendpoint", {"newPath": "/a?kind=x"}), ("routerequesttoendpoint", {"newPath": "/b"})
    )
    assert made.request(request(f"{BASE}/orders/7")).url == f"{BASE}/b?kind=x"


TOKEN = [
    ("setheader", {"name": "Authorization", "value": "Basic @connectionParameters('key')"}),
    ("dynamichosturl", {"urlTemplate": "https://login.example"}),
    ("setheader", {"name": "Content-Type", "value": "application/x-www-form-urlencoded"}),
    (
        "setvaluefromurl",
        {
            "parameterTemplate": "@headers('Authorization')",
            "httpMethod": "POST",
            "parameterValueUrl": "/token?grant_type=client_credentials",
            "parameterValuePathTemplate": "@body().access_token",
        },
    ),
    ("setheader", {"name": "Authorization", "value": "Bearer @headers('authorization')"}),
    ("dynamichosturl", {"urlTemplate": "https://api.example/v2"}),
    ("setheader", {"name": "Content-Type", "value": "application/json"}),
]


async def test_a_token_is_fetched_with_the_credentials_and_from_the_host_that_stand_before_it() -> None:
    made = policies(*TOKEN, values={"key": "k1"})
    assert made.fetches_login
    assert made.server(BASE) == "https://api.example/v2"
    call = request("https://api.example/v2/orders/7", ("Content-Type", "application/json"), body=b"{}")
    sent, (line,) = await fetched(made, body({"access_token": "t9"}), of=call)
    assert line.startswith(b"POST /token?grant_type=client_credentials HTTP/1.1\r\nhost: login.example\r\n")
    assert b"Authorization: Basic k1\r\n" in line
    assert b"application/x-www-form-urlencoded" in line
    assert sent.url == "https://api.example/v2/orders/7"
    assert sent.header("authorization") == "Bearer t9"
    assert sent.header("content-type") == "application/json"
    assert sent.header("x-login") == "mine"


def test_a_call_whose_token_is_fetched_is_shown_without_secrets() -> None:
    made = policies(*TOKEN, values={"key": "k1"}, secrets=("key",)).masked()
    call = request("https://api.example/v2/orders/7", ("Authorization", "***"))
    shown = made.signed(made.request(call))
    assert shown.header("authorization") == "Bearer ***"
    assert "k1" not in str(shown)

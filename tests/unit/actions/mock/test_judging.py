"""The mock as a whole: credentials, what it answers, and that nothing makes it fail."""

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actions.mock.answering import MOST_KNOWN
from actions.mock.judging import MockBackend
from actions.specs import read_spec
from tests.examples import examples
from tests.tables import every_row
from tests.unit.actions.mock.described import backend, of_body, of_parameter, operation, send, spec_of

TEXT = {"type": "string"}
JSON = "application/json"
SCHEMES = {
    "header": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "session"},
    "basic": {"type": "http", "scheme": "basic"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "oauth": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://x/t", "scopes": {}}}},
    "tls": {"type": "mutualTLS"},
}


def secured(security, **options):
    paths = {"/x": {"get": operation(security=security)}}
    return MockBackend(spec_of(paths, components={"securitySchemes": SCHEMES}), **options)


@every_row(
    ("security", "target", "headers", "enough"),
    [
        ([], "/v1/x", [], True),
        ([{"header": []}], "/v1/x", [], False),
        ([{"header": []}], "/v1/x", [("x-key", "any")], True),
        ([{"header": []}], "/v1/x", [("x-key", "")], False),
        ([{"query": []}], "/v1/x?key=any", [], True),
        ([{"query": []}], "/v1/x", [], False),
        ([{"cookie": []}], "/v1/x", [("Cookie", "a=b; session=any")], True),
        ([{"cookie": []}], "/v1/x", [("Cookie", "a=b")], False),
        ([{"basic": []}], "/v1/x", [("Authorization", "Basic YTpi")], True),
        ([{"basic": []}], "/v1/x", [("Authorization", "Bearer x")], False),
        ([{"bearer": []}], "/v1/x", [("Authorization", "bearer x")], True),
        ([{"bearer": []}], "/v1/x", [("Authorization", "Bearer ")], False),
        ([{"oauth": []}], "/v1/x", [("Authorization", "Bearer x")], True),
        ([{"tls": []}], "/v1/x", [], True),
        ([{"header": [], "query": []}], "/v1/x", [("x-key", "any")], False),
        ([{"header": [], "query": []}], "/v1/x?key=1", [("x-key", "any")], True),
        ([{"header": []}, {"query": []}], "/v1/x?key=1", [], True),
        ([{"header": []}, {}], "/v1/x", [], True),
    ],
)
def test_credentials_are_wanted_only_when_asked_for(security, target, headers, enough):
    asked = secured(security, credentials="check").judge("GET", target, headers)
    assert asked.accepted is enough
    assert enough or asked.answer.status == 401
    assert secured(security).judge("GET", target, headers).accepted


def answering(responses, *, accept="", version="3.0.3", method="get", **options):
    paths = {"/x": {method: {"responses": responses}}}
    mock = MockBackend(spec_of(paths, version=version), **options)
    return mock.judge(method.upper(), "/v1/x", [("Accept", accept)] if accept else [])


def content(schema=None, media=JSON, **more):
    return {
        "description": "",
        "content": {media: {**({"schema": schema} if schema is not None else {}), **more}},
    }


def test_what_is_optional_is_answered_too_for_a_rule_may_use_it_next():
    schema = {
        "type": "object",
        "properties": {"id": {"type": "string"}, "of": {"type": "array", "items": {"type": "integer"}}},
    }
    made = json.loads(answering({"201": content(schema)}).answer.body)
    assert (made.keys(), len(made["of"])) == ({"id", "of"}, 1)


def test_the_lowest_success_is_answered():
    responses = {
        "404": content(TEXT),
        "202": content(TEXT),
        "201": content({"type": "boolean"}),
        "default": content(TEXT),
    }
    judgement = answering(responses)
    assert judgement.answer.status == 201
    assert isinstance(json.loads(judgement.answer.body), bool)


@every_row(
    ("responses", "status"),
    [
        ({"2XX": content(TEXT)}, 200),
        ({"default": content(TEXT)}, 200),
        ({"404": content(TEXT)}, 200),
        ({}, 200),
    ],
)
def test_some_success_is_answered_where_none_is_declared(responses, status):
    judgement = answering(responses)
    assert (judgement.accepted, judgement.answer.status) == (True, status)


def test_the_status_can_be_chosen():
    responses = {
        "200": content(TEXT),
        "4XX": content(
            {"type": "object", "properties": {"why": {**TEXT, "example": "no"}}, "required": ["why"]}
        ),
    }
    judgement = answering(responses, status=429)
    assert (judgement.accepted, judgement.answer.status) == (True, 429)
    assert json.loads(judgement.answer.body) == {"why": "no"}


@every_row("status", ["204", "205"])
def test_no_content_is_no_content(status):
    assert answering({status: content(TEXT)}).answer.body == b""


def test_an_example_goes_before_anything_made_up():
    shown = answering({"200": content({"type": "integer"}, examples={"one": {"value": {"any": "thing"}}})})
    assert json.loads(shown.answer.body) == {"any": "thing"}
    plain = answering({"200": content({"type": "integer"}, example=7)})
    assert json.loads(plain.answer.body) == 7
    by_schema = answering({"200": content({"type": "integer", "example": 8})})
    assert json.loads(by_schema.answer.body) == 8
    dangling = answering(
        {"200": content({"type": "integer", "minimum": 3}, examples={"one": {"$ref": "#/nowhere"}})}
    )
    assert json.loads(dangling.answer.body) >= 3


def test_the_media_type_that_is_asked_for_is_answered():
    both = {"200": {"description": "", "content": {JSON: {"schema": TEXT}, "text/csv": {"example": "a;b"}}}}
    assert ("content-type", "text/csv") in answering(both, accept="text/csv").answer.headers
    assert answering(both, accept="text/*;q=0.5").answer.body == b"a;b"
    assert ("content-type", JSON) in answering(both, accept="*/*").answer.headers
    assert ("content-type", JSON) in answering(both, accept="image/png").answer.headers


@every_row(
    ("media", "schema", "content_type", "body"),
    [
        (
            "application/xml",
            {
                "type": "object",
                "xml": {"name": "r"},
                "properties": {"a": {"type": "string", "example": "x"}},
                "required": ["a"],
            },
            "application/xml",
            b"<r><a>x</a></r>",
        ),
        ("text/plain", {**TEXT, "example": "hi"}, "text/plain", b"hi"),
        ("*/*", {**TEXT, "example": "hi"}, JSON, b'"hi"'),
        (
            "application/octet-stream",
            {**TEXT, "format": "binary", "example": "hi"},
            "application/octet-stream",
            b"hi",
        ),
        (
            "application/x-www-form-urlencoded",
            {"type": "object", "example": {"a": "b c"}},
            "application/x-www-form-urlencoded",
            b"a=b+c",
        ),
        (
            "application/problem+json",
            {"type": "object", "example": {"a": 1}},
            "application/problem+json",
            b'{"a":1}',
        ),
    ],
)
def test_an_answer_is_written_as_its_media_type(media, schema, content_type, body):
    answer = answering({"200": content(schema, media)}).answer
    assert ("content-type", content_type) in answer.headers
    assert body in answer.body


def test_declared_headers_are_answered_but_never_split():
    headers = {
        "X-Rate": {"schema": {"type": "integer", "example": 5}},
        "X-Bad": {"schema": {"type": "string", "example": "a\r\nSet-Cookie: b"}},
        "Content-Length": {"schema": {"type": "integer", "example": 5}},
        "not a name": {"schema": TEXT},
    }
    answer = answering({"200": {"description": "", "headers": headers}}).answer
    assert dict(answer.headers)["x-rate"] == "5"
    assert "\n" not in "".join(value for _, value in answer.headers)
    assert {"content-length", "not a name"}.isdisjoint(dict(answer.headers))


def test_answers_fit_their_own_schema():
    schema = {
        "type": "object",
        "required": ["id", "when", "secret"],
        "properties": {
            "id": {"type": "string", "format": "uuid", "readOnly": True},
            "when": {"type": "string", "format": "date-time"},
            "secret": {"type": "string", "writeOnly": True},
        },
    }
    paths = {"/x": {"get": {"responses": {"200": content(schema)}}}}
    mock = backend(paths)
    answer = mock.judge("GET", "/v1/x").answer
    (one,) = mock.spec.operations.values()
    from actions.validation import Validators

    validator = Validators(mock.spec).answer(one, 200, JSON)
    assert validator is not None
    assert validator.problems(json.loads(answer.body)) == []


def test_a_refused_operation_is_not_served():
    spec = read_spec(
        {
            "a.json": json.dumps(
                {
                    "openapi": "3.0.0",
                    "info": {},
                    "paths": {"/x": {"get": 5}, "/y": {"get": {"responses": {}}}},
                }
            ).encode()
        }
    )
    mock = MockBackend(spec)
    assert mock.judge("GET", "/y").accepted
    assert mock.judge("GET", "/x").answer.status == 404


def test_a_description_without_operations_refuses_everything():
    assert MockBackend(read_spec({})).judge("GET", "/").answer.status == 404


RICH = spec_of(
    {
        "/a/{id}/{rest}.json": {
            "post": operation(
                parameters=[
                    {
                        "name": "id",
                        "in": "path",
                        "required": True,
                        "style": "matrix",
                        "explode": True,
                        "schema": {"type": "object"},
                    },
                    {
                        "name": "rest",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "array", "items": {"type": "integer"}},
                    },
                    {"name": "q", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
                    {"name": "h", "in": "header", "content": {JSON: {"schema": TEXT}}},
                    {"name": "c", "in": "cookie", "schema": {"type": "object"}},
                    {"name": "o", "in": "query", "schema": {"type": "object"}},
                ],
                body={
                    kind: {"schema": {"$ref": "#/components/schemas/Tree"}}
                    for kind in (
                        JSON,
                        "application/x-www-form-urlencoded",
                        "multipart/form-data",
                        "application/xml",
                        "text/plain",
                        "image/png",
                        "application/x-ndjson",
                    )
                },
                required=False,
            )
        }
    },
    components={
        "schemas": {
            "Tree": {
                "type": "object",
                "properties": {
                    "a": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}},
                    "b": {"type": "string", "pattern": "^(a+)+$"},
                    "c": {"oneOf": [{"$ref": "#/components/schemas/Tree"}, {"type": "integer"}]},
                },
            }
        }
    },
)
RICH_MOCK = MockBackend(RICH)
KINDS = [
    JSON,
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "text/plain",
    "image/png",
    "application/x-ndjson",
    "x",
    "",
]
raw = st.binary(max_size=80).map(lambda one: one.decode("latin-1"))
target = st.one_of(
    raw,
    st.text("/a;,.=&?%[]0F+json{}", max_size=40).map(lambda one: f"/v1/a/{one}"),
    st.text(";,.=&?%[]qo0F+5", max_size=40).map(lambda one: f"/v1/a/;x=1/5.json?{one}"),
)


@examples(200)
@given(
    target,
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.sampled_from(["h", "cookie", "accept", "content-type"]), raw), max_size=3),
    st.binary(max_size=200),
)
@example("/v1/a/;x=1/5.json", JSON, [], b'{"b": "' + b"a" * 50_000 + b'!"}')
@example("/v1/a/;x=1/5.json", JSON, [], b'{"a":[' * 5_000)
@example("/v1/a/;x=1/5.json", JSON, [], b'{"a":[' * 300 + b"]}" * 300)
@example(
    "/v1/a/;x=1/5.json",
    "multipart/form-data; boundary=x",
    [],
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n{}\r\n--x--',
)
def test_whatever_comes_is_judged(target, kind, headers, body):
    judgement = RICH_MOCK.judge("POST", target, [("Content-Type", kind), *headers], body)
    assert 200 <= judgement.answer.status < 500
    assert judgement.accepted == (judgement.answer.status < 300)
    assert judgement.accepted or judgement.answer.headers[0] == ("content-type", "application/problem+json")


@pytest.mark.parametrize(
    ("target", "kind", "body"),
    [
        ("/v1/x?" + "&".join(f"a{n}=1" for n in range(9_000)), JSON, b""),
        ("/v1/x?" + "a=1&" * 16_000, JSON, b""),
        ("/v1/x?" + "q[a]=1&" * 9_000, JSON, b""),
        ("/v1/x?" + "q" + "[a]" * 20_000 + "=1", JSON, b""),
        ("/v1/x", JSON, b'{"a":' * 100_000),
        ("/v1/x", JSON, b"[" + b"[]," * 100_000 + b"[]]"),
        ("/v1/x", "application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(9_999))),
        ("/v1/x", "application/xml", b"<r>" + b"<a>1</a>" * 30_000 + b"</r>"),
        ("/v1/x", "multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n" * 900 + b"--x--"),
        ("/v1/x", "text/plain", b"a" * 5_000_000),
    ],
)
def test_large_requests_are_judged_soon(target, kind, body):
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {}}}}
    parameters = [
        {"name": "q", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
        {"name": "o", "in": "query", "schema": {"type": "object"}},
    ]
    kinds = [
        JSON,
        "application/x-www-form-urlencoded",
        "application/xml",
        "multipart/form-data",
        "text/plain",
    ]
    mock = backend(
        {
            "/x": {
                "post": operation(
                    parameters=parameters, body={one: {"schema": schema} for one in kinds}, required=False
                )
            }
        }
    )
    began = time.thread_time()
    assert mock.judge("POST", target, [("Content-Type", kind)], body).answer.status in (200, 400)
    assert time.thread_time() - began < 3


def test_judging_is_deterministic():
    mock = of_body(JSON, {"type": "object"})
    assert send(mock, b"{}", JSON) == send(mock, b"{}", JSON)


def test_a_judgement_says_what_was_asked():
    judgement = of_parameter({"name": "a", "in": "query", "schema": TEXT}).judge("GET", "/v1/x?a=1")
    assert (judgement.method, judgement.target, judgement.operation) == ("GET", "/v1/x?a=1", "get_x")


def test_a_file_is_answered_as_its_bytes():
    shown = {"example": {"base64": "aGk="}}
    assert answering({"200": content({"type": "string"}, "image/png", **shown)}).answer.body == b"hi"
    broken = {"example": {"base64": "aGk"}}
    assert answering({"200": content({"type": "string"}, "image/png", **broken)}).answer.body == b""


def test_a_client_cannot_fill_the_memory_with_its_wishes(monkeypatch):
    assert MOST_KNOWN <= 10_000
    monkeypatch.setattr("actions.mock.answering.MOST_KNOWN", 100)
    mock = backend({"/x": {"get": {"responses": {"200": content(TEXT)}}}})
    for number in range(150):
        mock.judge("GET", "/v1/x", [("accept", f"x/{number}")])
    assert len(mock._answering._known) < 101

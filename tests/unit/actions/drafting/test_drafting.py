"""A sample becomes a description: what is guessed, what is left out, and where it is put."""

import json
import shlex

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.drafting import Taken, draft, read_answer, read_curl
from actions.drafting.inferring import MAX_DEPTH, schema_of
from actions.drafting.places import templated
from actions.drafting.secrecy import is_secret, may_be_secret
from actions.errors import Refused
from actions.specs import read_spec
from actions.specs.model import Spec
from actions.validation import Validators


def drafted(options, answer=None, **more):
    url = more.pop("url", "https://api.example/orders")
    answered = read_answer(answer) if answer is not None else None
    return draft(read_curl(f"curl {options} '{url}'"), answered, **more)


def operation(made):
    return made.document["paths"][made.path][made.method.lower()]


def read(made):
    return read_spec({"draft.json": msgspec.json.encode(made.document)})


# -- schemas


@pytest.mark.parametrize(
    ("samples", "schema"),
    [
        ([1], {"type": "integer"}),
        ([1, 2.5], {"type": "number"}),
        ([True], {"type": "boolean"}),
        ([1, "a"], {"type": ["integer", "string"]}),
        ([None], {}),
        ([], {}),
        (["a", None], {"type": ["string", "null"]}),
        ([[]], {"type": "array"}),
        ([[1, None]], {"type": "array", "items": {"type": ["integer", "null"]}}),
        ([{}], {"type": "object"}),
        (
            [[{"a": 1, "b": None}, {"a": 2.5}]],
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"a": {"type": "number"}, "b": {}},
                    "required": ["a"],
                },
            },
        ),
        (["2024-02-29T23:59:59.5+02:00", "2024-02-29T00:00:00Z"], {"type": "string", "format": "date-time"}),
        (["2024-02-29"], {"type": "string", "format": "date"}),
        (["2024-02-30"], {"type": "string"}),
        (["2024-12-31"], {"type": "string", "format": "date"}),
        (["2023-02-29T00:00:00Z"], {"type": "string"}),
        (["2024-02-29", "soon"], {"type": "string"}),
        (["8c5f6f0a-0000-4000-8000-00000000000a"], {"type": "string", "format": "uuid"}),
        (["https://a.example/b?c=d"], {"type": "string", "format": "uri"}),
        (["https://a.example/ä"], {"type": "string"}),
        (["10:20", "a@b.example"], {"type": "string"}),
        (["0", "-7"], {"type": "string"}),
    ],
)
def test_a_schema_says_what_all_samples_are(samples, schema):
    assert schema_of(samples) == schema


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5) | st.sampled_from(["2024-01-01", "2024-02-31T00:00:00Z", "https://a.example"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=80)
@given(st.lists(JSON, min_size=1, max_size=4))
def test_every_sample_fits_the_schema_of_all(samples):
    validator = Validators(Spec(dialect="openapi3.1")).schema(schema_of(samples))
    for one in samples:
        assert validator.problems(one) == []


def test_a_deep_sample_is_anything_at_some_depth():
    value = 1
    for _ in range(MAX_DEPTH * 10):
        value = [value]
    assert json.dumps(schema_of([value])).count("array") <= MAX_DEPTH + 1


# -- paths


@pytest.mark.parametrize(
    ("path", "found", "names"),
    [
        ("/", "/", []),
        ("/v1/orders/17/lines/3", "/v1/orders/{orderId}/lines/{lineId}", ["orderId", "lineId"]),
        ("/orders/17/18", "/orders/{orderId}/{id}", ["orderId", "id"]),
        ("/a/{user id}/:x/<y>/$Z", "/a/{user_id}/{x}/{y}/{Z}", ["user_id", "x", "y", "Z"]),
        ("/a/{{ID}}/b", "/a/{ID}/b", ["ID"]),
        ("/files/file_456/v1_beta/memory_total", "/files/{fileId}/v1_beta/memory_total", ["fileId"]),
        ("/2010-04-01/x", "/2010-04-01/x", []),
        ("/orders/8c5f6f0a-0000-4000-8000-00000000000a", "/orders/{orderId}", ["orderId"]),
        ("/customers/cus_9s6XKzkNRvz8i3", "/customers/{customerId}", ["customerId"]),
        ("/x/0123456789abcdef0123", "/x/{xId}", ["xId"]),
        ("/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", "/services/{serviceId}/{id}/{id2}", ["serviceId", "id", "id2"]),
        ("/bot123456:AAbbCCddEEffGG/sendMessage", "/{id}/sendMessage", ["id"]),
        ("/rest/api/latest/getCustomerAccountBalances/annual-report-2024", "/rest/api/latest/getCustomerAccountBalances/annual-report-2024", []),
        ("/categories/1/boxes/2/status/3/addresses/4", "/categories/{categoryId}/boxes/{boxId}/status/{statusId}/addresses/{addressId}", ["categoryId", "boxId", "statusId", "addressId"]),
        ("/a{b/c%7B", "/a%7Bb/c%7B", []),
        ("/line-items/5/", "/line-items/{lineItemId}/", ["lineItemId"]),
    ],
)  # fmt: skip
def test_parts_of_a_path_that_are_no_words_are_inputs(path, found, names):
    assert templated(path) == (found, {name: templated(path)[1][name] for name in names})


# -- secrets

COMMANDS = [
    "-H 'Authorization: Bearer SECRET'", "-H 'authorization: Token SECRET'", "-H 'X-Api-Key: SECRET'", "-u me:SECRET",
    "-b 'sid=SECRET'", "-b 'a=SECRET; b=SECRET'", "-H 'X-Shopify-Access-Token: SECRET'", "--oauth2-bearer SECRET",
    "-H 'X-Other: sk_live_0123456789SECRET'", "-d 'password=SECRET'", "--json '{\"password\": \"SECRET\"}'",
    "-F 'token=SECRET'", "-G -d 'api_key=SECRET'", "-G -d 'key=SECRET'", "-H 'X-CSRF-Token: SECRET'",
    "-H 'Proxy-Authorization: Basic SECRET'", "-e 'https://a.example/?token=SECRET1234567890'",
    "-H 'X-Signature: t=1,v1=SECRET'", "-H 'Idempotency-Key: SECRET'", "--proxy-user a:SECRET",
    "-H 'Cookie: x'", "-H 'If-None-Match: SECRET'", "-H 'X-Var: $SECRET'",
]  # fmt: skip


@pytest.mark.parametrize("options", COMMANDS)
def test_no_credential_is_written(options):
    made = drafted(options, url="https://u:SECRET@api.example/orders?sig=SECRET#SECRET")
    assert "SECRET" not in json.dumps([made.document, made.notes, made.left_out])
    assert made.left_out
    spec = read(made)
    assert (spec.findings, spec.find(made.operation).status) == ((), "ok")
    assert spec.find(made.operation).security


@pytest.mark.parametrize(
    ("options", "scheme"),
    [
        ("-H 'Authorization: bearer x'", {"type": "http", "scheme": "bearer"}),
        ("-H 'Authorization: Digest x'", {"type": "http", "scheme": "digest"}),
        ("-H 'Authorization: Token x'", {"type": "apiKey", "in": "header", "name": "Authorization"}),
        ("-b 'sid=x'", {"type": "apiKey", "in": "cookie", "name": "sid"}),
        ("-b 'a=x; b=y'", {"type": "apiKey", "in": "header", "name": "Cookie"}),
        ("-G -d api_key=x", {"type": "apiKey", "in": "query", "name": "api_key"}),
        ("-H 'Ocp-Apim-Subscription-Key: x'", {"type": "apiKey", "in": "header", "name": "Ocp-Apim-Subscription-Key"}),
    ],
)  # fmt: skip
def test_a_credential_becomes_a_way_to_log_in(options, scheme):
    made = drafted(options)
    assert list(made.document["components"]["securitySchemes"].values()) == [scheme]


def test_names_and_values_are_told_apart():
    assert all(is_secret(one) for one in ("apikey", "X-Api-Key", "accessToken", "client_secret", "X-Auth"))
    assert not any(
        is_secret(one) for one in ("page_token", "nextPageToken", "author", "tokens", "key", "X-Version")
    )
    assert is_secret("key", in_query=True)
    words = ("application/vnd.github.v3+json", "annual-report-2024-final", "getCustomerAccountBalances", "2022-06-28", "a b 1" * 9)  # fmt: skip
    assert not any(may_be_secret(one) for one in words)
    assert all(
        may_be_secret(one) for one in ("sk_live_4eC39HqLyjWDarjtT1", "eyJhbGciOi.eyJzdWIi.c2ln", "A" * 24)
    )


# -- requests and answers


def test_a_request_is_described_whole():
    made = drafted(
        "-X POST -H 'X-Version: 2.10' -H 'If-Match: \"a\"' -H 'X-Request-Id: 1' -H 'Host: b' --json '{\"n\": 1}'",
        b'[{"id": 1}]',
        url="https://api.example/orders/17?=&page=1&ids[]=a&q=x&q=y&flag",
        name="putLine",
        title="Shop",
    )
    assert made.document["info"] == {"title": "Shop", "version": "1"}
    assert made.document["servers"] == [{"url": "https://api.example"}]
    one = operation(made)
    assert [(p["name"], p["in"], p.get("required", False), p["schema"]) for p in one["parameters"]] == [
        ("orderId", "path", True, {"type": "integer"}),
        ("page", "query", False, {"type": "integer"}),
        ("ids[]", "query", False, {"type": "array", "items": {"type": "string"}}),
        ("q", "query", False, {"type": "array", "items": {"type": "string"}}),
        ("flag", "query", False, {"type": "string"}),
        ("X-Version", "header", True, {"type": "string", "default": "2.10"}),
        ("If-Match", "header", False, {"type": "string"}),
        ("X-Request-Id", "header", False, {"type": "string"}),
    ]
    body = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert one["requestBody"] == {"required": True, "content": {"application/json": {"schema": body}}}
    items = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
    assert one["responses"]["200"]["content"] == {
        "application/json": {"schema": {"type": "array", "items": items}}
    }
    assert (made.operation, made.method, made.path, made.inputs) == ("putLine", "POST", "/orders/{orderId}", ("orderId",))  # fmt: skip
    assert "security" not in one


def test_what_a_browser_sends_with_everything_is_left_out():
    noise = (
        "-H 'sec-fetch-mode: cors' -H 'User-Agent: M' -H 'Referer: r' -H 'Origin: o' -H 'DNT: 1' -H 'X-A: b'"
    )
    assert [one["name"] for one in operation(drafted(noise))["parameters"]] == ["X-A"]
    assert [one["name"] for one in operation(drafted("-A me -e r"))["parameters"]] == [
        "User-Agent",
        "Referer",
    ]


@pytest.mark.parametrize(
    ("options", "content", "note"),
    [
        ("-H 'Content-Type: text/csv' -d a", {"text/csv": {"schema": {"type": "string"}}}, ""),
        ("-H 'Content-Type: application/xml' -d '<?xml?><!-- --><s:a x=\"1\"/>'", {"application/xml": {"schema": {"type": "object", "xml": {"name": "a"}}}}, "root"),
        ("-H 'Content-Type: application/json' -d '{'", {"application/json": {}}, "no JSON"),
        ("-H 'Content-Type: multipart/mixed; boundary=x' -d '--x--'", {"multipart/mixed": {}}, "parts"),
        ("-d 'a=true&b=1.5&c=01&c=2&d[]=x'", {"application/x-www-form-urlencoded": {"schema": {"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "number"}, "c": {"type": "array", "items": {"type": ["string", "integer"]}}, "d[]": {"type": "array", "items": {"type": "string"}}}, "required": ["a", "b", "c", "d[]"]}}}, ""),
        ("-F 'f=@a.png;type=image/png' -F g=@b -F 'j={\"n\":1};type=application/json' -F 'k={;type=application/json' -F t=1 -F t=2", {"multipart/form-data": {"schema": {"type": "object", "properties": {"f": {"type": "string", "contentMediaType": "image/png"}, "g": {"type": "string", "contentMediaType": "application/octet-stream"}, "j": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}, "k": {}, "t": {"type": "array", "items": {"type": "integer"}}}, "required": ["f", "g", "j", "k", "t"]}, "encoding": {"f": {"contentType": "image/png"}, "j": {"contentType": "application/json"}, "k": {"contentType": "application/json"}}}}, ""),
        ("-T a.bin", {"application/octet-stream": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}}, "a.bin"),
        ("-d @a.json -H 'Content-Type: application/json'", {"application/json": {}}, "a.json"),
    ],
)  # fmt: skip
def test_a_body_is_described_as_far_as_it_can_be_read(options, content, note):
    made = drafted(options)
    assert operation(made)["requestBody"]["content"] == content
    assert note in " ".join(made.notes)
    assert read(made).findings == ()


@pytest.mark.parametrize(
    ("answer", "status", "content"),
    [
        (b"", "200", None),
        (b"{}", "200", {"application/json": {"schema": {"type": "object"}}}),
        (b"plain", "200", {"text/plain": {"schema": {"type": "string"}}}),
        (b"\xff\x00", "200", {"application/octet-stream": {}}),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "204", None),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/2 201\nserver: x\ncontent-type: text/csv; charset=utf-8\n\na,b", "201", {"text/csv": {}}),
        (b"HTTP/1.1 404 X\r\nContent-Type: application/problem+json\r\n\r\n{}", "404", {"application/problem+json": {"schema": {"type": "object"}}}),
        (b"HTTP/1.1 200 OK", "200", {"text/plain": {"schema": {"type": "string"}}}),
    ],
)  # fmt: skip
def test_an_answer_is_a_body_or_has_its_head(answer, status, content):
    (found,) = operation(drafted("", answer))["responses"].items()
    assert (found[0], found[1].get("content")) == (status, content)


def test_what_is_accepted_is_asked_for_again():
    accept = "-H 'Accept: application/vnd.x.v3+json'"
    assert list(operation(drafted(accept))["responses"]["2XX"]["content"]) == ["application/vnd.x.v3+json"]
    assert list(operation(drafted(accept, b"{}"))["responses"]["200"]["content"]) == [
        "application/vnd.x.v3+json",
        "application/json",
    ]
    assert "content" not in operation(drafted("-H 'Accept: */*'"))["responses"]["2XX"]


@pytest.mark.parametrize("method", ["PURGE", "CONNECT"])
def test_a_method_that_openapi_has_no_place_for_is_refused(method):
    with pytest.raises(Refused, match="no place for the method"):
        drafted(f"-X {method}")


# -- into a document that is there


def test_an_operation_is_added_and_the_document_stays_as_it_was():
    first = drafted("-u a:b", url="https://api.example/v1/orders/17").document
    before = json.dumps(first)
    made = drafted("-X DELETE -H 'X-Api-Key: k'", url="https://api.example/v1/orders/4711", into=first)
    assert json.dumps(first) == before
    assert list(made.document["paths"]) == ["/v1/orders/{orderId}"]
    assert list(made.document["paths"]["/v1/orders/{orderId}"]) == ["get", "delete"]
    assert list(made.document["components"]["securitySchemes"]) == ["basic", "X-Api-Key"]
    assert read(made).findings == ()


def test_names_of_the_document_are_kept():
    into = {
        "openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "servers": [{"url": "https://api.example/v1/"}],
        "paths": {"/orders/{no}": {"parameters": [], "get": {"operationId": "delete_orders_by_no", "responses": {}}}},
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}},
        "security": [{"bearer": []}],
    }  # fmt: skip
    made = drafted("-X DELETE", url="https://api.example/v1/orders/17", into=into)
    assert (made.path, made.operation, made.inputs) == ("/orders/{no}", "delete_orders_by_no_2", ("no",))
    assert operation(made)["security"] == []
    assert "servers" not in operation(made)
    other = drafted("-H 'Authorization: Bearer x'", url="https://other.example/x", into=into)
    assert operation(other)["servers"] == [{"url": "https://other.example"}]
    assert operation(other)["security"] == [{"bearer_2": []}]


@pytest.mark.parametrize(
    ("options", "url", "more"),
    [
        ("", "https://api.example/orders/99", {}),
        ("", "https://api.example/orders/{order}", {}),
        ("-X PUT", "https://api.example/orders/99", {"name": "get_orders_by_orderId"}),
    ],
)
def test_what_is_there_already_is_not_added(options, url, more):
    first = drafted("", url="https://api.example/orders/17").document
    with pytest.raises(Taken, match="already; nothing was changed"):
        drafted(options, url=url, into=first, **more)


@pytest.mark.parametrize(
    "into",
    [
        {}, {"openapi": "3.0.3", "paths": {}}, {"swagger": "2.0"}, {"openapi": "3.1.0", "paths": []},
        {"openapi": "3.1.0", "paths": {"/a": 1}}, {"openapi": "3.1.0", "components": []},
        {"openapi": "3.1.0", "components": {"securitySchemes": []}},
    ],
)  # fmt: skip
def test_only_a_sound_document_takes_an_operation(into):
    with pytest.raises(Refused):
        drafted("", into=into)


def test_a_path_that_servers_read_in_different_ways_is_refused():
    with pytest.raises(Refused, match="dot segments"):
        drafted("", url="https://api.example/a/%2e%2e/b")


def test_a_name_is_one_that_rules_can_say():
    for name in ("a b", ":http", "1a", "a" * 65):
        with pytest.raises(Refused, match="no name"):
            drafted("", name=name)


# -- anything

OPTIONS = st.lists(
    st.tuples(st.sampled_from(["-d", "--json", "--data-raw", "-b", "-F", "-G", "-u"]), st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8))
    | st.tuples(st.just("-H"), st.from_regex(r"\A[A-Za-z-]{1,12}: ?[ -~]{0,12}\Z")),
    max_size=4,
)  # fmt: skip


@settings(max_examples=80)
@given(
    OPTIONS,
    st.text(alphabet="abz019/{}:?=&%[]-_.ä~!$'(*+,;|^<\\", max_size=20),
    st.none() | st.binary(max_size=20),
)
def test_every_draft_reads_back_without_a_finding(options, path, answer):
    words = ["curl", f"https://api.example/{path}", *(word for pair in options for word in pair)]
    try:
        made = draft(read_curl(shlex.join(words)), read_answer(answer) if answer is not None else None)
    except Refused:
        return
    spec = read(made)
    assert spec.findings == ()
    assert spec.find(made.operation).status == "ok"

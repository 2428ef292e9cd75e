import time
from typing import Any

import msgspec
import pytest

from actions.specs import read_spec
from tests.tables import every_row
from tests.unit.actions.specs.postman.collections import SCHEMA, codes, item, one, raw, read, variables


def test_requests_with_one_method_and_path_are_one_operation_with_presets() -> None:
    spec = read(
        item("https://a.x/o?limit=1", name="few"),
        {
            "name": "Many",
            "item": [
                item("https://a.x/o?limit=9&page=2", name="few"),
                item("https://a.x/o?limit=9", name="few"),
            ],
        },
        item("https://a.x/o", "POST", name="make"),
    )
    assert set(spec.operations) == {"few", "make"}
    operation = spec.operations["few"]
    assert [(preset.name, preset.method, preset.url) for preset in operation.presets] == [
        ("few", "GET", "https://a.x/o?limit=1"),
        ("Many / few", "GET", "https://a.x/o?limit=9&page=2"),
        ("Many / few (2)", "GET", "https://a.x/o?limit=9"),
    ]
    assert [preset.extras.get("name") for preset in operation.presets] == [None, "few", "few"]
    assert [preset.arguments for preset in operation.presets] == [
        {"limit": "1"},
        {"limit": "9", "page": "2"},
        {"limit": "9"},
    ]
    assert operation.tags == ("Many",)


def test_names_and_urls_of_requests_find_their_operation() -> None:
    spec = read(item("{{base}}/users/:id", name="Get a user"), item("{{base}}/users", name="List users"))
    for name in ("Get a user", "GET {{base}}/users/:id", "GET /users/{id}", "get_users_by_id"):
        found = spec.find(name)
        assert found is not None
        assert found.path == "/users/{id}"


def test_a_name_that_two_operations_share_is_no_alias() -> None:
    spec = read(item("https://a.x/1", name="a b"), item("https://a.x/2", name="a b"))
    assert spec.find("a b") is None
    assert set(spec.operations) == {"get_1", "get_2"}


def test_what_every_request_sends_is_the_default() -> None:
    header = [
        {"key": "X-Version", "value": "2"},
        {"key": "X-Tenant", "value": "{{t}}"},
        {"key": "X-Off", "value": "z", "disabled": True},
    ]
    spec = read(
        *(item(f"https://a.x/o?fixed=1&own={index}", name=str(index), header=header) for index in range(3))
    )
    schemas = {known.name: (known.location, known.required, known.schema) for known in one(spec).parameters}
    assert schemas == {
        "fixed": ("query", True, {"type": "string", "examples": ["1"], "default": "1"}),
        "own": ("query", True, {"type": "string", "examples": ["0", "1", "2"]}),
        "X-Version": ("header", True, {"type": "string", "examples": ["2"], "default": "2"}),
        "X-Tenant": ("header", True, {"type": "string"}),
        "X-Off": ("header", False, {"type": "string", "examples": ["z"]}),
    }


def test_what_some_requests_send_is_optional() -> None:
    spec = read(item("https://a.x/o?a=1", name="x"), item("https://a.x/o", name="y"))
    (parameter,) = one(spec).parameters
    assert (parameter.required, parameter.schema) == (False, {"type": "string", "examples": ["1"]})


def test_a_parameter_that_stands_twice_is_a_list() -> None:
    spec = read(item("https://a.x/o?a=1&a=2", name="x"), item("https://a.x/o?a=3", name="y"))
    (parameter,) = one(spec).parameters
    assert (parameter.style, parameter.explode) == ("form", True)
    assert parameter.schema == {"type": "array", "items": {"type": "string"}}
    assert [preset.arguments for preset in one(spec).presets] == [{"a": ["1", "2"]}, {"a": ["3"]}]


def test_type_names_are_types_and_no_samples() -> None:
    query = [{"key": "n", "value": "<long>"}, {"key": "b", "value": "<boolean>"}]
    url = {"raw": "https://a.x/:id", "query": query, "variable": [{"key": "id", "value": "<string>"}]}
    spec = read(item(url))
    assert {known.name: known.schema for known in one(spec).parameters} == {
        "id": {"type": "string"}, "n": {"type": "integer"}, "b": {"type": "boolean"}
    }  # fmt: skip
    assert one(spec).presets[0].arguments == {}


def test_names_that_collide_are_grouped() -> None:
    url = {"raw": "https://a.x/:id?id=2", "variable": [{"key": "id", "value": "1"}]}
    operation = one(read(item(url, "POST", body=raw("{}"))))
    assert operation.grouped
    assert operation.presets[0].arguments == {"path": {"id": "1"}, "query": {"id": "2"}, "body": {}}


def test_headers_of_the_transport_are_no_parameters() -> None:
    names = (
        "Host",
        "Content-Length",
        "Connection",
        "Accept-Encoding",
        "Postman-Token",
        "content-type",
        "Accept",
        "X-Kept",
    )
    operation = one(read(item("https://a.x/b", header=[{"key": name, "value": "x"} for name in names])))
    assert [known.name for known in operation.parameters] == ["X-Kept"]


def test_cookies_of_a_header_are_cookies() -> None:
    operation = one(read(item("https://a.x/b", header="Cookie: a=1; b={{c}}")))
    assert [(known.location, known.name) for known in operation.parameters] == [
        ("cookie", "a"),
        ("cookie", "b"),
    ]
    assert operation.presets[0].arguments == {"a": "1", "b": "{{c}}"}


def test_a_header_that_cannot_be_sent_is_left_out() -> None:
    operation = one(read(item("https://a.x/b", header=[{"key": "a b", "value": "x"}])))
    assert operation.status == "degraded"
    assert "'a b'" in operation.degraded[0]


def test_an_idempotency_header_is_known() -> None:
    operation = one(read(item("https://a.x/b", "POST", header="Idempotency-Key: {{$guid}}")))
    assert operation.key_header == "Idempotency-Key"


def test_what_is_accepted_is_what_is_answered() -> None:
    operation = one(read(item("https://a.x/b", header="Accept: text/csv, */*;q=0.1")))
    assert [known.type for known in operation.responses["default"].media] == ["text/csv"]


def test_all_saved_responses_are_examples() -> None:
    saved = [
        {"name": "good", "code": 200, "header": [{"key": "Content-Type", "value": "application/json"}, {"key": "X-Rate", "value": "5"}], "body": '{"a": 1}'},
        {"name": "good", "code": 200, "header": "Content-Type: application/json", "body": '{"a": null}'},
        {"name": "bad", "status": "404 Not Found", "_postman_previewlanguage": "xml", "body": "<e/>"},
        {"name": "none", "code": 204, "body": None},
        {"name": "?", "body": "text"},
    ]  # fmt: skip
    responses = one(read(item("https://a.x/b", response=saved))).responses
    assert list(responses) == ["200", "204", "404", "default"]
    assert responses["200"].media[0].examples == {
        "good": {"value": {"a": 1}},
        "good (2)": {"value": {"a": None}},
    }
    assert responses["200"].media[0].schema["properties"] == {"a": {"type": ["integer", "null"]}}
    assert responses["200"].headers == {"X-Rate": {"type": "string", "examples": ["5"]}}
    assert responses["404"].media[0].type == "application/xml"
    assert responses["204"].media == ()
    assert responses["default"].media[0].examples == {"?": {"value": "text"}}


@every_row(
    ("method", "read_as"),
    [("get", "GET"), (" POST ", "POST"), ("", "GET"), ("   ", "GET"), ("PROPFIND", "PROPFIND")],
)
def test_a_method_that_can_be_understood_is_mended(method: str, read_as: str) -> None:
    spec = read(item("https://a.x/b", method))
    assert (one(spec).method, one(spec).status) == (read_as, "ok")
    assert one(spec).presets[0].method == method
    assert codes(spec) == ([] if method == read_as else ["method"])


@every_row("method", ["NONE", "POSTMAN", "GE T", "{{m}}"])
def test_a_method_that_is_none_refuses_its_operation(method: str) -> None:
    spec = read(item("https://a.x/b", method, name="Odd"), item("https://a.x/b"))
    refused = next(found for found in spec.operations.values() if found.problem)
    assert "is no method of HTTP" in refused.problem
    assert [preset.url for preset in refused.presets] == ["https://a.x/b"]
    assert len(spec.operations) == 2


def test_a_request_may_be_a_plain_url_and_have_no_name() -> None:
    spec = read({"request": "a.x/b"})
    assert (one(spec).method, one(spec).path) == ("GET", "/b")
    assert (one(spec).presets[0].name, one(spec).presets[0].extras) == ("GET a.x/b", {"name": None})


def test_items_without_a_request_are_folders() -> None:
    spec = read(
        {"name": "a"},
        {"name": "b", "item": []},
        {"name": "c", "item": [{"item": [item("https://a.x/b")]}]},
        5,
        None,
    )
    assert len(spec.operations) == 1


def test_an_empty_collection_says_that_it_is() -> None:
    spec = read()
    assert spec.readable
    assert codes(spec) == ["no-operation"]


def test_what_a_collection_says_of_itself_is_kept() -> None:
    info = {
        "name": "N",
        "description": {"content": "D"},
        "version": {"major": 1, "minor": 2, "patch": 3},
        "schema": SCHEMA,
    }
    spec = read(item("https://a.x/b"), info=info)
    assert (spec.title, spec.description, spec.version) == ("N", "D", "1.2.3")


@every_row(
    ("info", "dialect", "found"),
    [
        ({"schema": SCHEMA}, "postman2.1", []),
        ({"schema": SCHEMA.replace("v2.1.0", "v2.0.0")}, "postman2.0", []),
        ({"schema": SCHEMA.replace("v2.1.0", "v999.0.0")}, "postman2.1", ["collection-version"]),
        ({"_postman_id": "x"}, "postman2.1", ["collection-version"]),
        (None, "postman2.1", ["collection-version"]),
    ],
)
def test_the_version_is_told_or_taken_for_the_newest(info: Any, dialect: str, found: list[str]) -> None:
    spec = read(item("https://a.x/b"), info=info)
    assert spec.dialect == dialect
    assert codes(spec) == found


def test_a_wrapped_collection_is_read() -> None:
    document = {"collection": {"info": {"name": "t", "schema": SCHEMA}, "item": [item("", name="Odd")]}}
    spec = read_spec({"c.json": msgspec.json.encode(document)})
    assert (spec.title, spec.findings[0].line) == ("t", 1)
    assert spec.findings[0].pointer == "/collection/item/0"


def test_ids_survive_any_order() -> None:
    items = [item(f"https://{host}.x/{path}", name="a b") for host in "ab" for path in ("o", "p/:id", "")]
    first, second = read(*items), read(*reversed(items))
    assert {id_: found.presets[0].url for id_, found in first.operations.items()} == {
        id_: found.presets[0].url for id_, found in second.operations.items()
    }


def test_version_1_has_folders_helpers_and_path_variables() -> None:
    document = {
        "name": "One",
        "order": [],
        "folders": [{"id": "f", "name": "Inner", "order": ["1"]}, {"id": "g", "name": "Outer", "folders_order": ["f"]}],
        "variables": [{"key": "v", "value": "w"}],
        "requests": [
            {"id": "1", "name": "A", "method": "PUT", "url": "https://a.x/:b?c={{v}}", "pathVariables": {"b": "1"}, "headers": "X-A: b\n//X-B: c\n", "currentHelper": "digestAuth", "helperAttributes": {"username": "{{u}}", "password": "{{p}}"}, "dataMode": "params", "data": [{"key": "k", "value": "v", "type": "text", "enabled": True}]},
            {"id": "2", "name": "B", "method": "POST", "url": "a.x/raw", "dataMode": "raw", "data": '{"a": 1}', "headers": None},
            {"id": "3", "name": "C", "method": "POST", "url": "a.x/file", "dataMode": "binary"},
            "odd",
        ],
    }  # fmt: skip
    spec = read_spec({"c.json": msgspec.json.encode(document)})
    first, second, third = spec.operations.values()
    assert spec.dialect == "postman1"
    assert first.tags == ("Inner",)
    assert first.presets[0].arguments == {"b": "1", "c": "w", "X-A": "b", "body": {"k": "v"}}
    assert spec.security_schemes["digest"].scheme == "digest"
    assert first.body is not None
    assert first.body.media[0].type == "multipart/form-data"
    assert second.presets[0].arguments == {"body": {"a": 1}}
    assert third.body is not None


def test_folders_that_hold_each_other_end() -> None:
    document = {
        "name": "x",
        "order": [],
        "folders": [{"id": "a", "folder": "a"}],
        "requests": [{"id": "1", "folder": "a", "url": "a.x/b", "method": "GET"}],
    }
    assert len(read_spec({"c.json": msgspec.json.encode(document)}).operations) == 1


def test_many_requests_are_read_fast() -> None:
    items = [
        item({"raw": f"{{{{base}}}}/a/{index % 300}/:id?x={{{{y}}}}", "variable": [{"key": "id", "value": str(index)}]}, "POST", f"r{index}", body=raw(f'{{"a": {index}, "b": ["{{{{y}}}}"]}}'))
        for index in range(2_000)
    ]  # fmt: skip
    document = msgspec.json.encode(
        {"info": {"schema": SCHEMA}, "item": items, "variable": variables(base="https://a.x")}
    )
    began = time.process_time()
    spec = read_spec({"c.json": document})
    assert time.process_time() - began < 1.5
    assert (len(spec.operations), sum(len(found.presets) for found in spec.operations.values())) == (
        300,
        2_000,
    )


BOMB = {f"v{index}": f"{{{{v{index + 1}}}}}" * 40 for index in range(12)}


@pytest.mark.parametrize(
    "made",
    [
        {"items": [item("{{v0}}/b?c={{v0}}", "POST", body=raw('{"a": "{{v0}}"}'))], "variable": variables(**BOMB)},
        {"items": [item("{{v0}}/b")], "variable": variables(**BOMB, v12="https://a.x")},
        {"items": [item("{{a}}/{{b}}")], "variable": variables(a="{{b}}{{b}}", b="{{a}}{{a}}")},
        {"items": [item("https://a.x", "POST", body=raw("[" * 900 + "]" * 900))]},
        {"items": [item("https://a.x", "POST", body=raw("{" * 100_000))]},
        {"items": [item("https://a.x", "POST", body=raw('{"' + '\\"' * 50_000))]},
        {"items": [item("https://a.x/" + "{{" * 50_000)]},
        {"items": [item("https://a.x/" + ":/" * 20_000)]},
        {"items": [item("https://a.x", event=[{"listen": "test", "script": {"exec": "pm.environment.set('a', " * 5_000}}])]},
        {"items": [item("https://a.x", event=[{"listen": "test", "script": {"exec": "a = b = " * 20_000 + ".set("}}])]},
        {"items": [item("https://a.x")], "info": {"schema": "postman.com/" * 100_000}},
        {"items": [item("https://a.x", response=[{"code": 200, "body": "[" * 900 + "]" * 900}])]},
    ],
)  # fmt: skip
def test_no_collection_takes_long(made: dict[str, Any]) -> None:
    began = time.process_time()
    spec = read(*made.pop("items"), **made)
    assert time.process_time() - began < 10
    for found in spec.operations.values():
        msgspec.json.encode([preset.arguments for preset in found.presets])
        msgspec.json.encode([spec.input_schema(found), spec.output_schemas(found)])


def test_lists_of_requests_of_other_tools_are_no_collections() -> None:
    theirs = {
        "v": 2,
        "name": "t",
        "folders": [],
        "requests": [{"v": "1", "endpoint": "<<base>>/a", "method": "GET"}],
    }
    for document in (theirs, {**theirs, "requests": []}):
        assert not read_spec({"c.json": msgspec.json.encode(document)}).readable
    empty = read_spec({"c.json": msgspec.json.encode({"name": "t", "order": [], "requests": []})})
    assert empty.dialect == "postman1"


def test_a_preset_names_what_a_caller_has_to_give() -> None:
    form = {
        "mode": "formdata",
        "formdata": [{"key": "a/b", "type": "file", "src": "/home/x/one.png"}, {"key": "c", "value": "1"}],
    }
    spec = read(item("https://a.x/b/:id", "POST", body=form))
    preset = one(spec).presets[0]
    assert preset.extras["needs"] == ["/id", "/body/a~1b"]
    assert preset.arguments == {"body": {"c": "1"}}
    whole = {"mode": "file", "file": {"src": "C:\\\\x\\\\two.bin"}}
    preset = one(read(item("https://a.x/b", "POST", body=whole))).presets[0]
    assert (preset.extras["needs"], preset.extras["files"]) == (["/body"], {"": "two.bin"})
    preset = one(read(item("https://a.x/b?a=1", "POST", body=raw("{a", "json")))).presets[0]
    assert preset.extras["needs"] == ["/body"]
    assert "needs" not in one(read(item("https://a.x/b?a=1"))).presets[0].extras


def test_a_file_that_nobody_chose_is_not_sent() -> None:
    operation = one(read(item("https://a.x/b", "POST", body={"mode": "file", "file": {}})))
    assert operation.body is not None
    assert not operation.body.required
    assert {"needs", "files"}.isdisjoint(operation.presets[0].extras)


def test_a_file_in_the_collection_is_sent() -> None:
    body = {"mode": "file", "file": {"content": "abc"}}
    assert one(read(item("https://a.x/b", "POST", body=body))).presets[0].arguments == {"body": "abc"}


def test_types_instead_of_values_are_required_where_they_say_so() -> None:
    query = [
        {"key": "a", "value": "<string>"},
        {"key": "b", "value": "<long>", "description": "(Required) How many."},
    ]
    operation = one(read(item({"raw": "https://a.x/b?a=<string>&b=<long>", "query": query})))
    assert [(known.name, known.required) for known in operation.parameters] == [("a", False), ("b", True)]
    assert operation.presets[0].extras["needs"] == ["/b"]


def test_what_is_switched_off_does_no_harm() -> None:
    headers = [{"key": "no header", "value": "x", "disabled": True}]
    assert one(read(item("https://a.x/b", header=headers))).status == "ok"
    headers[0].pop("disabled")
    assert one(read(item("https://a.x/b", header=headers))).status == "degraded"


def test_a_variable_that_holds_no_host_is_left_to_the_connection() -> None:
    spec = read(item("{{link}}", "PUT"), variable=variables(link=' "https://a.x/b c"'))
    assert not one(spec).problem
    (server,) = spec.servers
    assert (server.url, server.variables["link"].default) == ("{link}", None)

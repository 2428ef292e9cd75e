"""What stands under `x-pointsman` is read back; what cannot be meant is told and ignored."""

import json

from actions.specs import read_spec
from actions.specs.restoring import plain
from tests.tables import every_row


def read(**said):
    """Read a description with extensions: of the whole, the operation, its parameter, its server."""
    document = {
        "openapi": "3.1.0",
        "info": {"title": "A", "version": "1"},
        "servers": [{"url": "https://a.example", **extension(said.get("server"))}],
        "paths": {
            "/a": {
                "get": {
                    "operationId": "getA",
                    "parameters": [
                        {"name": "q", "in": "header", "schema": {}, **extension(said.get("parameter"))}
                    ],
                    "responses": {"200": {"description": "", **extension(said.get("response"))}},
                    **extension(said.get("operation")),
                },
                "post": {"operationId": "postA", **extension(said.get("other"))},
            }
        },
        **extension(said.get("whole")),
    }
    return read_spec({"a.json": json.dumps(document).encode()})


def extension(said):
    return {} if said is None else {"x-pointsman": said}


def told(spec):
    return [(one.severity, one.code) for one in spec.findings]


def test_fields_come_back():
    spec = read(
        operation={"id": "other", "aliases": ["old"], "degraded": ["a reason"], "needs_code": True},
        parameter={"location": "message", "twice_encoded": True},
        response={"extras": {"y": 1}},
        server={"description": "one"},
        whole={"test": {"name": "other", "arguments": {"q": 1}}},
    )
    assert told(spec) == []
    one = spec.operations["other"]
    assert (one.aliases, one.degraded, one.needs_code) == (("old",), ("a reason",), True)
    assert (one.parameters[0].location, one.parameters[0].twice_encoded) == ("message", True)
    assert one.responses["200"].extras == {"y": 1}
    assert spec.servers[0].description == "one"
    assert spec.test is not None
    assert spec.test.arguments == {"q": 1}


def test_the_extension_is_no_extra():
    spec = read(operation={"summary": "x"}, parameter={"deprecated": True}, whole={})
    assert not spec.extras
    assert not spec.operations["getA"].extras
    assert not spec.operations["getA"].parameters[0].extras


@every_row(
    "said",
    [
        {"whole": "text"},
        {"whole": {"operations": {}}},
        {"whole": {"dialect": "swagger2"}},
        {"whole": {"pointer": "/x"}},
        {"whole": {"servers": [{"url": "https://a\r\nb"}]}},
        {"operation": {"nothing": 1}},
        {"operation": {"parameters": [{"name": 1}]}},
        {"operation": {"id": "a b"}},
        {"operation": {"responses": []}},
        {"parameter": {"style": "loud"}},
        {"server": {"url": "https://a\nb"}},
    ],
)
def test_what_cannot_be_meant_is_told_and_ignored(said):
    spec = read(**said)
    assert spec.readable
    assert {code for _, code in told(spec)} & {"export-extension", "wrong-type"}
    assert spec.operations.keys() == {"getA", "postA"}
    assert spec.servers[0].url == "https://a.example"


@every_row(
    ("said", "reason"),
    [
        ({"operation": {"method": "GET / HTTP/1.1\r\nX: y"}}, "the method"),
        ({"operation": {"path": "/a\r\nb"}}, "control characters"),
        ({"operation": {"path": "/a/../b"}}, "dot segments"),
        ({"parameter": {"name": "a b"}}, "cannot be sent"),
        ({"parameter": {"name": "Host"}}, "no parameter can set"),
    ],
)
def test_what_must_not_reach_a_wire_refuses_the_operation(said, reason):
    spec = read(**said)
    assert reason in spec.operations["getA"].problem
    assert ("warning", "operation-refused") in told(spec)


def test_an_id_that_two_operations_want_is_neithers():
    spec = read(operation={"id": "same"}, other={"id": "same"})
    assert spec.operations.keys() == {"getA", "postA"}
    assert told(spec) == [("warning", "export-extension")] * 2


def test_an_id_that_another_operation_has_by_itself_leaves_both_theirs():
    spec = read(operation={"id": "postA"})
    assert len(spec.operations) == 2
    assert "getA" in spec.operations


def test_a_refusal_comes_back_and_is_told():
    spec = read(operation={"problem": "GET /a: was refused"})
    assert spec.operations["getA"].problem == "GET /a: was refused"
    assert told(spec) == [("warning", "operation-refused")]


def test_fields_with_their_defaults_are_not_written():
    assert plain(read().operations["postA"]) == {
        "id": "postA",
        "method": "POST",
        "path": "/a",
        "name": "postA",
        "aliases": ["POST /a"],
    }

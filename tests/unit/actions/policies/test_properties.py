"""setproperty, moveproperties, stringreplace, encodepropertyvalue: the vendor's examples, and hostile ones."""

from typing import Any

import pytest

from actions.errors import Refused
from actions.specs.model import Body, Media
from tests.tables import every_row
from tests.unit.actions.policies.trying import answered, changed, operation, policies, request, wire


def setting(parent: str, sub: str, value: str, **more: Any) -> Any:
    given = {
        "newPropertyParentPathTemplate": parent,
        "newPropertySubPathTemplate": sub,
        "propertyValuePathTemplate": value,
    }
    return policies(("setproperty", given), **more)


@every_row(
    ("parent", "sub", "value", "before", "after"),
    [
        ("@body().o", "location", "USA", {"o": {"x": 1}}, {"o": {"x": 1, "location": "USA"}}),
        ("@body().p", "age", "30", {"p": [{"n": 1}, {}]}, {"p": [{"n": 1, "age": "30"}, {"age": "30"}]}),
        (
            "@body()",
            "name",
            "{@body().first} {@body().last}",
            {"first": "J", "last": "S"},
            {"first": "J", "last": "S", "name": "J S"},
        ),
        ("body()", "b", "{@body().a}", {"a": {"n": 1}}, {"a": {"n": 1}, "b": {"n": 1}}),
        ("@body()", "b", "@body().a", {"a": 5}, {"a": 5, "b": 5}),
        ("@body()", "a", "[{@body().a}]", {"a": {"n": 1}}, {"a": [{"n": 1}]}),
        (
            "@body()",
            "a",
            '{"x": "<{@body().a}>", "y": {@body().a}}',
            {"a": 'q"'},
            {"a": {"x": '<q">', "y": 'q"'}},
        ),
        ("@body()", "['@odata.id']", "h/{@body()['@odata.id']}", {"@odata.id": "1"}, {"@odata.id": "h/1"}),
        ("@body()", "a.b", "x", {}, {"a": {"b": "x"}}),
        ("@body().new", "key", "k", {"a": 1}, {"a": 1, "new": {"key": "k"}}),
        (
            "@body().a.l",
            "k",
            "{@item().n}!",
            {"a": [{"l": [{"n": 1}]}]},
            {"a": [{"l": [{"n": 1, "k": "1!"}]}]},
        ),
        ("@body()", "k", "{@item().n}", [{"n": 1}, {"n": None}], [{"n": 1, "k": 1}, {"n": None, "k": None}]),
        ("@body()", "a", "[{@body().none}]", {"x": 1}, {"x": 1}),
        ("@body()", "a", "{@body().none}", {"x": 1}, {"x": 1}),
        ("@body().g", "a", "[{@body().g.a}]", {"x": 1}, {"x": 1}),
        ("@body()", "a", '[1, {"b": null}]', {}, {"a": [1, {"b": None}]}),
        ("@body()", "a", "[not json", {}, {"a": "[not json"}),
        ("@body().x", "a", "b", {"x": "text"}, {"x": "text"}),
    ],
)
def test_a_property_is_set(parent: str, sub: str, value: str, before: Any, after: Any) -> None:
    assert changed(setting(parent, sub, value), before) == after


def test_what_nobody_touched_keeps_its_token_on_the_wire() -> None:
    made = setting("@body().b", "c", "{@body().n}")
    sent = wire(made.request(request(body=b'{"n": 1.10, "big":12345678901234567890123, "b": {"z" : 1e5}}')))
    assert sent.endswith(b'\r\n\r\n{"n":1.10,"big":12345678901234567890123,"b":{"z":1e5,"c":1.10}}')


@every_row("text", ['"}, {"evil": "', "\\", '\\"', "\u2028", '{@body().x}"', "line\nbreak"])
def test_text_of_an_event_never_becomes_structure(text: str) -> None:
    made = setting("@body()", "out", '[{"a": "pre {@body().t} post", "b": {@body().t}}]')
    assert changed(made, {"t": text})["out"] == [{"a": f"pre {text} post", "b": text}]


def test_parameters_of_the_connection_can_be_set() -> None:
    made = setting(
        "@body().auth", "key", "@connectionParameters('k')", values={"k": 'se"cret'}, secrets=("k",)
    )
    assert changed(made, {}) == {"auth": {"key": 'se"cret'}}
    assert changed(made.masked(), {}) == {"auth": {"key": "***"}}


def test_an_answer_is_changed_and_speaks_of_its_new_length() -> None:
    made = setting("@body()", "nextLink", "{@body().next}", section="response")
    answer = answered(made, {"next": "/p2"}, etag='"v1"', content_length="99", content_md5="x", server="s")
    assert answer.body == b'{"next":"/p2","nextLink":"/p2"}'
    assert answer.headers == (("etag", '"v1"'), ("server", "s"), ("content-length", str(len(answer.body))))
    assert answered(made, {"next": 1}, 500).body == b'{"next": 1}'


def test_an_answer_that_cannot_be_changed_is_left_and_says_why() -> None:
    made = setting("@body()", "a", "b", section="response")
    answer = answered(made, b"<html>")
    assert answer.body == b"<html>"
    assert answer.header("pointsman-policies") == "my setproperty: the body is no JSON"
    assert answered(made, b"").headers == ()


def test_a_request_without_a_body_is_left() -> None:
    assert setting("@body()", "a", "b").request(request()).body == b""


@every_row("body", [b"a=b", b"{", b"[" * 100_000, b"\xff"])
def test_a_request_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(Refused, match="policy 'my setproperty': the body is no JSON"):
        setting("@body()", "a", "b").request(request(body=body))


def test_a_body_that_would_grow_without_bound_is_refused() -> None:
    made = setting("@body().l", "a", "{@body().big}")
    with pytest.raises(Refused, match="longer than"):
        made.request(request(body={"big": "x" * 100_000, "l": [{}] * 1_000}))


def moving(inner: str, source: str = "custom", target: str = "null", parent: str = "@body()") -> Any:
    given = {
        "srcParentPath": parent,
        "srcSubPath": source,
        "dstParentPath": parent,
        "dstSubPath": target,
        "copyOnlySubProperties": inner,
    }
    return policies(("moveproperties", given))


def test_properties_are_moved() -> None:
    before = {"a": 1, "custom": {"b": 2, "c": 1}}
    assert changed(moving("true"), before) == {"a": 1, "b": 2, "c": 1}
    assert changed(moving("true", target="to.here"), before) == {"a": 1, "to": {"here": {"b": 2, "c": 1}}}
    assert changed(moving("false", target="to.here"), before) == {"a": 1, "to": {"here": before["custom"]}}
    assert changed(moving("false", source="custom.b", target=""), before) == {
        "a": 1,
        "custom": {"c": 1},
        "b": 2,
    }
    assert changed(moving("true", source="none"), before) == before
    assert changed(moving("true"), {"custom": 5}) == {"custom": 5}


def test_properties_are_moved_within_each_item() -> None:
    before = {"l": [{"custom": {"b": 2}}, {"x": 1}]}
    assert changed(moving("true", parent="@body().l"), before) == {"l": [{"b": 2}, {"x": 1}]}


def replacing(parent: str, sub: str, new: str = "", old: str = ".", by: str = "%2E") -> Any:
    given = {
        "propertyParentPath": parent,
        "propertySubPath": sub,
        "sourceString": old,
        "replacementString": by,
        "newPropertyPath": new,
    }
    return policies(("stringreplace", given))


def test_text_is_replaced_in_place_or_elsewhere() -> None:
    assert changed(replacing("@body()", "a"), {"a": "x.y.z"}) == {"a": "x%2Ey%2Ez"}
    assert changed(replacing("@body().l", "u", "@item().v"), {"l": [{"u": "a.b"}, {"u": 5}, {}]}) == {
        "l": [{"u": "a.b", "v": "a%2Eb"}, {"u": 5}, {}]
    }
    assert changed(replacing("@body().l", "null"), {"l": ["a.b", "c", 1]}) == {"l": ["a%2Eb", "c", 1]}
    assert changed(
        replacing("@body()", "a", old="{@body().o}", by="{@body().n}"), {"a": "xox", "o": "o", "n": "!"}
    ) == {
        "a": "x!x",
        "o": "o",
        "n": "!",
    }


def test_a_value_is_encoded() -> None:
    made = policies(
        (
            "encodepropertyvalue",
            {"propertyParentPath": "@body().l", "propertySubPath": "u", "newPropertyPath": "e"},
        )
    )
    assert changed(made, {"l": [{"u": "https://a.b/c d?é"}]}) == {
        "l": [{"u": "https://a.b/c d?é", "e": "https%3A%2F%2Fa.b%2Fc%20d%3F%C3%A9"}]
    }


@every_row(
    ("described", "after"),
    [
        ({"type": "object"}, {"x": 1, "l": {"a": "b"}}),
        ({}, {"x": 1, "l": {"a": "b"}}),
        ({"type": ["object", "null"]}, {"x": 1, "l": {"a": "b"}}),
        ({"type": "array", "items": {}}, {"x": 1}),
        ({"type": "string"}, {"x": 1}),
    ],
)
def test_a_parent_that_is_not_there_is_made_where_it_may_be_an_object(described: Any, after: Any) -> None:
    schema = {"type": "object", "properties": {"l": described}}
    one = operation(body=Body(media=(Media(type="application/json", schema=schema),)))
    assert changed(setting("@body().l", "a", "b", of=one), {"x": 1}) == after

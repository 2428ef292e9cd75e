"""References: what they lead to, and the reason when they lead nowhere."""

import json
from typing import Any

import jsonschema_rs
import pytest

from actions.specs.references import Registry, Unresolved, dangling, reachable, standalone
from tests.tables import every_row

ROOT: dict[str, Any] = {
    "components": {
        "schemas": {
            "Node": {
                "type": "object",
                "properties": {
                    "next": {"$ref": "#/components/schemas/Node"},
                    "v": {"$ref": "#/components/schemas/V"},
                },
            },
            "V": {"type": "integer"},
            "a/b~c": {"type": "string"},
            "Loop": {"$ref": "#/components/schemas/Pool"},
            "Pool": {"$ref": "#/components/schemas/Loop"},
            "Named": {
                "type": "object",
                "properties": {"$ref": {"type": "string"}, "example": {"$ref": "#/nope"}},
            },
            "Shown": {"example": {"$ref": "#/not-a-reference"}, "enum": [{"$ref": "#/neither"}]},
        }
    },
    "list": [1, {"x": 2}],
}
REGISTRY = Registry(ROOT, name="root.yaml")


@every_row(
    ("ref", "value"),
    [
        ("#/components/schemas/V", {"type": "integer"}),
        ("#/components/schemas/a~1b~0c", {"type": "string"}),
        ("#/components/schemas/a~1b%7E0c", {"type": "string"}),
        ("#/list/1/x", 2),
        ("root.yaml#/list/0", 1),
        ("./root.yaml#/list/0", 1),
        ("#", ROOT),
        ("", ROOT),
    ],
)
def test_resolves(ref: str, value: object) -> None:
    assert REGISTRY.resolve(ref) == value


@every_row(
    ("ref", "why"),
    [
        ("http://169.254.169.254/latest/meta-data", "remote"),
        ("https://x.example/a.json#/b", "remote"),
        ("file:///etc/passwd", "remote"),
        ("//host/share", "remote"),
        ("\\\\host\\share", "remote"),
        ("/etc/passwd", "file"),
        ("../../etc/passwd", "file"),
        ("other.yaml#/a", "file"),
        ("#/nope", "missing"),
        ("#/list/2", "missing"),
        ("#/list/-1", "missing"),
        ("#/list/²", "missing"),
        ("#/%ZZ~9", "missing"),
        ("#anchor", "malformed"),
    ],
)
def test_says_why_a_reference_leads_nowhere(ref: str, why: str) -> None:
    with pytest.raises(Unresolved) as caught:
        REGISTRY.resolve(ref)
    assert caught.value.why == why
    assert (ref.partition("#")[0] or ref) in str(caught.value)


def test_follows_chains_and_stops_at_circles() -> None:
    assert REGISTRY.follow({"$ref": "#/components/schemas/V"}) == {"type": "integer"}
    with pytest.raises(Unresolved, match="back to itself"):
        REGISTRY.follow(ROOT["components"]["schemas"]["Loop"])
    with pytest.raises(Unresolved, match="not text"):
        REGISTRY.follow({"$ref": 5})
    assert REGISTRY.schema({"$ref": "#/nope"}) == {}


def test_finds_every_reference_that_leads_nowhere_but_not_those_in_data() -> None:
    found = {pointer: reason.why for pointer, _, reason in dangling(REGISTRY)}
    assert found == {"/components/schemas/Named/properties/example": "missing"}


def test_a_standalone_schema_holds_everything_once_and_validates() -> None:
    schema = standalone(REGISTRY, {"type": "array", "items": {"$ref": "#/components/schemas/Node"}})
    assert set(schema["$defs"]) == {"Node", "V"}
    validator = jsonschema_rs.validator_for(schema)
    assert validator.is_valid([{"next": {"next": {"v": 1}}}])
    assert not validator.is_valid([{"next": {"next": {"v": "x"}}}])
    assert "components" not in json.dumps(schema)


def test_a_standalone_schema_allows_anything_where_a_reference_fails() -> None:
    schema = standalone(
        REGISTRY, {"properties": {"a": {"$ref": "http://x.example/"}, "b": {"$ref": "#/nope"}}}
    )
    assert jsonschema_rs.validator_for(schema).is_valid({"a": 1, "b": []})


def test_a_standalone_schema_keeps_names_apart_and_the_original_unchanged() -> None:
    root = {"a": {"X": {"type": "string"}}, "b": {"X": {"type": "integer"}}}
    before = json.dumps(root)
    schema = standalone(Registry(root), {"anyOf": [{"$ref": "#/a/X"}, {"$ref": "#/b/X"}]})
    assert sorted(schema["$defs"]) == ["X", "X_2"]
    assert json.dumps(root) == before


def test_reachable_references_are_listed_with_their_reasons() -> None:
    found = reachable(REGISTRY, {"items": {"$ref": "#/components/schemas/Named"}})
    assert {ref: reason.why if reason else None for ref, reason in found.items()} == {
        "#/components/schemas/Named": None,
        "#/nope": "missing",
    }


@every_row(
    ("ref", "read_as"),
    [("V", "#/components/schemas/V"), ("/components/schemas/V", "#/components/schemas/V")],
)
def test_a_schema_that_is_named_without_its_place_is_found(ref: str, read_as: str) -> None:
    registry = Registry(ROOT, name="root.yaml")
    assert registry.resolve(ref) == {"type": "integer"}
    assert str(registry.forgiven(ref)) == f"refers to {ref}; read as {read_as}"


@every_row("ref", ["W", "V.json", "other/V", "/components/schemas/W", "/etc/passwd"])
def test_what_nobody_named_is_not_guessed(ref: str) -> None:
    with pytest.raises(Unresolved, match=r"refers to the (file|absolute path)"):
        Registry(ROOT, name="root.yaml").resolve(ref)

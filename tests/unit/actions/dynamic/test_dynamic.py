"""Values, schemas and trees that an API gives for its own inputs."""

from dataclasses import replace
from typing import Any

import pytest

from actions.dynamic import Choice, DynamicCall, DynamicTree, NotAsDescribed, dynamic, dynamics
from actions.dynamic.trees import is_parent
from actions.errors import Refused
from actions.specs.model import Body, Media, Operation, Parameter, Response, Spec, Trigger
from actions.specs.references import Registry
from tests.tables import every_row


def parameter(name: str, location: Any = "query", **more: Any) -> Parameter:
    return Parameter(name=name, location=location, schema=more.pop("schema", {"type": "string"}), **more)


def body(schema: Any, **extras: Any) -> Body:
    return Body(media=(Media(type="application/json", schema=schema),), extras=extras)


LIST = Operation(
    id="ListThings",
    method="GET",
    path="/things/{kind}",
    parameters=(parameter("kind", "path", required=True), parameter("top"), parameter("$filter")),
)
SEARCH = Operation(
    id="Search",
    method="POST",
    path="/search",
    body=body({"properties": {"q": {"properties": {"text": {}}}}}, name="req"),
)
SCHEMA = Operation(id="GetSchema", method="GET", path="/schema", parameters=(parameter("id", required=True),))
BROKEN = Operation(id="Broken", method="GET", path="/b", problem="it has no path")


def spec(asking: Operation, **more: Any) -> Spec:
    every = (asking, LIST, SEARCH, SCHEMA, BROKEN)
    return Spec(operations={one.id: one for one in every}, aliases={"list things": "ListThings"}, **more)


def asking(*parameters: Parameter, schema: Any = None, **more: Any) -> Operation:
    return Operation(
        id="Make",
        method="POST",
        path="/make",
        parameters=parameters,
        body=None if schema is None else body(schema, **more.pop("extras", {})),
        **more,
    )


def values(one: Operation, extension: dict[str, Any], key: str = "x-ms-dynamic-values") -> DynamicCall:
    made = replace(one, parameters=(*one.parameters, parameter("it", extras={key: extension})))
    found = dynamic(spec(made), made, "/query/it" if made.grouped else "/it")
    assert isinstance(found, DynamicCall)
    return found


def test_literals_and_references_become_arguments() -> None:
    call = values(
        asking(parameter("kind"), schema={"properties": {"app": {"properties": {"id": {}}}}}),
        {
            "operationId": "ListThings",
            "parameters": {"kind": {"parameter": "kind"}, "top": 5, "$FILTER": {"parameter": "id"}},
            "value-collection": "value",
            "value-path": "id",
            "value-title": "properties/displayName",
        },
    )
    assert (call.kind, call.operation, call.needs, call.problem) == (
        "values",
        "ListThings",
        ("kind", "id"),
        "",
    )
    current = {"kind": "a", "body": {"app": {"id": "x"}}}
    assert call.arguments(current) == {"kind": "a", "top": 5, "$filter": "x"}
    assert call.values({"value": [{"id": 1, "properties": {"displayName": "One"}}, {"id": 2}, {"x": 3}]}) == [
        Choice(1, "One"),
        Choice(2, "2"),
    ]


def test_plain_references_lead_by_a_path() -> None:
    call = values(
        asking(parameter("req"), schema={"properties": {"appId": {}}}, extras={"name": "requestBody"}),
        {
            "operationId": "Search",
            "parameters": {
                "req/q/text": {"parameterReference": "requestBody/appId"},
                "text": {"value": "t"},
                "q": {"parameterReference": "body/appId"},
            },
            "itemsPath": "data/results",
            "itemValuePath": "key",
        },
        "x-ms-dynamic-list",
    )
    assert call.arguments({"body": {"appId": 7}}) == {"body": {"q": 7}}
    assert call.values({"data": {"results": [{"key": "k"}]}}) == [Choice("k", "k")]


def test_names_that_collide_are_found_in_their_groups() -> None:
    one = asking(parameter("id", "path"), parameter("id", "query"))
    call = values(one, {"operationId": "GetSchema", "parameters": {"id": {"parameter": "id"}}})
    assert call.arguments({"path": {"id": "p"}}) == {"id": "p"}


def test_what_must_be_chosen_first_is_said() -> None:
    call = values(
        asking(parameter("kind"), parameter("other")),
        {
            "operationId": "ListThings",
            "parameters": {"kind": {"parameter": "kind"}, "top": {"parameter": "other"}},
        },
    )
    with pytest.raises(Refused, match="kind must be chosen first") as caught:
        call.arguments({})
    assert caught.value.problems == (("/kind", "kind must be chosen first"),)
    assert call.arguments({"kind": "a"}) == {"kind": "a"}


@every_row(
    ("extension", "said"),
    [
        (
            {"builtInOperation": "AadGraph.GetUsers"},
            "AadGraph.GetUsers is an operation of Microsoft's own platform",
        ),
        ({"operationId": "Nope"}, "it names the operation 'Nope', which the description does not have"),
        ({"operationId": "Broken"}, "its operation Broken cannot be called: it has no path"),
        ({"value-path": "x"}, "it names no operation"),
        (
            {"operationId": "GetSchema", "parameters": {"id": {"parameter": "zzz"}}},
            "it refers to zzz, which is no input of Make",
        ),
    ],
)
def test_what_cannot_be_called_says_why(extension: dict[str, Any], said: str) -> None:
    call = values(asking(), extension)
    assert said in call.problem
    with pytest.raises(Refused) as caught:
        call.arguments({})
    assert str(caught.value) == call.problem


def test_what_the_called_operation_does_not_take_is_left_out_and_said() -> None:
    call = values(
        asking(),
        {
            "operationId": "list things",
            "parameters": {"kind": "a", "dataset": None, "no": 1, "top": {"parameter": "zzz"}},
        },
    )
    assert call.arguments({}) == {"kind": "a"}
    assert call.notes == (
        "ListThings has no input no; it is left out",
        "it refers to zzz, which is no input of Make",
    )


@every_row(
    ("extension", "answer", "found"),
    [
        ({}, ["a", 5], [Choice("a", "a"), Choice(5, "5")]),
        ({"value-collection": "data"}, {"data": [True]}, [Choice(True, "true")]),
        ({"value-collection": "data"}, {"other": []}, []),
        ({"value-path": "id"}, {"items": [{"id": "x"}], "count": 1}, [Choice("x", "x")]),
        ({"value-path": "a.b"}, [{"a": {"b": 1}}, {"a.b": 2}], [Choice(1, "1"), Choice(2, "2")]),
        ({"value-path": "a~1b"}, [{"a/b": 1}], [Choice(1, "1")]),
        ({"value-path": "id", "value-title": "names/0"}, [{"id": 1, "names": ["n"]}], [Choice(1, "n")]),
    ],
)
def test_values_are_read_as_answers_are_found(extension: Any, answer: Any, found: list[Choice]) -> None:
    assert values(asking(), {"operationId": "Search", **extension}).values(answer) == found


@every_row("answer", [5, {"a": [], "b": []}, "text", None])
def test_an_answer_without_a_list_is_not_as_described(answer: Any) -> None:
    with pytest.raises(NotAsDescribed, match="answer of Search has no list"):
        values(asking(), {"operationId": "Search"}).values(answer)


def test_a_schema_is_taken_from_where_it_stands() -> None:
    one = asking(
        parameter("id"),
        schema={
            "x-ms-dynamic-schema": {"operationId": "GetSchema", "parameters": {"id": {"parameter": "id"}}},
            "x-ms-dynamic-properties": {
                "operationId": "GetSchema",
                "parameters": {"id": {"parameterReference": "id"}},
                "itemValuePath": "schema/items",
            },
        },
    )
    call = dynamic(spec(one), one, "/body")
    assert isinstance(call, DynamicCall)
    assert (call.kind, call.arguments({"id": 1})) == ("schema", {"id": 1})
    assert call.schema({"schema": {"items": {"type": "object"}}}) == {"type": "object"}
    assert call.schema({"schema/items": '{"type": "string"}'}) == {"type": "string"}
    for bad in ({}, {"schema": {"items": [1]}}, {"schema/items": "{"}):
        with pytest.raises(NotAsDescribed, match="has no schema at 'schema/items'"):
            call.schema(bad)


def test_places_are_found_behind_references_in_lists_and_in_what_comes_back() -> None:
    said = {"operationId": "Search"}
    one = Operation(
        id="Make",
        method="POST",
        path="/m",
        parameters=(
            parameter("a", extras={"x-ms-dynamic-list": said}),
            parameter("l", schema={"items": {"x-ms-dynamic-values": said}}),
        ),
        body=body({"$ref": "#/definitions/Node"}),
        responses={
            "200": Response(media=(Media(type="application/json", schema={"x-ms-dynamic-schema": said}),))
        },
    )
    registry = Registry(
        {
            "definitions": {
                "Node": {
                    "properties": {
                        "n": {"x-ms-dynamic-values": said},
                        "next": {"$ref": "#/definitions/Node"},
                        "rows": {
                            "items": {"allOf": [{"properties": {"x/y": {"x-ms-dynamic-values": said}}}]}
                        },
                    }
                }
            }
        }
    )
    trigger = Trigger(
        id="t", kind="notification", name="t", operation="Make", body=body({"x-ms-dynamic-schema": said})
    )
    whole = spec(one, registry=registry, triggers={"t": trigger})
    assert list(dynamics(whole, one)) == [
        "/a",
        "/l/*",
        "/body/n",
        "/body/rows/*/x~1y",
        "200",
        "notification",
    ]
    assert dynamic(whole, one, "/body/rows/3/x~1y") == dynamic(whole, one, "/body/rows/*/x~1y")
    assert dynamic(whole, one, "/l/-").kind == "values"  # type: ignore[union-attr]
    with pytest.raises(Refused, match="there is at /a, /l"):
        dynamic(whole, one, "/none")
    with pytest.raises(Refused, match="nothing of the kind"):
        dynamic(whole, LIST, "/kind")


TREE = {
    "settings": {"canSelectParentNodes": True, "canSelectLeafNodes": False},
    "open": {
        "operationId": "Search",
        "itemsPath": "items",
        "itemValuePath": "path",
        "itemTitlePath": "name",
        "itemIsParent": "(is_folder eq true)",
        "itemFullTitlePath": "full",
    },
    "browse": {
        "operationId": "ListThings",
        "itemValuePath": "path",
        "parameters": {"kind": {"selectedItemValuePath": "path"}, "top": {"parameterReference": "n"}},
    },
}


def test_a_tree_is_opened_and_browsed() -> None:
    one = asking(
        parameter("n"), parameter("it", extras={"x-ms-dynamic-tree": TREE, "x-ms-dynamic-values": {"x": 1}})
    )
    tree = dynamic(spec(one), one, "/it")
    assert isinstance(tree, DynamicTree)
    assert tree.problem == ""
    assert tree.open.arguments({}) == {}
    folder = {"path": "/a", "name": "A", "full": "Top/A", "is_folder": True}
    first, second = tree.nodes(
        tree.open, {"items": [folder, {"path": "/b", "name": "B"}, {"name": "no path"}]}
    )
    assert (first.value, first.title, first.full_title, first.parent, first.selectable) == (
        "/a",
        "A",
        "Top/A",
        True,
        True,
    )
    assert (second.value, second.title, second.full_title, second.parent, second.selectable) == (
        "/b",
        "B",
        "B",
        False,
        False,
    )
    assert tree.browse.arguments({"n": 5}, first.item) == {"kind": "/a", "top": 5}
    with pytest.raises(Refused, match="path must be chosen first"):
        tree.browse.arguments({})


def test_a_file_picker_is_a_tree() -> None:
    picking = {
        "capability": "file-picker",
        "parameters": {"isFolder": False, "fileFilter": [], "project": {"parameter": "p"}},
        "value-path": "path",
    }
    capability = {
        "open": {"operationId": "Search", "parameters": {"q": {"parameter": "project"}}},
        "browse": {"operationId": "ListThings", "parameters": {"kind": {"value-property": "path"}}},
        "value-title": "name",
        "value-folder-property": "is_folder",
    }
    one = asking(parameter("p"), parameter("it", extras={"x-ms-dynamic-values": picking}))
    tree = dynamic(spec(one, extras={"x-ms-capabilities": {"file-picker": capability}}), one, "/it")
    assert isinstance(tree, DynamicTree)
    assert tree.open.arguments({"p": "x"}) == {"body": {"q": "x"}}
    folder, file = tree.nodes(
        tree.open, [{"path": "/a", "name": "A", "is_folder": True}, {"path": "/b", "name": "B"}]
    )
    assert (folder.title, folder.parent, folder.selectable) == ("A", True, False)
    assert (file.title, file.parent, file.selectable) == ("B", False, True)
    assert tree.browse.arguments({}, folder.item) == {"kind": "/a"}
    without = dynamic(spec(one), one, "/it")
    assert without.problem == "the description has no capability 'file-picker'"


@every_row(
    ("condition", "item", "said"),
    [
        ("true", {}, True),
        ("false", {}, False),
        ("", {}, False),
        ("(a eq true)", {"a": True}, True),
        ("(a eq true)", {"a": "True"}, True),
        ("a ne 'file'", {"a": "folder"}, True),
        ("(a/b eq 'x y')", {"a": {"b": "x y"}}, True),
        ("a", {"a": True}, True),
        ("a", {"a": "false"}, False),
        ("(a gt 5)", {"a": 6}, False),
    ],
)
def test_conditions_of_parents(condition: str, item: Any, said: bool) -> None:
    assert is_parent(condition, item) is said

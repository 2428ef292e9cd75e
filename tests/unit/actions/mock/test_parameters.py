"""Parameters read back: the style table of OpenAPI, written here by hand."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tables import every_row
from tests.unit.actions.mock.described import backend, of_parameter, operation, texts

ARRAY = {"type": "array", "items": {"type": "string"}}
COLOURS = ["blue", "black", "brown"]
OBJECT = {
    "type": "object",
    "properties": {name: {"type": "integer"} for name in "RGB"},
    "additionalProperties": False,
}
NESTED = {"type": "object"}
RGB = {"R": 100, "G": 200, "B": 150}
TEXT = {"type": "string"}

TABLE = [
    # where, style, explode, schema, as it is written, value
    ("path", "simple", False, TEXT, "blue", "blue"),
    ("path", "simple", False, ARRAY, "blue,black,brown", COLOURS),
    ("path", "simple", True, ARRAY, "blue,black,brown", COLOURS),
    ("path", "simple", False, OBJECT, "R,100,G,200,B,150", RGB),
    ("path", "simple", True, OBJECT, "R=100,G=200,B=150", RGB),
    ("path", "label", False, TEXT, ".blue", "blue"),
    ("path", "label", True, TEXT, ".blue", "blue"),
    ("path", "label", False, ARRAY, ".blue,black,brown", COLOURS),
    ("path", "label", True, ARRAY, ".blue.black.brown", COLOURS),
    ("path", "label", False, OBJECT, ".R,100,G,200,B,150", RGB),
    ("path", "label", True, OBJECT, ".R=100.G=200.B=150", RGB),
    ("path", "matrix", False, TEXT, ";color=blue", "blue"),
    ("path", "matrix", True, TEXT, ";color=blue", "blue"),
    ("path", "matrix", False, ARRAY, ";color=blue,black,brown", COLOURS),
    ("path", "matrix", True, ARRAY, ";color=blue;color=black;color=brown", COLOURS),
    ("path", "matrix", False, OBJECT, ";color=R,100,G,200,B,150", RGB),
    ("path", "matrix", True, OBJECT, ";R=100;G=200;B=150", RGB),
    ("query", "form", False, TEXT, "color=blue", "blue"),
    ("query", "form", True, TEXT, "color=blue", "blue"),
    ("query", "form", False, ARRAY, "color=blue,black,brown", COLOURS),
    ("query", "form", True, ARRAY, "color=blue&color=black&color=brown", COLOURS),
    ("query", "form", False, OBJECT, "color=R,100,G,200,B,150", RGB),
    ("query", "form", True, OBJECT, "R=100&G=200&B=150", RGB),
    ("query", "spaceDelimited", False, ARRAY, "color=blue%20black%20brown", COLOURS),
    ("query", "spaceDelimited", False, ARRAY, "color=blue+black+brown", COLOURS),
    ("query", "spaceDelimited", True, ARRAY, "color=blue&color=black&color=brown", COLOURS),
    ("query", "spaceDelimited", False, OBJECT, "color=R%20100%20G%20200%20B%20150", RGB),
    ("query", "pipeDelimited", False, ARRAY, "color=blue%7Cblack%7Cbrown", COLOURS),
    ("query", "pipeDelimited", False, ARRAY, "color=blue|black|brown", COLOURS),
    ("query", "pipeDelimited", False, OBJECT, "color=R%7C100%7CG%7C200%7CB%7C150", RGB),
    ("query", "deepObject", True, OBJECT, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150", RGB),
    ("query", "deepObject", True, OBJECT, "color[R]=100&color[G]=200&color[B]=150", RGB),
    ("header", "simple", False, TEXT, "blue", "blue"),
    ("header", "simple", False, ARRAY, "blue, black,brown", COLOURS),
    ("header", "simple", True, ARRAY, "blue,black,brown", COLOURS),
    ("header", "simple", False, OBJECT, "R,100,G,200,B,150", RGB),
    ("header", "simple", True, OBJECT, "R=100,G=200,B=150", RGB),
    ("cookie", "form", True, TEXT, "color=blue", "blue"),
    ("cookie", "form", False, ARRAY, "color=blue,black,brown", COLOURS),
    ("cookie", "form", True, ARRAY, "color=blue; color=black; color=brown", COLOURS),
    ("cookie", "form", False, OBJECT, "color=R,100,G,200,B,150", RGB),
    ("cookie", "form", True, OBJECT, "R=100; G=200; B=150", RGB),
]


def mock_of(where, schema, **more):
    parameter = {"name": "color", "in": where, "required": True, "schema": schema, **more}
    return of_parameter(parameter, "/x/{color}" if where == "path" else "/x")


def arrive(mock, where, written):
    if where == "path":
        return mock.judge("GET", f"/v1/x/{written}")
    if where == "query":
        return mock.judge("GET", f"/v1/x?{written}" if written is not None else "/v1/x")
    return mock.judge("GET", "/v1/x", [({"header": "Color", "cookie": "Cookie"}[where], written)])


@every_row(("where", "style", "explode", "schema", "written", "value"), TABLE)
def test_the_style_table(where, style, explode, schema, written, value):
    judgement = arrive(mock_of(where, schema, style=style, explode=explode), where, written)
    assert texts(judgement) == []
    assert judgement.arguments == {"color": value}


@every_row(
    ("where", "style", "explode", "schema", "written", "told"),
    [
        ("path", "label", False, ARRAY, "blue", "must begin with a dot"),
        ("path", "matrix", False, TEXT, "blue", "must begin with a semicolon"),
        ("path", "matrix", False, TEXT, ";colour=blue", "must be written ;color="),
        ("path", "simple", True, OBJECT, "R,100", "must be an object, written name=value"),
        ("path", "simple", False, OBJECT, "R,100,G", "must be an object"),
        ("path", "simple", False, {"type": "integer"}, "five", 'must be integer, not "five"'),
        ("path", "simple", False, TEXT, "%ff", "is not UTF-8"),
        ("query", "form", True, TEXT, "color=a&color=b", "came 2 times"),
        ("query", "form", False, ARRAY, "color=a&color=b", "came several times"),
        ("query", "form", True, {"type": "boolean"}, "color=True", "must be boolean"),
        ("query", "form", True, {"type": "integer"}, "color=1e2", "must be integer"),
        ("query", "form", True, {"type": "string", "enum": ["a"]}, "color=b", 'must be "a", not "b"'),
        (
            "query",
            "form",
            True,
            {"type": "array", "items": {"type": "integer"}},
            "color=1&color=x",
            "/1 must be integer",
        ),
        ("query", "form", True, {"type": "array", "items": {}, "maxItems": 1}, "color=1&color=x", "color"),
        ("query", "deepObject", True, OBJECT, "color=blue", "must be written color[member]"),
        ("query", "deepObject", True, OBJECT, "color[X]=1", "X is not known here"),
        ("query", "deepObject", True, OBJECT, "color[R]=1&color[R][a]=1", "both a value and members"),
        ("header", "simple", False, {"type": "integer"}, "x", "must be integer"),
        ("cookie", "form", True, TEXT, "colour=x", "color is required"),
    ],
)
def test_what_is_written_otherwise_is_refused(where, style, explode, schema, written, told):
    judgement = arrive(mock_of(where, schema, style=style, explode=explode), where, written)
    assert judgement.answer.status == 400
    assert told in judgement.faults[0].text
    assert told in json.loads(judgement.answer.body)["detail"]
    assert judgement.faults[0].place.startswith(f"{where}/color")


@every_row(
    ("schema", "written", "value"),
    [
        ({"type": "integer"}, "5", 5),
        ({"type": "integer"}, "-5", -5),
        ({"type": "integer"}, "5.0", 5),
        ({"type": "integer"}, "12345678901234567890", 12345678901234567890),
        ({"type": "number"}, "1.5e3", 1500.0),
        ({"type": "number"}, "7", 7),
        ({"type": "boolean"}, "true", True),
        ({"type": "string"}, "5", "5"),
        ({"type": "string"}, "", ""),
        ({"type": "string"}, "a+b%2Bc%20d", "a b+c d"),
        ({"type": "string"}, "a=b=c", "a=b=c"),
        ({}, "5", "5"),
        ({"enum": [1, 2]}, "2", 2),
        ({"enum": [True]}, "true", True),
        ({"type": "string", "enum": [1, 2]}, "2", "2"),
        ({"anyOf": [{"type": "integer", "maximum": 9}, {"type": "string", "minLength": 3}]}, "5", 5),
        ({"anyOf": [{"type": "integer", "maximum": 9}, {"type": "string", "minLength": 3}]}, "500", "500"),
        ({"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "string"}]}, "x", ["x"]),
        ({"allOf": [{"type": "integer"}, {"minimum": 2}]}, "5", 5),
        ({"type": "string", "nullable": True}, "null", "null"),
        ({"type": "integer", "nullable": True}, "null", None),
        ({"type": "integer", "nullable": True}, "", None),
        ({"type": "string", "default": "now", "format": "date-time"}, "now", "now"),
        (ARRAY, "a", ["a"]),
        ({"type": "array", "items": {"type": "object"}}, "%7B%22a%22:1%7D", [{"a": 1}]),
    ],
)
def test_text_gets_its_type_from_the_schema(schema, written, value):
    judgement = arrive(mock_of("query", schema), "query", f"color={written}")
    if value == ["x"]:
        assert judgement.accepted
    else:
        assert texts(judgement) == []
        assert judgement.arguments["color"] == value
        assert type(judgement.arguments["color"]) is type(value)


def test_an_empty_list_may_be_written_as_nothing():
    mock = mock_of("query", {"type": "array", "items": {"type": "integer"}}, explode=False)
    assert arrive(mock, "query", "color=").arguments == {"color": []}


@every_row("where", ["path", "query", "header", "cookie"])
def test_a_parameter_may_be_json(where):
    path = "/x/{color}" if where == "path" else "/x"
    content = {"application/json": {"schema": OBJECT}}
    mock = of_parameter({"name": "color", "in": where, "required": True, "content": content}, path)
    written = json.dumps(RGB)
    sent = {
        "path": quote(written, safe=""),
        "query": f"color={quote(written)}",
        "cookie": f"color={quote(written)}",
    }
    assert arrive(mock, where, sent.get(where, written)).arguments == {"color": RGB}
    assert (
        "is not JSON"
        in arrive(mock, where, {"query": "color={", "cookie": "color={"}.get(where, "{")).faults[0].text
    )


def test_deep_objects_hold_lists_and_objects():
    schema = {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": {"type": "integer"}},
            "of": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}},
            "plain": {"type": "object", "properties": {"b": {"type": "boolean"}}},
        },
    }
    mock = mock_of("query", schema, style="deepObject")
    written = "color[list][]=1&color[list][]=2&color[of][0][a]=1&color[of][1][a]=2&color[plain][b]=true"
    assert arrive(mock, "query", written).arguments == {
        "color": {"list": [1, 2], "of": [{"a": 1}, {"a": 2}], "plain": {"b": True}}
    }
    assert arrive(mock, "query", "color[list]=1&color[list]=2").arguments == {"color": {"list": [1, 2]}}
    assert arrive(mock, "query", "color[list][1]=1&color[list][0]=2").arguments == {"color": {"list": [2, 1]}}


def test_a_deep_object_of_any_depth_is_refused_not_followed():
    deep = "color" + "[a]" * 5_000
    judgement = arrive(mock_of("query", {"type": "object"}, style="deepObject"), "query", f"{deep}=1")
    assert "levels deep" in judgement.faults[0].text


def test_everything_wrong_is_said_at_once():
    mock = backend(
        {
            "/x": {
                "get": operation(
                    parameters=[
                        {"name": "a", "in": "query", "required": True, "schema": {"type": "integer"}},
                        {"name": "b", "in": "query", "required": True, "schema": TEXT},
                        {"name": "c", "in": "header", "required": True, "schema": TEXT},
                    ]
                )
            }
        }
    )
    judgement = mock.judge("GET", "/v1/x?a=x&z=1")
    assert [one.place for one in judgement.faults] == ["header/c", "query/a", "query/b", "query/z"]
    assert len(json.loads(judgement.answer.body)["errors"]) == 4


def test_names_are_compared_decoded_and_headers_in_any_case():
    mock = of_parameter({"name": "filter[x y]", "in": "query", "schema": TEXT})
    assert mock.judge("GET", "/v1/x?filter%5Bx%20y%5D=1").arguments == {"filter[x y]": "1"}
    assert mock.judge("GET", "/v1/x?filter[x+y]=1").arguments == {"filter[x y]": "1"}
    header = of_parameter({"name": "X-Thing", "in": "header", "required": True, "schema": TEXT})
    assert header.judge("GET", "/v1/x", [("x-THING", "1")]).arguments == {"X-Thing": "1"}


@every_row("name", ["Accept", "Content-Type", "Authorization", "Host"])
def test_headers_of_negotiation_and_login_are_nobody_s_parameters(name):
    mock = of_parameter({"name": name, "in": "header", "required": True, "schema": {"type": "integer"}})
    assert mock.judge("GET", "/v1/x").accepted


def test_names_that_collide_are_grouped_like_the_input_schema():
    where = ["query", "header"]
    mock = backend(
        {"/x": {"get": operation(parameters=[{"name": "a", "in": one, "schema": TEXT} for one in where])}}
    )
    judgement = mock.judge("GET", "/v1/x?a=1", [("A", "2")])
    assert judgement.arguments == {"header": {"a": "2"}, "query": {"a": "1"}}


def test_an_open_object_takes_what_is_left_of_the_query():
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    mock = backend(
        {
            "/x": {
                "get": operation(
                    parameters=[
                        {"name": "page", "in": "query", "schema": {"type": "integer"}},
                        {"name": "rest", "in": "query", "schema": schema},
                    ]
                )
            }
        }
    )
    assert mock.judge("GET", "/v1/x?a=1&page=2&b=3").arguments == {"page": 2, "rest": {"a": 1, "b": 3}}


def test_undeclared_queries_can_be_let_through():
    from actions.mock.judging import MockBackend

    spec = of_parameter({"name": "a", "in": "query", "schema": TEXT}).spec
    (name,) = spec.operations
    assert not MockBackend(spec).judge("GET", "/v1/x?b=1").accepted
    assert MockBackend(spec, unchecked=[name]).judge("GET", "/v1/x?b=1").accepted


simple = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(values=st.lists(simple, min_size=1, max_size=5))
@pytest.mark.parametrize(
    ("style", "explode", "write"),
    [
        ("form", True, lambda all_: "&".join(f"color={quote(one, safe='')}" for one in all_)),
        ("form", False, lambda all_: "color=" + ",".join(quote(one, safe="") for one in all_)),
    ],
)
def test_lists_of_any_text_come_back(style, explode, write, values):
    mock = mock_of("query", ARRAY, style=style, explode=explode)
    assert arrive(mock, "query", write(values)).arguments == {"color": values}


@given(value=simple)
def test_any_text_of_a_path_comes_back(value):
    judgement = arrive(mock_of("path", TEXT), "path", quote(value, safe=""))
    assert judgement.arguments == {"color": value}


@given(value=st.dictionaries(simple, st.integers(), min_size=1, max_size=5))
def test_deep_objects_of_any_names_come_back(value):
    value = {name: one for name, one in value.items() if not {"[", "]"} & set(name)}
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    written = "&".join(f"color%5B{quote(name, safe='')}%5D={one}" for name, one in value.items())
    judgement = arrive(mock_of("query", schema, style="deepObject", required=bool(value)), "query", written)
    assert judgement.arguments == ({"color": value} if value else {})


def test_a_path_may_be_encoded_twice():
    from actions.mock.parameters import read_path
    from actions.mock.shapes import Shapes
    from actions.specs.model import Parameter
    from actions.specs.references import Registry

    one = Parameter(name="a", location="path", schema=TEXT, twice_encoded=True)
    view = Shapes(Registry({})).view(TEXT)
    assert read_path(one, "b%252Fc", view).values(view) == ["b/c"]


@every_row(
    ("schema", "more", "written", "value"),
    [
        ({"type": "array", "items": {"type": "integer"}}, {"explode": True}, "color=", []),
        (ARRAY, {"explode": False}, "color=a%2Cb", ["a,b"]),
        ({**ARRAY, "minItems": 2}, {"explode": False}, "color=a%2Cb", ["a", "b"]),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, {"style": "deepObject"}, "", {}),
        ({"type": "object", "properties": {"a": NESTED}}, {}, "a=%7B%22b%22:1%7D", {"a": {"b": 1}}),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, {}, "a=[1", {"a": ["[1"]}),
        (
            {"type": "object"},
            {"style": "deepObject"},
            "color[a]=1&color[a]=2&color[a]=3",
            {"a": ["1", "2", "3"]},
        ),
        (
            {"properties": {"a": {"items": {"type": "integer"}}}},
            {"style": "deepObject"},
            "color[a]=1",
            {"a": [1]},
        ),
        ({"anyOf": [{"type": "object"}, {"type": "integer"}]}, {"style": "deepObject"}, "color=5", 5),
        (
            {"type": "object", "properties": {"a": {"type": "array", "items": NESTED}}},
            {"style": "deepObject"},
            "color[a][x][y]=1",
            {"a": {"x": {"y": "1"}}},
        ),
    ],
)
def test_what_has_no_style_of_its_own_is_read_as_people_write_it(schema, more, written, value):
    judgement = arrive(mock_of("query", schema, **more), "query", written)
    if value == {"a": {"x": {"y": "1"}}}:
        assert "must be array" in judgement.faults[0].text
    else:
        assert texts(judgement) == []
        assert judgement.arguments == {"color": value}


@every_row(
    ("where", "more", "schema", "written", "told"),
    [
        ("path", {"style": "matrix"}, TEXT, ";color=a;color=b", "came several times"),
        ("query", {"style": "deepObject"}, OBJECT, "color[R][a]=1&color[R]=1", "both a value and members"),
        ("query", {}, TEXT, "%ff=1&color=x", "is not declared"),
    ],
)
def test_what_contradicts_itself_is_refused(where, more, schema, written, told):
    assert told in arrive(mock_of(where, schema, **more), where, written).faults[0].text


def test_one_document_does_not_come_twice():
    mock = of_parameter({"name": "color", "in": "query", "content": {"application/json": {"schema": {}}}})
    assert "its value is one document" in arrive(mock, "query", "color=1&color=2").faults[0].text


def test_parameters_side_by_side_cannot_be_told_apart():
    names = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in ("a", "b")]
    mock = backend({"/{a}{b}": {"get": operation(parameters=names)}})
    assert mock.judge("GET", "/v1/xy").arguments == {"a": "", "b": "xy"}


def test_only_parameters_make_a_path_too():
    names = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in ("a", "b")]
    mock = backend({"/{a}/{b}": {"get": operation(parameters=names)}}, servers=[])
    assert mock.judge("GET", "/x/y").arguments == {"a": "x", "b": "y"}


def test_swagger_2_may_allow_an_empty_value():
    from actions.mock.judging import MockBackend
    from actions.specs import read_spec

    one = {"name": "a", "in": "query", "type": "integer", "allowEmptyValue": True}
    path = {"get": {"parameters": [one], "responses": {"200": {"description": ""}}}}
    document = {"swagger": "2.0", "info": {"title": "t", "version": "1"}, "host": "h", "paths": {"/x": path}}
    mock = MockBackend(read_spec({"a.json": json.dumps(document).encode()}))
    assert mock.judge("GET", "/x?a=").arguments == {"a": ""}
    assert not mock.judge("GET", "/x?a=x").accepted


def test_what_a_collection_shows_binds_nobody():
    from actions.mock.judging import MockBackend
    from actions.specs.model import Operation, Parameter, Spec

    one = Parameter(name="a", location="query", schema={"type": "integer"}, style="form", explode=True)
    asked = Operation(id="op", method="GET", path="/x", parameters=(one,))
    for dialect, accepted in (("postman2.1", True), ("openapi3.0", False)):
        mock = MockBackend(Spec(dialect=dialect, operations={"op": asked}))
        assert mock.judge("GET", "/x?a=text").accepted is accepted


@every_row("depth", [100, 300, 900, 20_000])
def test_deep_json_in_a_query_is_no_accident(depth):
    mock = mock_of("query", {"type": "object", "properties": {"a": {"type": "array"}}})
    judgement = arrive(mock, "query", f"a={'[' * depth}{']' * depth}")
    assert judgement.answer.status in (200, 400)

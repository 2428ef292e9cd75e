"""XML bodies by the `xml` hints: the examples of the specification, escapes, and what comes back."""

from typing import Any
from xml.etree.ElementTree import Element

import msgspec
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from actions.bodies import compile_media
from actions.specs.model import Media
from actions.specs.references import Registry
from tests.examples import examples
from tests.tables import every_row
from tests.unit.actions.bodies.sending import refusals, sent

PROLOG = '<?xml version="1.0" encoding="UTF-8"?>'
XML = "application/xml"


def text(schema: Any, value: Any, **schemas: Any) -> str:
    body = sent({XML: {"schema": schema}}, value, schemas=schemas).body
    assert body is not None
    fromstring(body)
    return body.decode().removeprefix(PROLOG)


def inside(schema: Any, value: Any) -> str:
    """Return what one property called `p` is written as (OpenAPI 3.1.1 §4.8.26, examples)."""
    whole = {"type": "object", "xml": {"name": "r"}, "properties": {"p": schema}}
    return text(whole, {"p": value}).removeprefix("<r>").removesuffix("</r>")


STRING = {"type": "string"}


@every_row(
    ("schema", "value", "expected"),
    [
        (STRING, "x", "<p>x</p>"),
        ({"type": "string", "xml": {"name": "animal"}}, "x", "<animal>x</animal>"),
        ({"type": "array", "items": STRING}, ["a", "b"], "<p>a</p><p>b</p>"),
        ({"type": "array", "items": STRING}, [], "<r/>"),
        ({"type": "array", "items": {**STRING, "xml": {"name": "i"}}}, ["a", "b"], "<i>a</i><i>b</i>"),
        (
            {"type": "array", "xml": {"name": "o"}, "items": {**STRING, "xml": {"name": "i"}}},
            ["a"],
            "<i>a</i>",
        ),
        ({"type": "array", "xml": {"wrapped": True}, "items": STRING}, ["a", "b"], "<p><p>a</p><p>b</p></p>"),
        ({"type": "array", "xml": {"wrapped": True}, "items": STRING}, [], "<p/>"),
        (
            {
                "type": "array",
                "xml": {"name": "o", "wrapped": True},
                "items": {**STRING, "xml": {"name": "i"}},
            },
            ["a", "b"],
            "<o><i>a</i><i>b</i></o>",
        ),
        ({"type": "array", "xml": {"name": "o", "wrapped": True}, "items": STRING}, ["a"], "<o><o>a</o></o>"),
        ({"type": "array", "items": {"type": "array", "items": STRING}}, [["a"], []], "<p><p>a</p></p><p/>"),
        ({"xml": {"namespace": "urn:a"}}, 1, '<p xmlns="urn:a">1</p>'),
        ({"xml": {"namespace": "urn:a", "prefix": "s"}}, 1, '<s:p xmlns:s="urn:a">1</s:p>'),
        ({"xml": {"prefix": "s"}}, 1, "<p>1</p>"),
        ({"xml": {"name": "s:q"}}, 1, "<q>1</q>"),
        ({"xml": {"name": "xml:lang"}}, 1, "<xml:lang>1</xml:lang>"),
        (
            {"xml": {"namespace": "urn:a", "prefix": "s"}, "properties": {"q": {"xml": {"prefix": "s"}}}},
            {"q": 1},
            '<s:p xmlns:s="urn:a"><s:q>1</s:q></s:p>',
        ),
        ({}, msgspec.Raw(b"1.10"), "<p>1.10</p>"),
        ({}, True, "<p>true</p>"),
        ({}, "", "<p/>"),
        ({}, None, "<r/>"),
        ({}, [None, "x"], "<p/><p>x</p>"),
        ({}, "a<b>&\r\n\t\"'é", "<p>a&lt;b&gt;&amp;&#13;\n\t\"'é</p>"),
        ({"xml": 7}, {"a": {"b": 1}}, "<p><a><b>1</b></a></p>"),
        ({"additionalProperties": {"xml": {"name": "n"}}}, {"a": 1, "b": 2}, "<p><n>1</n><n>2</n></p>"),
    ],
)
def test_the_hints(schema: Any, value: Any, expected: str) -> None:
    assert inside(schema, value).replace("<r />", "<r/>") == expected


def test_objects_stand_in_the_order_of_the_schema_and_attributes_in_the_tag() -> None:
    schema = {
        "type": "object",
        "xml": {"name": "Order", "namespace": "urn:o"},
        "properties": {
            "id": {"xml": {"attribute": True}},
            "kind": {"xml": {"attribute": True, "name": "k", "prefix": "x", "namespace": "urn:x"}},
            "lang": {"xml": {"nodeType": "attribute", "name": "xml:lang"}},
            "first": {},
            "second": {
                "type": "object",
                "properties": {"text": {"xml": {"nodeType": "text"}}, "n": {"xml": {"attribute": True}}},
            },
        },
    }
    value = {
        "more": 1,
        "second": {"n": 2, "text": "t"},
        "first": "f",
        "lang": "de",
        "kind": 'a"\n<',
        "id": 5,
        "none": None,
    }
    assert text(schema, value) == (
        '<Order xmlns="urn:o" id="5" xmlns:x="urn:x" x:k="a&quot;&#10;&lt;" xml:lang="de">'
        '<first>f</first><second n="2">t</second><more>1</more></Order>'
    )


def test_the_root_is_named_by_hint_reference_or_title() -> None:
    reference = {"$ref": "#/components/schemas/Pet"}
    assert text({"xml": {"name": "animal"}, "title": "Pet"}, {}) == "<animal/>"
    assert text(reference, {"a": 1}, Pet={"title": "x"}) == "<Pet><a>1</a></Pet>"
    assert text({**reference, "xml": {"name": "own"}}, {}, Pet={}) == "<own/>"
    assert text({"allOf": [reference]}, {}, Pet={"type": "object"}) == "<Pet/>"
    assert text({"title": "Title"}, {}) == "<Title/>"
    assert text({"title": "No name"}, {}) == "<root/>"
    assert text({}, {"a": 1}) == "<root><a>1</a></root>"
    assert text({}, 5) == "<root>5</root>"


def test_a_list_at_the_top_stands_in_one_element() -> None:
    schema = {"type": "array", "xml": {"name": "pets"}, "items": {"xml": {"name": "pet"}}}
    assert text(schema, [{"a": 1}, {}]) == "<pets><pet><a>1</a></pet><pet/></pets>"
    assert text(
        {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}}, [1], Pet={"xml": {"name": "P"}}
    ) == ("<root><P>1</P></root>")


def test_hints_are_found_through_references_and_mixtures() -> None:
    schemas = {
        "Pet": {
            "allOf": [
                {"$ref": "#/components/schemas/Base"},
                {"properties": {"tag": {"$ref": "#/components/schemas/Tag"}}},
            ]
        },
        "Base": {
            "properties": {"id": {"xml": {"attribute": True}}, "pet": {"$ref": "#/components/schemas/Pet"}}
        },
        "Tag": {"xml": {"name": "label"}},
    }
    value = {"tag": "t", "pet": {"id": 2, "tag": "u"}, "id": 1}
    expected = '<Pet id="1"><pet id="2"><label>u</label></pet><label>t</label></Pet>'
    assert text({"$ref": "#/components/schemas/Pet"}, value, **schemas) == expected


def test_a_string_is_sent_as_it_is_and_a_file_as_its_bytes() -> None:
    content = {"text/xml; charset=utf-8": {"schema": {"type": "object"}}}
    assert sent(content, "<a>é</a>").body == "<a>é</a>".encode()
    assert sent(content, msgspec.Raw(b'"<a/>"')).body == b"<a/>"
    assert sent(content, {"base64": "PGEvPg=="}).body == b"<a/>"
    assert refusals(content, "\ud800") == {"/body": "body has half a surrogate pair"}
    assert refusals(content, {"base64": "?"}) == {"/body": "body has a base64 that cannot be decoded"}


def test_other_character_sets_get_ascii() -> None:
    made = sent({"text/xml; charset=iso-8859-1": {}}, {"a": "é"})
    assert made.body == (PROLOG + "<root><a>&#233;</a></root>").encode()


def test_everything_wrong_is_said_at_once() -> None:
    schema = {"properties": {"at": {"xml": {"attribute": True}}, "named": {"xml": {"name": "a b"}}}}
    value = {
        "at": {"x": 1},
        "named": 1,
        "1a": 1,
        "ok": ["a\x00", {"b": "\ud800"}],
        "n": float("nan"),
        "at2": 1,
    }
    assert refusals({XML: {"schema": schema}}, value) == {
        "/body/at": "body/at has a list or an object inside, which cannot be carried here",
        "/body/named": "body/named cannot be written as XML: 'a b' is no name of an element",
        "/body/1a": "body/1a cannot be written as XML: '1a' is no name of an element",
        "/body/ok/0": "body/ok/0 has characters that XML cannot carry",
        "/body/ok/1/b": "body/ok/1/b has characters that XML cannot carry",
        "/body/n": "body/n is not a number that JSON has",
    }


def test_depth_is_bounded() -> None:
    value: Any = "x"
    for _ in range(150):
        value = {"a": value}
    ((pointer, reason),) = refusals({XML: {}}, value).items()
    assert reason.endswith("is nested in more than 100 elements")
    assert pointer.count("/") == 102
    many = refusals({XML: {}}, {"a": ["\x00"] * 1000})
    assert len(many) == 100


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,6}", fullmatch=True)
texts = st.text(
    st.characters(
        blacklist_categories=["Cs"],
        blacklist_characters=[chr(c) for c in range(32) if chr(c) not in "\t\n\r"] + ["\ufffe", "\uffff"],
    ),
    min_size=1,
)
trees = st.recursive(
    texts,
    lambda inner: st.dictionaries(
        names, inner | st.lists(inner, min_size=2, max_size=3), min_size=1, max_size=4
    ),
    max_leaves=12,
)


def read(element: Element) -> Any:
    if not len(element):
        return element.text or ""
    found: dict[str, Any] = {}
    for child in element:
        value = read(child)
        known = found.get(child.tag)
        found[child.tag] = (
            value if known is None else [*known, value] if isinstance(known, list) else [known, value]
        )
    return found


@examples(50)
@given(trees.filter(lambda one: isinstance(one, dict)))
def test_what_is_sent_can_be_read_back(value: Any) -> None:
    problems: list[tuple[str, str]] = []
    made = compile_media(Media(type=XML), Registry({}))(value, problems, "/body")
    assert made is not None, problems
    assert read(fromstring(made[0])) == value

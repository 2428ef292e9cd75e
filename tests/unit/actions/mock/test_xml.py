"""XML by the hints of schemas, read and written; hostile XML refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.mock import xml
from actions.mock.shapes import Shapes
from actions.specs.references import Registry
from tests.tables import every_row
from tests.unit.actions.mock.described import of_body, send, texts

TEXT = {"type": "string"}


def arrive(schema, body, **components):
    return send(of_body("application/xml", schema, components=components), body.encode(), "application/xml")


def of(properties, **more):
    return {"type": "object", "properties": properties, **more}


# The examples of the specification (XML Object), with the numbers as integers.
@every_row(
    ("schema", "written", "value"),
    [
        (
            of({"animals": {"type": "array", "items": TEXT}}),
            "<r><animals>a</animals><animals>b</animals></r>",
            {"animals": ["a", "b"]},
        ),
        (
            of({"animals": {"type": "array", "items": {**TEXT, "xml": {"name": "animal"}}}}),
            "<r><animal>a</animal><animal>b</animal></r>",
            {"animals": ["a", "b"]},
        ),
        (
            of(
                {
                    "animals": {
                        "type": "array",
                        "xml": {"name": "aliens"},
                        "items": {**TEXT, "xml": {"name": "animal"}},
                    }
                }
            ),
            "<r><animal>a</animal></r>",
            {"animals": ["a"]},
        ),
        (
            of({"animals": {"type": "array", "xml": {"wrapped": True}, "items": TEXT}}),
            "<r><animals><animals>a</animals><animals>b</animals></animals></r>",
            {"animals": ["a", "b"]},
        ),
        (
            of(
                {
                    "animals": {
                        "type": "array",
                        "xml": {"wrapped": True},
                        "items": {**TEXT, "xml": {"name": "animal"}},
                    }
                }
            ),
            "<r><animals><animal>a</animal></animals></r>",
            {"animals": ["a"]},
        ),
        (
            of({"animals": {"type": "array", "xml": {"name": "aliens", "wrapped": True}, "items": TEXT}}),
            "<r><aliens><aliens>a</aliens></aliens></r>",
            {"animals": ["a"]},
        ),
        (
            of(
                {
                    "id": {"type": "integer", "xml": {"attribute": True}},
                    "name": {**TEXT, "xml": {"name": "n"}},
                }
            ),
            '<r id="5"><n>x</n></r>',
            {"id": 5, "name": "x"},
        ),
        (
            of({"name": {**TEXT, "xml": {"namespace": "http://n", "prefix": "s"}}}, xml={"name": "P"}),
            '<P xmlns:s="http://n"><s:name>x</s:name></P>',
            {"name": "x"},
        ),
        (of({"a": of({"b": {"type": "boolean"}})}), "<r><a><b>true</b></a></r>", {"a": {"b": True}}),
        (of({"a": {"type": "number"}}), "<r>\n  <a>1.5</a>\n</r>", {"a": 1.5}),
        (of({"a": TEXT}), "<r><a/></r>", {"a": ""}),
        (of({"a": TEXT}), "<r><a>x &amp; &lt;y&gt; &#65;<![CDATA[<z>]]></a></r>", {"a": "x & <y> A<z>"}),
        (
            {"type": "array", "items": of({"a": {"type": "integer"}}, xml={"name": "t"})},
            "<ts><t><a>1</a></t><t><a>2</a></t></ts>",
            [{"a": 1}, {"a": 2}],
        ),
        ({}, "<r><a>1</a><a>2</a><b c='3'/></r>", {"a": ["1", "2"], "b": {"c": "3"}}),
        (TEXT, "<r>as it is</r>", "<r>as it is</r>"),
    ],
)
def test_a_body_is_read_by_its_hints(schema, written, value):
    judgement = arrive(schema, written)
    assert texts(judgement) == []
    assert judgement.arguments == {"body": value}


def test_the_root_has_the_name_of_the_schema():
    pet = of({"id": {"type": "integer"}})
    reference = {"$ref": "#/components/schemas/Pet"}
    assert arrive(reference, "<Pet><id>1</id></Pet>", Pet=pet).accepted
    assert "must be Pet" in arrive(reference, "<Cat><id>1</id></Cat>", Pet=pet).faults[0].text
    named = {**pet, "xml": {"name": "pet"}}
    assert arrive(reference, "<pet><id>1</id></pet>", Pet=named).accepted
    assert not arrive(reference, "<Pet><id>1</id></Pet>", Pet=named).accepted


@every_row(
    ("schema", "written", "told"),
    [
        (of({"a": {"type": "integer"}}), "<r><a>x</a></r>", "must be integer"),
        (of({"a": TEXT}, required=["a"]), "<r/>", "a is required"),
        (of({"a": TEXT}, additionalProperties=False), "<r><b>x</b></r>", "b is not known here"),
        (of({"a": TEXT}), "<r><a>x</a><a>y</a></r>", "several elements a"),
        (
            of({"a": {"type": "array", "xml": {"wrapped": True}, "items": TEXT}}),
            "<r><a><b>x</b></a></r>",
            "where a is expected",
        ),
        (
            of({"a": {"type": "array", "xml": {"wrapped": True}, "items": TEXT}}),
            "<r><a/><a/></r>",
            "wrapped into one",
        ),
        (
            of({"a": {**TEXT, "xml": {"namespace": "http://n"}}}),
            "<r><a>x</a></r>",
            "outside of the namespace",
        ),
        (of({}), "", "is required"),
        (of({}), "<r>", "is not XML"),
        (of({}), "<r/><r/>", "is not XML"),
        (of({}), "no", "is not XML"),
        (of({}), "<r>&nope;</r>", "is not XML"),
        (of({}), "<!DOCTYPE r [<!ENTITY a 'x'>]><r>&a;</r>", "document type"),
        (of({}), "<!DOCTYPE r SYSTEM 'file:///etc/passwd'><r/>", "document type"),
        (of({}), "<!DOCTYPE r [<!ENTITY a SYSTEM 'http://127.0.0.1:9/x'>]><r>&a;</r>", "document type"),
        (
            of({}),
            "<!DOCTYPE r [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;'>]><r>&c;</r>",
            "document type",
        ),
        (of({}), "<r>" * 200 + "</r>" * 200, "levels deep"),
        (of({}), "<r>" * 100_000, "levels deep"),
        (of({}), "<r>" + "<a/>" * 100_001 + "</r>", "more than 100000 elements"),
        (of({}), "<?xml version='1.0' encoding='nope'?><r/>", "is not XML"),
    ],
)
def test_what_does_not_fit_or_is_hostile_is_refused(schema, written, told):
    judgement = arrive(schema, written)
    assert judgement.answer.status == 400
    assert told in judgement.faults[0].text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(json_values)
def test_whatever_is_written_is_xml(value):
    view = Shapes(Registry({})).view({})
    assert xml.parse(xml.write(value, view, "root")).tag == "root"


def test_what_is_written_is_read_back():
    schema = of(
        {
            "id": {"type": "integer", "xml": {"attribute": True}},
            "tags": {
                "type": "array",
                "xml": {"wrapped": True, "name": "T"},
                "items": {**TEXT, "xml": {"name": "t"}},
            },
            "of": {"type": "array", "items": {"type": "integer"}},
            "deep": of({"x": {"type": "boolean"}}),
        },
        xml={"name": "thing"},
    )
    view = Shapes(Registry({})).view(schema)
    value = {"id": 5, "tags": ["a", "b"], "of": [1, 2], "deep": {"x": True}}
    assert view.typed(xml.read(xml.write(value, view, "x"), view, "x")) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body):
    with suppress(xml.BadXML):
        xml.parse(body)


@every_row(
    ("schema", "written", "value"),
    [
        (
            {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
            "<r><a><b>1</b><b>2</b></a></r>",
            [[1, 2]],
        ),
        (
            of(
                {
                    "id": {"type": "integer", "xml": {"nodeType": "attribute"}},
                    "t": {**TEXT, "xml": {"nodeType": "text"}},
                }
            ),
            "<r id='1'>x</r>",
            {"id": 1, "t": "x"},
        ),
        ({"type": "object"}, "<r>text</r>", {"#text": "text"}),
    ],
)
def test_newer_and_looser_hints_are_read_too(schema, written, value):
    assert arrive(schema, written).arguments == {"body": value}


def test_nothing_is_no_xml():
    with pytest.raises(xml.BadXML):
        xml.parse(b"")

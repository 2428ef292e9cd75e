"""Bodies of every media type, read back and judged."""

import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from actions.mock.judging import MockBackend
from actions.specs import read_spec
from tests.tables import every_row
from tests.unit.actions.mock.described import backend, of_body, operation, send, texts

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
ORDER = {
    "type": "object",
    "properties": {"id": NUMBER, "tags": {"type": "array", "items": TEXT}},
    "required": ["id"],
}
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def parts(*several: bytes) -> bytes:
    return b"".join(b"--x\r\n" + one + b"\r\n" for one in several) + b"--x--\r\n"


def part(name: str, content: bytes, **more: str) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"'
    filename, content_type = more.get("filename"), more.get("type")
    disposition += f'; filename="{filename}"' if filename is not None else ""
    head = disposition + (f"\r\nContent-Type: {content_type}" if content_type else "")
    return head.encode() + b"\r\n\r\n" + content


@every_row(
    ("declared", "sent", "body", "value"),
    [
        (JSON, JSON, b'{"id": 1}', {"id": 1}),
        (JSON, "application/json; charset=utf-8", b'{"id": 1}', {"id": 1}),
        (JSON, "APPLICATION/JSON", b'{"id": 1}', {"id": 1}),
        ("application/json;odata=verbose", "application/json;odata=verbose", b'{"id": 1}', {"id": 1}),
        ("application/*", "application/vnd.x+json", b'{"id": 1}', {"id": 1}),
        ("*/*", "application/merge-patch+json", b'{"id": 1}', {"id": 1}),
        (FORM, FORM, b"id=1&tags=a&tags=b+c%26", {"id": 1, "tags": ["a", "b c&"]}),
        (FORM, FORM, b"id=1&tags=a", {"id": 1, "tags": ["a"]}),
        (FORM, FORM, b"id=1&other=2", {"id": 1, "other": "2"}),
        (
            "multipart/form-data",
            "multipart/form-data; boundary=x",
            parts(part("id", b"1"), part("tags", b"a")),
            {"id": 1, "tags": ["a"]},
        ),
        (
            "multipart/form-data",
            "multipart/form-data; boundary=x",
            parts(part("id", b"1"), part("tags", b'["a","b"]', type="application/json")),
            {"id": 1, "tags": ["a", "b"]},
        ),
        ("application/xml", "application/xml", b"<r><id>1</id></r>", {"id": 1}),
        ("text/xml", "text/xml; charset=utf-8", b"<r><id>1</id></r>", {"id": 1}),
    ],
)
def test_an_object_arrives(declared, sent, body, value):
    judgement = send(of_body(declared, ORDER), body, sent)
    assert texts(judgement) == []
    assert judgement.arguments == {"body": value}


@every_row(
    ("declared", "sent", "body", "told"),
    [
        (JSON, JSON, b"", "body is required"),
        (JSON, JSON, b" ", "is empty, which is not JSON"),
        (JSON, JSON, b"{", "is not JSON"),
        (JSON, JSON, b"\xff", "is not JSON"),
        (JSON, JSON, b"[" * 100_000, "is not JSON"),
        (JSON, JSON, b'"\\ud800"', "is not JSON"),
        (JSON, JSON, b'{"id": 1e999}', "is not JSON"),
        (JSON, JSON, b"[]", "must be object, not a list"),
        (JSON, JSON, b"{}", "id is required"),
        (JSON, JSON, b'{"id": "1"}', 'body/id must be integer, not "1"'),
        (JSON, "application/json; charset=utf-16", b"{}", "but JSON is UTF-8"),
        (FORM, FORM, b"id=x", "must be integer"),
        (FORM, FORM, b"id=1&id=2", "came 2 times"),
        (FORM, FORM, b"id=%ff", "is not UTF-8"),
        (FORM, FORM, "id=ä".encode(), "not percent-encoded"),
        (FORM, FORM, b"&".join(b"a=%d" % number for number in range(10_001)), "more than 10000 fields"),
        ("multipart/form-data", "multipart/form-data", b"--x--", "no usable boundary"),
        (
            "multipart/form-data",
            "multipart/form-data; boundary=x",
            parts(part("id", b"1"), part("id", b"2")),
            "several parts id",
        ),
        (
            "multipart/form-data",
            "multipart/form-data; boundary=x",
            parts(b"A: b\r\n\r\nhi"),
            "a part without a name",
        ),
        (
            "multipart/form-data",
            "multipart/form-data; boundary=x",
            parts(part("id", b"\xff")),
            "is not utf-8 text",
        ),
        ("text/plain", "text/plain; charset=zip", b"x", "is in zip, which is not known"),
        ("text/plain", "text/plain; charset=utf-16", b"x", "is not utf-16 text"),
    ],
)
def test_what_cannot_be_read_is_400(declared, sent, body, told):
    judgement = send(of_body(declared, ORDER), body, sent)
    assert judgement.answer.status == 400
    assert told in judgement.faults[0].text


@every_row("sent", ["text/html", "application/xml", "", "nonsense", "application/jsonp"])
def test_another_media_type_is_415_and_says_which_there_are(sent):
    judgement = send(of_body(JSON, ORDER), b'{"id": 1}', sent)
    assert judgement.answer.status == 415
    assert "there is application/json" in judgement.faults[0].text


def test_a_body_without_a_media_type_is_415_and_two_of_them_too():
    mock = of_body(JSON, ORDER)
    assert mock.judge("POST", "/v1/x", [], b"{}").answer.status == 415
    twice = [("Content-Type", JSON)] * 2
    assert mock.judge("POST", "/v1/x", twice, b'{"id": 1}').answer.status == 415


def test_a_body_nobody_declared_is_refused():
    mock = backend({"/x": {"post": operation()}})
    assert "none is declared" in send(mock, b"{}", JSON).faults[0].text


def test_an_optional_body_may_be_absent():
    mock = backend({"/x": {"post": operation(body={JSON: {"schema": ORDER}}, required=False)}})
    assert mock.judge("POST", "/v1/x").accepted


@every_row("media", ["text/plain", "application/octet-stream", FORM])
def test_nothing_is_a_body_too_where_it_can_be_one(media):
    assert of_body(media, {"type": "object"} if media == FORM else TEXT).judge("POST", "/v1/x").accepted


def test_the_media_type_that_fits_best_judges():
    content = {"*/*": {"schema": {"type": "boolean"}}, JSON: {"schema": NUMBER}, "text/*": {"schema": TEXT}}
    mock = backend({"/x": {"post": operation(body=content)}})
    assert send(mock, b"1", JSON).accepted
    assert send(mock, b"hello", "text/csv").arguments == {"body": "hello"}
    assert send(mock, b"true", "application/x+json").arguments == {"body": True}


@every_row(
    ("schema", "body", "value"),
    [(TEXT, b"5", "5"), (NUMBER, b"5", 5), ({"type": "object"}, b"anything", "anything"), ({}, b"5", "5")],
)
def test_text_is_typed_where_a_scalar_is_meant(schema, body, value):
    assert send(of_body("text/plain", schema), body, "text/plain").arguments == {"body": value}


def test_bytes_arrive_as_they_are():
    body = bytes(range(256))
    judgement = send(
        of_body("application/octet-stream", {"type": "string", "format": "binary"}),
        body,
        "application/octet-stream",
    )
    assert base64.b64decode(judgement.arguments["body"]["base64"]) == body


@every_row("schema", [{"type": "array", "items": NUMBER}, NUMBER])
def test_json_lines_are_a_list(schema):
    mock = of_body("application/x-ndjson", schema)
    assert send(mock, b"1\n2\n", "application/x-ndjson").arguments["body"] in ([1, 2], 1)
    assert "is not JSON" in send(mock, b"1\n{\n", "application/x-ndjson").faults[0].text


# Forms, by the encoding of their fields.

NESTED = {"type": "object", "properties": {"a": NUMBER}}


@every_row(
    ("schema", "encoding", "body", "value"),
    [
        (NESTED, None, b'f=%7B"a":1%7D', {"a": 1}),
        (NESTED, {"style": "deepObject", "explode": True}, b"f%5Ba%5D=1", {"a": 1}),
        (NESTED, {"style": "form", "explode": False}, b"f=a,1", {"a": 1}),
        (NESTED, {"style": "form", "explode": True}, b"a=1", {"a": 1}),
        (NESTED, {"contentType": "application/json"}, b"f=%7B%22a%22%3A1%7D", {"a": 1}),
        ({"type": "array", "items": NUMBER}, None, b"f=1&f=2", [1, 2]),
        ({"type": "array", "items": NUMBER}, {"style": "form", "explode": False}, b"f=1,2", [1, 2]),
        (
            {"type": "array", "items": NUMBER},
            {"style": "pipeDelimited", "explode": False},
            b"f=1%7C2",
            [1, 2],
        ),
        ({"type": "array", "items": NUMBER}, {"style": "tabDelimited", "explode": False}, b"f=1%092", [1, 2]),
        ({"type": "array", "items": NESTED}, None, b'f={"a":1}&f={"a":2}', [{"a": 1}, {"a": 2}]),
        ({"type": "array", "items": NESTED}, None, b'f=[{"a":1},{"a":2}]', [{"a": 1}, {"a": 2}]),
        (TEXT, {"contentType": "text/plain"}, b"f=%7B", "{"),
    ],
)
def test_fields_of_a_form_travel_by_their_encoding(schema, encoding, body, value):
    declared = {"type": "object", "properties": {"f": schema}, "required": ["f"]}
    judgement = send(of_body(FORM, declared, encoding={"f": encoding} if encoding else None), body, FORM)
    assert texts(judgement) == []
    assert judgement.arguments == {"body": {"f": value}} or judgement.arguments == {"body": value}


def test_a_form_may_be_one_text():
    assert send(of_body(FORM, TEXT), b"a=1&b", FORM).arguments == {"body": "a=1&b"}


def test_swagger_2_forms_and_files():
    field = {"in": "formData"}
    document = {
        "swagger": "2.0",
        "info": {"title": "t", "version": "1"},
        "host": "api.example",
        "basePath": "/v1",
        "paths": {
            "/form": {
                "post": {
                    "consumes": [FORM],
                    "parameters": [
                        {
                            **field,
                            "name": "ids",
                            "type": "array",
                            "items": {"type": "integer"},
                            "collectionFormat": "pipes",
                            "required": True,
                        },
                        {**field, "name": "on", "type": "boolean"},
                    ],
                    "responses": {"200": {"description": "fine"}},
                }
            },
            "/file": {
                "post": {
                    "consumes": ["multipart/form-data"],
                    "parameters": [{**field, "name": "file", "type": "file", "required": True}],
                    "responses": {"200": {"description": "fine"}},
                }
            },
        },
    }
    mock = MockBackend(read_spec({"a.json": json.dumps(document).encode()}))
    form = mock.judge("POST", "/v1/form", [("content-type", FORM)], b"ids=1%7C2&on=true")
    assert (texts(form), form.arguments) == ([], {"body": {"ids": [1, 2], "on": True}})
    kind = [("content-type", "multipart/form-data; boundary=x")]
    sent = mock.judge(
        "POST", "/v1/file", kind, parts(part("file", b"\x00\xff", filename="../../a", type="image/png"))
    )
    assert texts(sent) == []
    assert sent.arguments == {
        "body": {"file": {"base64": "AP8=", "type": "image/png", "filename": "../../a"}}
    }
    assert not mock.judge("POST", "/v1/file", kind, parts(part("other", b""))).accepted


# Parts, by the encoding of each.


@every_row(
    ("schema", "encoding", "sent", "value"),
    [
        (
            {"type": "string", "format": "binary"},
            None,
            [part("f", b"\xff")],
            {"base64": "/w==", "type": "text/plain"},
        ),
        (
            {"type": "string", "contentMediaType": "image/png"},
            None,
            [part("f", b"x", type="image/png")],
            {"base64": "eA==", "type": "image/png"},
        ),
        (
            {"type": "array", "items": {"type": "string", "format": "binary"}},
            None,
            [part("f", b"a", filename="a"), part("f", b"b", filename="b")],
            2,
        ),
        (NESTED, None, [part("f", b'{"a": 1}', type="application/json")], {"a": 1}),
        (NESTED, None, [part("f", b'{"a": 1}')], {"a": 1}),
        (
            NESTED,
            {"contentType": "application/json"},
            [part("f", b'{"a": 1}', type="application/json; charset=utf-8")],
            {"a": 1},
        ),
        (NUMBER, None, [part("f", b"5")], 5),
        (TEXT, None, [part("f", b"5", type="text/plain; charset=iso-8859-1")], "5"),
        (
            TEXT,
            {"contentType": "image/png, image/*"},
            [part("f", b"5", filename="x", type="image/gif")],
            None,
        ),
        (TEXT, None, [part("f", b"v=0", type="application/sdp")], "v=0"),
        ({"type": "array", "items": NUMBER}, None, [part("f", b"1"), part("f", b"2")], [1, 2]),
        (
            {"type": "array", "items": {"type": "array", "items": NUMBER}},
            None,
            [part("f", b"[1]", type=JSON), part("f", b"[2]", type=JSON)],
            [[1], [2]],
        ),
    ],
)
@every_row("version", ["3.0.3", "3.1.0"])
def test_parts_are_read_by_their_encoding(schema, encoding, sent, value, version):
    declared = {"type": "object", "properties": {"f": schema}, "required": ["f"]}
    mock = of_body(
        "multipart/form-data", declared, encoding={"f": encoding} if encoding else None, version=version
    )
    judgement = send(mock, parts(*sent), "multipart/form-data; boundary=x")
    assert texts(judgement) == []
    found = judgement.arguments["body"]["f"]
    assert value is None or (len(found) if value == 2 else found) == value


@every_row(
    ("encoding", "sent", "told"),
    [
        ({"contentType": "image/png"}, part("f", b"x", type="text/html"), "as text/html, not as image/png"),
        ({"contentType": "image/*"}, part("f", b"x"), "as text/plain, not as image/*"),
        (
            None,
            b'Content-Disposition: form-data; name="f"\r\nContent-Transfer-Encoding: base64\r\n\r\neA==',
            "Content-Transfer-Encoding",
        ),
        (None, part("f", b"{", type="application/json"), "is not JSON"),
    ],
)
def test_a_part_of_another_kind_is_refused(encoding, sent, told):
    declared = {"type": "object", "properties": {"f": TEXT}}
    mock = of_body("multipart/form-data", declared, encoding={"f": encoding} if encoding else None)
    assert told in send(mock, parts(sent), "multipart/form-data; boundary=x").faults[0].text


def test_parts_without_names_are_a_list():
    mock = of_body("multipart/mixed", {"type": "array", "items": {}})
    judgement = send(
        mock, parts(b"Content-Type: application/json\r\n\r\n1", b"\r\nhi"), "multipart/mixed; boundary=x"
    )
    assert judgement.arguments == {"body": [1, "hi"]}


def test_read_only_properties_are_not_wanted_of_requests():
    schema = {
        "type": "object",
        "required": ["id", "name"],
        "properties": {"id": {"type": "integer", "readOnly": True}, "name": TEXT},
    }
    assert send(of_body(JSON, schema), b'{"name": "x"}', JSON).accepted


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)


@given(json_values)
def test_any_json_comes_back(value):
    judgement = send(of_body(JSON, {}), json.dumps(value).encode(), JSON)
    assert judgement.arguments == {"body": value}


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        st.text(st.characters(exclude_categories=["Cs"])),
    )
)
def test_any_form_comes_back(value):
    from urllib.parse import urlencode

    judgement = send(
        of_body(FORM, {"type": "object", "additionalProperties": TEXT}), urlencode(value).encode(), FORM
    )
    assert judgement.arguments == ({"body": value} if value else {})


def test_one_part_may_be_the_whole_body_where_the_schema_is_a_file():
    mock = of_body("multipart/form-data", {"type": "string", "format": "binary"})
    judgement = send(mock, parts(part("any", b"x", filename="a")), "multipart/form-data; boundary=x")
    assert judgement.arguments == {"body": {"base64": "eA==", "type": "text/plain", "filename": "a"}}


def test_xml_as_text_has_to_be_xml():
    mock = of_body("application/xml", TEXT)
    assert "is not XML" in send(mock, b"<r>", "application/xml").faults[0].text


def test_text_sent_as_a_file_may_be_any_bytes():
    declared = {"type": "object", "properties": {"f": TEXT}}
    mock = of_body("multipart/form-data", declared)
    judgement = send(mock, parts(part("f", b"\xff", filename="a")), "multipart/form-data; boundary=x")
    assert judgement.arguments == {"body": {"f": "ÿ"}}


def test_undeclared_parts_of_one_name_are_a_list():
    mock = of_body("multipart/form-data", {"type": "object"})
    judgement = send(
        mock, parts(*[part("f", b"%d" % n) for n in range(3)]), "multipart/form-data; boundary=x"
    )
    assert judgement.arguments == {"body": {"f": ["0", "1", "2"]}}


def test_a_form_may_lack_what_leaves_no_trace():
    declared = {"type": "object", "required": ["f"], "properties": {"f": {"type": "object"}, "g": TEXT}}
    mock = of_body(FORM, declared, encoding={"f": {"style": "deepObject", "explode": True}})
    assert send(mock, b"g=1", FORM).arguments == {"body": {"f": {}, "g": "1"}}
    assert mock.judge("POST", "/v1/x").accepted
    strict = {**declared, "properties": {"f": {"type": "object", "minProperties": 1}}}
    assert not of_body(FORM, strict, encoding={"f": {"style": "deepObject"}}).judge("POST", "/v1/x").accepted


def test_a_media_type_without_a_slash_is_taken_for_what_it_means():
    judgement = send(of_body("x-www-form-urlencoded", {"type": "object"}), b"a=1", FORM)
    assert judgement.arguments == {"body": {"a": "1"}}


def test_an_operation_may_take_a_body_of_no_declared_kind():
    mock = backend({"/x": {"post": operation(body={}, required=False)}})
    assert not send(mock, b"{}", JSON).accepted


STYLED = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "list": {"type": "array", "items": NUMBER},
        "object": {"type": "object", "properties": {"a": NUMBER, "b": TEXT}},
        "note": {"type": ["string", "null"]},
    },
}


@every_row(
    ("style", "explode", "name", "sent", "value"),
    [
        ("form", False, "list", [("list", b"1,2")], [1, 2]),
        ("form", True, "list", [("list", b"1"), ("list", b"2")], [1, 2]),
        ("spaceDelimited", False, "list", [("list", b"1 2")], [1, 2]),
        ("pipeDelimited", False, "list", [("list", b"1|2")], [1, 2]),
        ("form", False, "object", [("object", b"a,1,b,x")], {"a": 1, "b": "x"}),
        ("form", True, "object", [("a", b"1"), ("b", b"x & %41")], {"a": 1, "b": "x & %41"}),
        ("deepObject", True, "object", [("object[a]", b"1"), ("object[b]", b"x")], {"a": 1, "b": "x"}),
        ("deepObject", True, "list", [("list[0]", b"1"), ("list[1]", b"2")], [1, 2]),
    ],
)
def test_parts_with_a_style_are_read_as_it_says(style, explode, name, sent, value) -> None:
    encoding = {name: {"style": style, "explode": explode}}
    mock = of_body("multipart/form-data", STYLED, encoding=encoding, version="3.1.0")
    body = parts(*(part(key, content) for key, content in sent), part("note", b"y"))
    judgement = send(mock, body, "multipart/form-data; boundary=x")
    assert texts(judgement) == []
    assert judgement.arguments == {"body": {name: value, "note": "y"}}


def test_a_part_that_no_style_explains_is_not_known() -> None:
    encoding = {"list": {"style": "deepObject", "explode": True}}
    mock = of_body("multipart/form-data", STYLED, encoding=encoding, version="3.1.0")
    wrong = send(mock, parts(part("other[a]", b"1")), "multipart/form-data; boundary=x")
    assert "not known here" in texts(wrong)[0][2]


def test_a_list_that_may_be_null_is_a_list_in_parts_too() -> None:
    schema = {"properties": {"rows": {"type": "array", "nullable": True, "items": {"type": "object"}}}}
    body = parts(part("rows", b'{"a": 1}', type="application/json"))
    judgement = send(of_body("multipart/form-data", schema), body, "multipart/form-data; boundary=x")
    assert judgement.arguments == {"body": {"rows": [{"a": 1}]}}

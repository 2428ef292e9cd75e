"""Multipart bodies: parts, names, types, files, boundaries; read back with the standard library."""

import base64
import email
import email.policy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.bodies import compile_media
from actions.specs.model import Media
from actions.specs.references import Registry
from tests.examples import examples
from tests.tables import every_row
from tests.unit.actions.bodies.sending import refusals, sent

FORM = "multipart/form-data"
FILE = {"type": "string", "format": "binary"}


def parts_of(body: bytes | None, content_type: str) -> list[Any]:
    """Return the parts as the standard library reads them."""
    assert body is not None
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    assert message.is_multipart()
    assert not message.defects
    return list(message.iter_parts())


def read(content: dict[str, Any], value: Any, **more: Any) -> list[tuple[str | None, str | None, str, bytes]]:
    """Return name, filename, type and bytes of each part that is sent."""
    made = sent(content, value, **more)
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_content_type() if part["content-type"] else "",
            part.get_payload(decode=True),
        )
        for part in parts_of(made.body, made.content_type)
    ]


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def test_each_property_becomes_a_part_with_the_type_of_its_kind() -> None:
    content = {
        FORM: {
            "schema": schema(
                file=FILE, note={"type": "string"}, meta={"type": "object"}, tags={"type": "array"}, n={}
            )
        }
    }
    value = {
        "file": {
            "base64": base64.b64encode(b"\x00\xff\r\n--x").decode(),
            "filename": "a.png",
            "type": "image/png",
        },
        "note": "größe\n",
        "meta": {"a": msgspec.Raw(b"1.10")},
        "tags": ["x", 2, None, {"b": 1}],
        "n": msgspec.Raw(b"1.10"),
        "none": None,
    }
    assert read(content, value) == [
        ("file", "a.png", "image/png", b"\x00\xff\r\n--x"),
        ("note", None, "", "größe\n".encode()),
        ("meta", None, "application/json", b'{"a":1.10}'),
        ("tags", None, "", b"x"),
        ("tags", None, "", b"2"),
        ("tags", None, "application/json", b'{"b":1}'),
        ("n", None, "", b"1.10"),
    ]


def test_text_is_a_file_where_a_file_is_described_and_gets_a_name() -> None:
    content = {FORM: {"schema": schema(file=FILE, files={"type": "array", "items": FILE})}}
    value = {"file": "hello", "files": ["a", {"text": "b", "filename": "b.txt", "type": "text/plain"}]}
    assert read(content, value) == [
        ("file", "file", "application/octet-stream", b"hello"),
        ("files", "files", "application/octet-stream", b"a"),
        ("files", "b.txt", "text/plain", b"b"),
    ]
    assert read({FORM: {}}, {"x": {"text": "y"}}) == [("x", "x", "application/octet-stream", b"y")]
    assert read({FORM: {"schema": FILE}}, "all of it")[0] == ("file", None, "", b"all of it")


def test_an_object_that_is_described_to_have_text_is_no_file() -> None:
    content = {FORM: {"schema": schema(p=schema(text={"type": "string"}))}}
    assert read(content, {"p": {"text": "a"}}) == [("p", None, "application/json", b'{"text":"a"}')]


def test_parts_follow_their_encoding() -> None:
    encoding = {
        "meta": {"contentType": "application/json"},
        "xml": {"contentType": "application/xml; charset=utf-8"},
        "image": {
            "contentType": "image/png, image/jpeg",
            "headers": {
                "X-Kind": {"schema": {"default": "a"}},
                "X-Not": {"schema": {"default": "\n"}},
                "X-May": {},
            },
        },
        "any": {"contentType": "image/*"},
        "csv": {"style": "form", "explode": False},
        "deep": {"style": "deepObject"},
        "many": {"style": "form", "explode": True},
        "piped": {"style": "pipeDelimited"},
        "spread": {"explode": True},
        "object": {"explode": False},
        "single": {"style": "form"},
        "sdp": {"contentType": "application/sdp"},
        "either": {"contentType": "text/plain, application/json"},
        "bad": 7,
    }
    content = {
        FORM: {"encoding": encoding, "schema": schema(image=FILE, any=FILE, xml={"xml": {"name": "X"}})}
    }
    value = {
        "meta": ["a"],
        "xml": {"b": 1},
        "image": "png",
        "any": {"text": "g", "type": "image/gif"},
        "csv": ["a", "b,c"],
        "deep": {"a": {"b": [1]}},
        "many": ["x", "y"],
        "piped": [1, 2],
        "spread": {"k": "v"},
        "object": {"k": ["v"], "n": None},
        "single": 5,
        "either": {"a": 1},
        "sdp": "v=0",
        "bad": True,
    }
    assert read(content, value) == [
        ("meta", None, "application/json", b'["a"]'),
        ("xml", None, "application/xml", b'<?xml version="1.0" encoding="UTF-8"?><X><b>1</b></X>'),
        ("image", "image", "image/png", b"png"),
        ("any", "any", "image/gif", b"g"),
        ("csv", None, "", b"a,b,c"),
        ("deep[a][b][0]", None, "", b"1"),
        ("many", None, "", b"x"),
        ("many", None, "", b"y"),
        ("piped", None, "", b"1|2"),
        ("k", None, "", b"v"),
        ("object", None, "", b'k,["v"]'),
        ("single", None, "", b"5"),
        ("either", None, "application/json", b'{"a":1}'),
        ("sdp", None, "application/sdp", b"v=0"),
        ("bad", None, "", b"true"),
    ]
    assert b"X-Kind: a\r\n" in (sent(content, {"image": "x"}).body or b"")


def test_a_type_wins_over_a_style_and_a_file_over_both() -> None:
    encoding = {
        "f": {"contentType": "application/octet-stream", "style": "form"},
        "g": {"style": "form"},
        "o": {"contentType": "application/json", "style": "form"},
    }
    content = {FORM: {"schema": schema(f=FILE), "encoding": encoding}}
    assert read(content, {"f": {"text": "x"}, "g": {"text": "y"}, "o": {"a": 1}}) == [
        ("f", "f", "application/octet-stream", b"x"),
        ("g", "g", "application/octet-stream", b"y"),
        ("o", None, "application/json", b'{"a":1}'),
    ]


def test_headers_of_parts_come_from_the_description_or_with_the_file() -> None:
    headers = {
        "X-Id": {"required": True, "schema": {"type": "string"}},
        "Content-Type": {"schema": {"default": "x"}},
    }
    content = {
        FORM: {
            "schema": schema(f=FILE, n={}),
            "encoding": {"f": {"headers": headers}, "n": {"headers": headers}},
        }
    }
    made = sent(content, {"f": {"text": "x", "headers": {"x-id": 7}}})
    (part,) = parts_of(made.body, made.content_type)
    assert (part["X-Id"], part["Content-Type"]) == ("7", "application/octet-stream")
    assert refusals(content, {"f": "x", "n": 1}) == {
        "/body/f": "body/f needs the header X-Id",
        "/body/n": "body/n needs the header X-Id",
    }
    wrong = {"text": "x", "headers": {"content-disposition": "x"}}
    assert refusals(content, {"f": wrong}) == {
        "/body/f": "body/f cannot have the header 'content-disposition'"
    }


def test_everything_wrong_is_said_at_once() -> None:
    content = {
        FORM: {
            "schema": schema(a=FILE, b={"type": "array", "items": FILE}),
            "encoding": {"a": {"contentType": "image/png"}, "s": {"style": "form"}},
        }
    }
    value = {
        "a": {"text": "x", "type": "text/csv"},
        "b": ["ok", {"base64": "%%%"}, {"text": 7}, {"text": "x", "filename": "a\x00b"}],
        "c": float("nan"),
        "d/e": [{"x": "\ud800"}],
        "f\x00": 1,
        "g": {"text": "x", "type": "no type"},
        "h": {"text": "x", "headers": 1},
        "s": float("inf"),
    }
    assert refusals(content, value) == {
        "/body/a": "body/a is text/csv, but must be image/png",
        "/body/b/1": "body/b/1 has a base64 that cannot be decoded",
        "/body/b/2": "body/b/2 must have text as its text",
        "/body/b/3": "body/b/3 has control characters in its filename",
        "/body/c": "body/c is not a number that JSON has",
        "/body/d~1e/0/x": "body/d~1e/0/x cannot be written as JSON: it has half a surrogate pair",
        "/body/f\x00": "body/f\x00 has control characters in its name",
        "/body/g": "body/g has 'no type' as its type, which is no media type",
        "/body/h": "body/h must have an object as its headers",
        "/body/s": "body/s is not a number that JSON has",
    }


def test_names_are_escaped_as_browsers_do() -> None:
    body = sent({FORM: {}}, {'a"b\r\nX: y': {"text": "", "filename": 'c"d\n\\é.txt'}}).body
    assert body is not None
    line = 'Content-Disposition: form-data; name="a%22b%0D%0AX: y"; filename="c%22d%0A\\é.txt"\r\n'
    assert line.encode() in body


def test_the_boundary_is_of_the_content_and_never_inside() -> None:
    write = compile_media(Media(type=FORM, encoding={"a": {}}), Registry({}))
    assert write({"a": 1}, [], "/body") == write({"a": 1}, [], "/body")
    first, again = sent({FORM: {}}, {"a": "1", "b": "2"}), sent({FORM: {}}, {"a": "1", "b": "2"})
    assert first == again
    boundary = first.content_type.partition("boundary=")[2]
    nested = sent({FORM: {}}, {"a": (first.body or b"").decode()})
    assert boundary in (nested.body or b"").decode()
    assert nested.content_type != first.content_type
    assert sent({FORM: {}}, {"a": "12"}).content_type != sent({FORM: {}}, {"a": "1", "b": "2"}).content_type


def test_no_part_at_all_is_a_closing_boundary() -> None:
    made = sent({FORM: {}}, {"a": None, "b": []})
    assert made.body == f"--{made.content_type.partition('boundary=')[2]}--\r\n".encode()


def test_parameters_of_the_media_type_stay_but_for_the_boundary() -> None:
    made = sent({'multipart/form-data; charset=utf-8; boundary="x y"': {}}, {"a": 1})
    assert made.content_type.startswith("multipart/form-data; charset=utf-8; boundary=")
    assert made.content_type.count("boundary") == 1
    assert len(parts_of(made.body, made.content_type)) == 1
    assert sent({"multipart/*": {}}, {"a": 1}).content_type.startswith("multipart/form-data; boundary=")


@every_row("kind", ["multipart/mixed", "multipart/related"])
def test_other_kinds_are_sequences_of_parts(kind: str) -> None:
    value = [{"name": "x"}, {"base64": "AP8=", "type": "image/png", "filename": "a.png"}, "text"]
    assert read({kind: {"schema": {"type": "array"}}}, value) == [
        (None, None, "application/json", b'{"name":"x"}'),
        (None, "a.png", "image/png", b"\x00\xff"),
        (None, None, "", b"text"),
    ]
    assert read({kind: {"schema": schema(a=FILE)}}, {"a": "x"})[0][:2] == ("a", "a")
    assert read({kind: {}}, "x") == [(None, None, "", b"x")]
    has_type = "type=" in sent({kind: {}}, value).content_type
    assert has_type == (kind == "multipart/related")
    assert 'type="application/json"' in sent({"multipart/related": {}}, value).content_type


def test_bodies_of_files_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actions.bodies.files.MAX_BYTES", 10)
    monkeypatch.setattr("actions.bodies.multipart.MAX_BYTES", 15)
    assert "larger than" in refusals({FORM: {}}, {"a": {"text": "x" * 11}})["/body/a"]
    assert "larger than" in refusals({FORM: {}}, {"a": {"base64": "AAAA" * 11}})["/body/a"]
    assert "larger than" in refusals({FORM: {}}, {"a": {"text": "x" * 10}, "b": {"text": "x" * 10}})["/body"]


values = st.dictionaries(
    st.text(
        st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters='"\\%'), min_size=1, max_size=8
    ),
    st.text(max_size=40) | st.integers() | st.booleans() | st.binary(max_size=60),
    min_size=1,
    max_size=6,
)


@examples(50)
@given(values)
def test_the_standard_library_reads_back_what_is_sent(value: dict[str, Any]) -> None:
    write = compile_media(Media(type=FORM), Registry({}))
    given_as = {
        name: {"base64": base64.b64encode(one).decode(), "filename": "f"} if isinstance(one, bytes) else one
        for name, one in value.items()
    }
    problems: list[tuple[str, str]] = []
    made = write(given_as, problems, "/body")
    if any(
        isinstance(one, str) and not one.isascii() and any("\ud800" <= c <= "\udfff" for c in one)
        for one in value.values()
    ):
        assert made is None
        return
    assert made is not None, problems
    expected = [
        one
        if isinstance(one, bytes)
        else (one if isinstance(one, str) else msgspec.json.encode(one).decode()).encode()
        for one in value.values()
    ]
    body, content_type = made
    boundary = content_type.partition("boundary=")[2].encode()
    pieces = body.split(b"--" + boundary)
    assert (pieces[0], pieces[-1]) == (b"", b"--\r\n")
    read_back = [piece[2:-2].partition(b"\r\n\r\n") for piece in pieces[1:-1]]
    assert [content for _, _, content in read_back] == expected
    names = [head.decode().split('name="')[1].split('"')[0] for head, _, _ in read_back]
    assert names == list(value)
    assert len(parts_of(body, content_type)) == len(value)

"""Bodies: what passes can be decoded later, what does not has a stable reason."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tables import every_row
from triggers.bodies import charset, check_charset, format_of, media_type, read_body, read_form, read_json
from triggers.errors import BadEvent
from triggers.message import TriggerMessage, decode_data

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=30,
)


def _depth(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 0


@every_row(
    ("content_type", "form"),
    [
        ("application/json", "json"),
        ("Application/JSON ; charset=UTF-8", "json"),
        ("application/vnd.api+json", "json"),
        ("application/x-www-form-urlencoded", "form"),
        ("text/plain", "text"),
        ("application/xml", "text"),
        ("image/svg+xml", "text"),
        ("multipart/form-data; boundary=x", "binary"),
        ("application/jsonx", "binary"),
        ("", "binary"),
        (";", "binary"),
    ],
)
def test_the_content_type_says_the_format(content_type: str, form: str) -> None:
    assert format_of(content_type) == form


def test_parameters_are_read() -> None:
    assert media_type(" Text/Plain;charset=x") == "text/plain"
    assert charset('text/plain; a=b; Charset="UTF-8"') == "utf-8"
    assert charset("text/plain") == ""


@every_row("name", ["utf-16", "iso-8859-1", "shift_jis", "\u00e9"])
def test_other_charsets_are_unsupported(name: str) -> None:
    with pytest.raises(BadEvent) as caught:
        check_charset(f"text/plain; charset={name}")
    assert caught.value.reason == "unsupported-charset"


@every_row(
    ("body", "reason"),
    [
        (b"", "invalid-json"),
        (b"{", "invalid-json"),
        (b'{"a": NaN}', "invalid-json"),
        (b"[Infinity]", "invalid-json"),
        (b"\xef\xbb\xbf{}", "invalid-json"),
        (b'"\\ud800"', "invalid-json"),
        (b'{"\\udc00\\ud800": 1}', "invalid-json"),
        (b"1e400", "invalid-json"),
        (b'"\xff"', "invalid-utf8"),
        (b'{"\xc0\x80": 1}', "invalid-utf8"),
        (b"[" * 65 + b"]" * 65, "too-deep"),
        (b"[" * 100_000 + b"]" * 100_000, "too-deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too-deep"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_not_json_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(BadEvent) as caught:
        read_json(body)
    assert caught.value.reason == reason
    assert len(caught.value.detail) < 300


def test_depth_is_found_fast() -> None:
    started = time.thread_time()
    for body in (b"[" * 1_000_000, b"[" * 500_000 + b"]" * 500_000, b"[]," * 300_000):
        with pytest.raises(BadEvent):
            read_json(body)
    assert time.thread_time() - started < 1


def test_brackets_in_strings_are_not_depth() -> None:
    tricky = json.dumps([{"a]": '[[[\\"[{', "b\\": ["]", '"', "\\", '\\"']}] * 40).encode()
    assert read_json(tricky) == json.loads(tricky)
    nested = b'["]",' * 65 + b"1" + b',"["]' * 65
    with pytest.raises(BadEvent):
        read_json(nested)


def test_duplicate_keys_are_taken_and_the_last_counts() -> None:
    assert read_json(b'{"a": 1, "a": 2}') == {"a": 2}


@given(_JSON, st.integers(min_value=0, max_value=6))
def test_depth_is_exact(value: object, limit: int) -> None:
    body = json.dumps(value).encode()
    if _depth(value) <= limit:
        read_json(body, max_depth=limit)
    else:
        with pytest.raises(BadEvent):
            read_json(body, max_depth=limit)


@given(st.binary(max_size=60), st.sampled_from(["json", "form", "text", "binary"]))
def test_what_passes_can_be_decoded_later(body: bytes, form: str) -> None:
    try:
        value = read_body(body, form)  # type: ignore[arg-type]
    except BadEvent:
        return
    message = TriggerMessage(id="1", source="/s", type="t", format=form, data=body)  # type: ignore[arg-type]
    assert decode_data(message) == value


def test_forms_are_bounded() -> None:
    assert read_form(b"a=1&a=2&b=") == {"a": ["1", "2"], "b": ""}
    for body, reason in ((b"&".join([b"a=1"] * 10_001), "invalid-form"), (b"a=\xff", "invalid-utf8")):
        with pytest.raises(BadEvent) as caught:
            read_form(body)
        assert caught.value.reason == reason

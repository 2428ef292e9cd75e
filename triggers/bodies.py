"""Checks the bytes of a body before they become a message: charset, UTF-8, JSON, depth.

Pure. What passes here can be decoded later without an error (`message.decode_data`), so that matching never
meets bytes it cannot read. A body that does not pass is a `BadEvent` with a stable reason.

Refused though some parsers take it: NaN, a byte order mark, numbers beyond a double's range, and escapes of
lone surrogates (U+D800 alone), which stand for no text. Duplicate keys pass; the last counts.
"""

from typing import Any, Final

import msgspec

from triggers.errors import BadEvent
from triggers.message import DataFormat, decode_form

MAX_DEPTH: Final = 64
"""How deep arrays and objects may be nested."""

_CHARSETS: Final = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})
_TEXTS: Final = frozenset(
    {"application/xml", "application/yaml", "application/javascript", "application/graphql"}
)
_decode_json: Final = msgspec.json.Decoder().decode
_NO_MARKS: Final = bytes(set(range(256)) - set(b'[]{}"'))
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")


def media_type(content_type: str) -> str:
    """Return the lower-case type of a Content-Type without its parameters; "" when there is none."""
    return content_type.partition(";")[0].strip(" \t").lower()


def charset(content_type: str) -> str:
    """Return the lower-case charset that a Content-Type names; "" when it names none."""
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip(" \t").lower() == "charset":
            return value.strip(" \t").strip('"').lower()
    return ""


def is_json(media: str) -> bool:
    """Say whether a media type is JSON (RFC 6839: or ends in `+json`)."""
    return media in ("application/json", "text/json") or media.endswith("+json")


def format_of(content_type: str) -> DataFormat:
    """Return how rules are to see a body of this Content-Type. Nothing is guessed from the bytes."""
    media = media_type(content_type)
    if is_json(media):
        return "json"
    if media == "application/x-www-form-urlencoded":
        return "form"
    if media.startswith("text/") or media in _TEXTS or media.endswith("+xml"):
        return "text"
    return "binary"


def check_charset(content_type: str) -> None:
    """Raise BadEvent (`unsupported-charset`) for text that is not UTF-8 or a part of it."""
    named = charset(content_type)
    if named not in _CHARSETS:
        raise BadEvent("unsupported-charset", f"the charset is {named[:40]!a}; send UTF-8")


def read_body(body: bytes, form: DataFormat, *, max_depth: int = MAX_DEPTH) -> Any:
    """Return a checked body as rules will see it: JSON value, form, text; None for binary. Raise BadEvent."""
    if form == "json":
        return read_json(body, max_depth=max_depth)
    if form == "text":
        return read_text(body)
    return read_form(body) if form == "form" else None


def read_json(body: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Return the JSON value. Raise BadEvent: `invalid-json`, `invalid-utf8` or `too-deep`."""
    try:
        value = _decode_json(body)
    except UnicodeDecodeError as error:
        raise BadEvent("invalid-utf8", f"the body is not UTF-8: {error.reason}") from None
    except RecursionError:
        raise BadEvent("too-deep", f"nested deeper than {max_depth}") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadEvent("invalid-json", f"not JSON: {_plain(error)}") from None
    if body.count(b"[") + body.count(b"{") > max_depth and not _shallow(body, max_depth):
        raise BadEvent("too-deep", f"nested deeper than {max_depth}")
    return value


def read_text(body: bytes) -> str:
    """Return the text. Raise BadEvent (`invalid-utf8`)."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadEvent("invalid-utf8", f"byte {error.start} is not UTF-8: {error.reason}") from None


def read_form(body: bytes) -> dict[str, Any]:
    """Return the form's fields. Raise BadEvent: `invalid-utf8` or `invalid-form` (too many fields)."""
    read_text(body)
    try:
        return decode_form(body)
    except ValueError as error:
        raise BadEvent("invalid-form", f"not a form: {error}") from None


def _shallow(body: bytes, limit: int) -> bool:
    """Say whether valid JSON is nested at most `limit` deep.

    Leaves only brackets that stand outside of strings, then takes the innermost pairs away, once for every
    level: a few passes in C instead of a walk in Python.
    """
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # A pair of quotes side by side changes nothing of what is inside a string and what is not.
    marks = body.translate(_ONE_KIND, _NO_MARKS).replace(b'""', b"")
    brackets = b"".join(marks.split(b'"')[::2])
    for _ in range(limit):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return True
    return False


def _plain(error: Exception) -> str:
    """Return what msgspec says, without its own prefix and within bounds."""
    return str(error).removeprefix("JSON is malformed: ")[:200]


def looks_like(body: bytes) -> DataFormat:
    """Return how rules are to see a body of which nobody says what it is, as every source of records does.

    An object or array that is valid JSON is JSON (a lone number or string is not), UTF-8 is text.
    """
    if not body:
        return "none"
    if body[:1] == b"{" or body.lstrip()[:1] in (b"{", b"["):
        try:
            read_json(body)
        except BadEvent:
            pass  # it only looked like it
        else:
            return "json"
    try:
        read_text(body)
    except BadEvent:
        return "binary"
    return "text"


def stated_type(content_type: str | None, form: DataFormat) -> str | None:
    """Return `datacontenttype`: what the sender said, unless a fixed format says it better."""
    if form == "none":
        return None
    if form == "json" and not (content_type and is_json(media_type(content_type))):
        return "application/json"
    return content_type

"""Turns values that are made of others, in PostgreSQL's text form, into JSON. Pure.

Arrays become arrays, nested; composites objects; ranges `{"lower": 1, "upper": null, "bounds": "[)"}` or
`{"empty": true}`; multiranges arrays of ranges. An array with lower bounds other than 1, and what does not
read as it should, becomes a string of the text itself.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from triggers.postgres.values import Encoder, text

_encode: Final = msgspec.json.Encoder().encode
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)


def array(element: Encoder, delimiter: bytes = b",") -> Encoder:
    """Return the encoder of arrays of such elements."""
    pattern = _tokens(delimiter)
    separator = delimiter.decode()
    marks = b'{}"\\' + b" \t\n\r\v\f"

    def encode(value: bytes) -> bytes:
        if value[:1] != b"{":  # with bounds, or no array at all
            return text(value)
        inner = value[1:-1]
        if len(inner.translate(None, marks)) == len(inner) and value[-1:] == b"}":  # flat, without quotes
            if element is text:
                texts = str(inner, "utf-8").split(separator)
                if "" not in texts and "NULL" not in texts:
                    return _encode(texts)
            parts = inner.split(delimiter)
            if all(parts):
                return b"[%b]" % b",".join([b"null" if one == b"NULL" else element(one) for one in parts])
        try:
            return _array(value, pattern, element)
        except _Unreadable:
            return text(value)

    return encode


class _Unreadable(ValueError):
    """This text is not what its type should look like."""


def _tokens(delimiter: bytes) -> re.Pattern[bytes]:
    """Return the pattern of a token: a quoted element, one that needs no quotes, or a mark."""
    mark = re.escape(delimiter)
    return re.compile(rb'"((?:[^"\\]|\\.)*)"|([^{}"\\\s' + mark + rb"]+)|([{}" + mark + rb"])", re.DOTALL)


def _array(value: bytes, pattern: re.Pattern[bytes], element: Encoder) -> bytes:
    """Translate token by token: braces to brackets, elements by their encoder. Raise _Unreadable."""
    parts: list[bytes] = []
    depth = at = 0
    fresh = True  # a value may stand here
    while at < len(value):
        match = pattern.match(value, at)
        if match is None or (depth == 0 and at > 0):
            raise _Unreadable
        at = match.end()
        quoted, plain, mark = match.groups()
        if fresh == (mark is not None and mark != b"{"):
            raise _Unreadable
        if mark is None:
            parts.append(_element(quoted, plain, element))
            fresh = False
        elif mark == b"{":
            parts.append(b"[")
            depth += 1
            fresh = value[at : at + 1] != b"}"
        else:
            fresh = mark != b"}"
            parts.append(b"," if fresh else b"]")
            depth -= not fresh
    if depth:
        raise _Unreadable
    return b"".join(parts)


def _element(quoted: bytes | None, plain: bytes | None, encode: Encoder) -> bytes:
    if quoted is not None:
        return encode(_ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted)
    if plain is None:
        raise _Unreadable
    return b"null" if plain == b"NULL" else encode(plain)


_FIELD: Final = re.compile(rb'("(?:[^"\\]|\\.|"")*"|[^",()\\]*)([,)\]])', re.DOTALL)
_DOUBLED: Final = re.compile(rb'\\(.)|"(")', re.DOTALL)


def _unquoted(field: bytes) -> bytes | None:
    """Return a field of a composite or the bound of a range; None when nothing stands there."""
    if not field:
        return None
    if field[:1] != b'"':
        return field
    return _DOUBLED.sub(lambda match: match[1] or match[2], field[1:-1])


def _fields(value: bytes, at: int) -> Iterator[tuple[bytes | None, bytes, int]]:
    """Walk over fields: each with the mark behind it and where it ends. Raise _Unreadable."""
    mark = b","
    while mark == b",":
        match = _FIELD.match(value, at)
        if match is None:
            raise _Unreadable
        at = match.end()
        mark = match[2]
        yield _unquoted(match[1]), mark, at


def composite(attributes: Sequence[tuple[str, Encoder]]) -> Encoder:
    """Return the encoder of a row type: an object; a string when its attributes are no longer these."""
    names = [_encode(name) + b":" for name, _ in attributes]
    encoders = [encode for _, encode in attributes]

    def encode(value: bytes) -> bytes:
        try:
            found = list(_fields(value, 1)) if value[:1] == b"(" else []
        except _Unreadable:
            found = []
        if len(found) != len(names) or found[-1][1:] != (b")", len(value)):
            return text(value)
        pairs = zip(names, encoders, (field for field, _, _ in found), strict=True)
        return b"{%b}" % b",".join(
            name + (b"null" if field is None else encoder(field)) for name, encoder, field in pairs
        )

    return encode


def value_range(bound: Encoder) -> Encoder:
    """Return the encoder of ranges."""

    def encode(value: bytes) -> bytes:
        try:
            token, end = _range(value, 0, bound)
        except _Unreadable:
            return text(value)
        return token if end == len(value) else text(value)

    return encode


def multirange(bound: Encoder) -> Encoder:
    """Return the encoder of multiranges."""

    def encode(value: bytes) -> bytes:
        tokens: list[bytes] = []
        at = 1
        try:
            while value[at - 1 : at] in (b"{", b",") and value[at:] != b"}":
                token, at = _range(value, at, bound)
                tokens.append(token)
                at += 1
        except _Unreadable:
            return text(value)
        closed = value[:1] == b"{" and value[-1:] == b"}" and at == (len(value) if tokens else 1)
        return b"[%b]" % b",".join(tokens) if closed else text(value)

    return encode


def _range(value: bytes, at: int, bound: Encoder) -> tuple[bytes, int]:
    """Read a range from `at` on; return its token and where it ends."""
    if value.startswith(b"empty", at):
        return b'{"empty":true}', at + 5
    opening = value[at : at + 1]
    if opening not in (b"[", b"("):
        raise _Unreadable
    bounds = list(_fields(value, at + 1))
    if len(bounds) != 2:
        raise _Unreadable
    (lower, _, _), (upper, closing, end) = bounds
    token = b'{"lower":%b,"upper":%b,"bounds":"%b%b"}' % (
        b"null" if lower is None else bound(lower),
        b"null" if upper is None else bound(upper),
        opening,
        closing,
    )
    return token, end

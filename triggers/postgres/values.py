"""Turns single column values from PostgreSQL's text form into JSON tokens, without loss. Pure.

    int2 int4 int8 oid      number
    numeric                 number with all its digits, or string (a setting)
    float4 float8           number; NaN and the infinities string, as numeric of more than 300 characters
    bool                    true, false
    json jsonb              the value itself, as it stands there
    bytea                   base64 string
    timestamptz             RFC 3339 in UTC: 2026-01-02T03:04:05.6Z
    timestamp               ISO 8601: 2026-01-02T03:04:05.6
    interval                ISO 8601: P1DT2H
    everything else         string, the text itself; so are moments BC, beyond 9999 or infinite

What does not read as its type should becomes a string, too: never an error, never a guess. The text form
depends on settings of the session: `SESSION_SETTINGS` belong to every connection that reads values.
"""

import re
from binascii import Error as NotHexadecimal
from binascii import b2a_base64, unhexlify
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from triggers.bodies import read_json
from triggers.errors import BadEvent

Encoder = Callable[[bytes], bytes]
"""Takes the text form of a value that is not NULL and returns a JSON token. Raise UnicodeDecodeError."""

SESSION_SETTINGS: Final[Mapping[str, str]] = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}
"""What the text form of values rests on."""

MAX_NUMBER: Final = 300
"""The longest `numeric` that is a JSON number: longer ones are beyond a double's range for most readers."""

MAX_JSON_DEPTH: Final = 60
"""The deepest json value that is embedded as it is: data, after and the column add to it."""

_encode: Final = msgspec.json.Encoder().encode
_number: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?").fullmatch
_moment: Final = re.compile(
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)([+-][0-9]{2})?(:[0-9]{2})?"
).fullmatch
_MOMENT_MARKS: Final = b"0123456789-:.+ "
_zoned: Final = re.compile(rb"([0-9:.]+[+-][0-9]{2})").fullmatch
_octal: Final = re.compile(rb"\\(\\|[0-7]{3})")


def text(value: bytes) -> bytes:
    """Return a JSON string."""
    return _encode(str(value, "utf-8"))


def integer(value: bytes) -> bytes:
    """Return an integer as it stands."""
    return value if value.isdigit() or (value[:1] == b"-" and value[1:].isdigit()) else text(value)


def number(value: bytes) -> bytes:
    """Return a float or numeric as it stands; NaN, infinities and what is very long as a string."""
    return value if len(value) <= MAX_NUMBER and _number(value) else text(value)


def boolean(value: bytes) -> bytes:
    """Return true or false."""
    if value == b"t":
        return b"true"
    return b"false" if value == b"f" else text(value)


def binary(value: bytes) -> bytes:
    r"""Return base64; PostgreSQL writes `\x…`, or, by an old setting, text with octal escapes."""
    if value[:2] == b"\\x":
        try:
            data = unhexlify(value[2:])
        except NotHexadecimal:
            return text(value)
    else:
        data = _octal.sub(_unescaped, value)
    return b'"%b"' % b2a_base64(data, newline=False)


def _unescaped(match: re.Match[bytes]) -> bytes:
    return b"\\" if match[1] == b"\\" else bytes((int(match[1], 8) & 0xFF,))


def timestamp(value: bytes) -> bytes:
    """Return an ISO 8601 moment without a zone; what the calendar of RFC 3339 does not hold as text."""
    match = _moment(value)
    return b'"%bT%b"' % (match[1], match[2]) if match and match[3] is None else text(value)


def timestamp_zoned(value: bytes) -> bytes:
    """Return an RFC 3339 moment; what its calendar does not hold as text."""
    if value[-3:] == b"+00" and value[10:11] == b" " and not value.translate(None, _MOMENT_MARKS):
        return b'"%bT%bZ"' % (value[:10], value[11:-3])  # the usual form, without the cost of a pattern
    match = _moment(value)
    if match is None or match[3] is None:
        return text(value)
    zone = b"Z" if match[3] == b"+00" and match[4] is None else match[3] + (match[4] or b":00")
    return b'"%bT%b%b"' % (match[1], match[2], zone)


def time_zoned(value: bytes) -> bytes:
    """Return a time of day with its offset as RFC 3339 writes it."""
    return b'"%b:00"' % value if _zoned(value) else text(value)


def embedded(value: bytes) -> bytes:
    """Return json as it stands, unless readers of messages would refuse it: then as a string."""
    try:
        read_json(value, max_depth=MAX_JSON_DEPTH)
    except BadEvent:
        return text(value)
    return value.strip()


class Plain(NamedTuple):
    """What an encoder's usual values look like, and what is written: `hole`, filled with the groups."""

    pattern: bytes
    hole: bytes
    may_end_in_n: bool = False


_CLOCK: Final = rb"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)"

PLAIN: Final[Mapping[Encoder, Plain]] = {
    text: Plain(rb'([^\x00-\x1f"\\]*)', b'"%b"', may_end_in_n=True),
    integer: Plain(rb"(-?[0-9]+)", b"%b"),
    number: Plain(
        rb"(-?(?:0|[1-9][0-9]{0,140})(?:\.[0-9]{1,140})?(?:[eE][+-]?[0-9]{1,3})?)", b"%b"
    ),  # at most MAX_NUMBER
    timestamp: Plain(_CLOCK, b'"%bT%b"'),
    timestamp_zoned: Plain(_CLOCK + rb"\+00", b'"%bT%bZ"'),
}
"""Values that match become the same as by the encoder, without calling it: if what comes of them is UTF-8."""

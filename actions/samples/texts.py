"""Makes one text for `format`, `pattern` and lengths. Pure; the same input gives the same text."""

from collections.abc import Iterator, Sequence
from typing import Final

from actions.samples import patterns
from actions.validation.texts import matches

MAX_LENGTH: Final = 100_000
"""The longest text that is made, whatever `minLength` asks for."""

_WORD: Final = "sample"
_WORDS: Final = (
    "Passw0rd!sample", _WORD, "Sample1", "1", "a", "A", "https://example.com/sample", "sample@example.com",
)  # fmt: skip
"""What is tried where an expression cannot be read, or looks around."""
_FAMILIES: Final = ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_FILL: Final = "abcdefghijklmnopqrstuvwxyz0123456789"

FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "date-time": ("2024-05-17T09:30:00Z", "2024-05-17T09:30:00.000Z", "2024-05-17T09:30:00+00:00"),
    "date": ("2024-05-17",),
    "time": ("09:30:00Z",),
    "partial-time": ("09:30:00",),
    "duration": ("P1D", "PT1H30M"),
    "email": ("sample@example.com", "a@b.co"),
    "hostname": ("host.example.com", "a.co"),
    "ipv4": ("192.0.2.1",),
    "ipv6": ("2001:db8::1",),
    "cidr": ("192.0.2.0/24",),
    "uri": ("https://example.com/sample", "https://a.co", "urn:a"),
    "uri-reference": ("/sample",),
    "uri-template": ("https://example.com/{id}",),
    "uuid": ("3fa85f64-5717-4562-b3fc-2c963f66afa6",),
    "byte": ("c2FtcGxl",),
    "password": ("Passw0rd!sample",),
    "json-pointer": ("/sample",),
    "relative-json-pointer": ("1/sample",),
    "regex": ("^sample$",),
    "json": ("{}",),
    "int32": ("1",),
    "float": ("1.5",),
    "boolean": ("true",),
    "phone": ("+15550100",),
    "char": ("a",),
}
"""Texts of well-known formats; several where a length or a pattern may want another."""

_ALIASES: Final[dict[str, str]] = {
    "datetime": "date-time", "timestamp": "date-time", "iso8601": "date-time", "iso-date-time": "date-time",
    "date-time-rfc3339": "date-time", "idn-email": "email", "idn-hostname": "hostname", "host": "hostname",
    "ip": "ipv4", "ip-address": "ipv4", "iri": "uri", "url": "uri", "iri-reference": "uri-reference",
    "guid": "uuid", "uuid4": "uuid", "base64": "byte", "base64url": "byte", "int64": "int32",
    "integer": "int32", "int": "int32", "long": "int32", "number": "float", "double": "float",
    "decimal": "float", "bool": "boolean", "phone-number": "phone", "full-date": "date",
}  # fmt: skip


def text(forms: Sequence[str], expressions: Sequence[str], least: int, most: int | None, variant: int) -> str:
    """Return a text of these formats that matches the expressions and is between `least` and `most` long.

    `variant` tells texts of one schema apart. Where nothing fits everything, the length counts most.
    """
    best = ""
    for found in _candidates(forms, expressions, least, most, variant):
        if len(found) < least or (most is not None and len(found) > most):
            continue
        if all(matches(one, found) for one in expressions):
            return _varied(found, expressions, variant, dated=bool(forms))
        best = best or found
    return best


def _candidates(
    forms: Sequence[str], expressions: Sequence[str], least: int, most: int | None, variant: int
) -> Iterator[str]:
    for form in forms:
        name = form.lower()
        yield from FORMATS.get(_ALIASES.get(name, name), ())
    if not expressions:
        yield _plain(least, most, variant)
    for expression in expressions:
        yield from patterns.texts(expression, least=least)
    yield from _WORDS
    yield _plain(least, most, variant)


def _plain(least: int, most: int | None, variant: int) -> str:
    """Return letters and digits of a length that is allowed."""
    word = _WORD + (str(variant + 1) if variant else "")
    if len(word) < least:
        word += _FILL * (min(least, MAX_LENGTH) // len(_FILL) + 1)
        word = word[: min(least, MAX_LENGTH)]
    if most is not None and len(word) > most:
        word = (_FILL[variant % len(_FILL)] + word)[:most] if variant else word[:most]
    return word


def _varied(found: str, expressions: Sequence[str], variant: int, *, dated: bool) -> str:
    """Return a text of the same length that differs by variant, the text itself where none is found."""
    if not variant or (not dated and not expressions):
        return found
    for at in range(len(found) - 1, -1, -1):
        family = next((one for one in _FAMILIES if found[at] in one), "")
        if not family or (dated and not found[at].isdigit() and len(found) != 36):
            continue
        sign = family[(family.index(found[at]) + variant) % min(len(family), 6)]
        made = found[:at] + sign + found[at + 1 :]
        if made != found and all(matches(one, made) for one in expressions):
            return made
    return found

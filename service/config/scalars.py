"""What a plain scalar means: the core schema of YAML 1.2, and nothing of YAML 1.1.

Pure. `on`, `no`, `yes`, `=`, `12:30:45` and dates are text; `true`, `false`, `null` and numbers are what
they look like.
"""

import math
import re
from typing import Any, Final

_WORDS: Final[dict[str, Any]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_NUMERIC: Final = frozenset("0123456789+-.")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_HEXADECIMAL: Final = re.compile(r"0x[0-9a-fA-F]+")
_OCTAL: Final = re.compile(r"0o[0-7]+")
_BEYOND: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LEADING_ZERO: Final = re.compile(r"[-+]?0[0-9]+")

LONGEST_NUMBER: Final = 1_000
"""Digits. Python refuses to convert more than 4,300; nobody means a number that long."""


class BadScalar(ValueError):
    """The scalar is a number in YAML that JSON cannot hold; `fix` says what to write."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def resolve(text: str) -> Any:
    """Return the value of a plain scalar. Raise BadScalar for a number that is none in JSON."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    if _BEYOND.fullmatch(text):
        raise BadScalar("infinity and not-a-number are no JSON numbers", 'write a number, or quote it: "…"')
    if (
        _FLOAT.fullmatch(text) is None
        and _HEXADECIMAL.fullmatch(text) is None
        and _OCTAL.fullmatch(text) is None
    ):
        return text
    if len(text) > LONGEST_NUMBER:
        raise BadScalar(f"a number of {len(text)} digits is too long", 'quote it if it is text: "…"')
    return _number(text)


def _number(text: str) -> int | float:
    if text.startswith(("0x", "0o")):
        return int(text, base=0)
    if _INTEGER.fullmatch(text):
        return int(text)
    value = float(text)
    if math.isinf(value):
        raise BadScalar("the number is too large", 'quote it if it is text: "…"')
    return value


def loses_zeros(text: str) -> bool:
    """Say whether a plain scalar is a number with leading zeros: 012 is 12 in YAML 1.2, 10 in YAML 1.1."""
    return text[:1] in _NUMERIC and _LEADING_ZERO.fullmatch(text) is not None


def unbalanced(text: str) -> bool:
    """Say whether brackets or double quotes of a text are left open: something was cut off."""
    return text.count('"') % 2 == 1 or any(text.count(a) > text.count(b) for a, b in ("()", "[]", "{}"))

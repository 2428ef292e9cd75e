"""Reads JSON text so that every value keeps its place, for errors that point at line and column.

Stricter than the decoder of the hot path: a key that stands twice in one object is a problem, and so
are depth and size beyond the limits. Used for text that people write, never for messages.
"""

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

from service.errors import Invalid, Problem

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MAX_DIGITS: Final = 1_000


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON value")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of more than {_MAX_DIGITS} digits")
    return int(digits)


def _real(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number beyond the range of binary64")
    return value


_SCALARS: Final = json.JSONDecoder(parse_constant=_no_constant, parse_int=_integer, parse_float=_real)


@dataclass(slots=True)
class JSONText:
    """A decoded text: `value`, the offset of every value by JSON pointer, and what is wrong with it.

    `problems` are those that still leave a value (repeated keys); text that is not JSON raises.
    """

    text: str
    file: str
    value: Any = None
    places: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, pointer: str) -> tuple[int, int]:
        """Return line and column, from 1, of the value at `pointer` or of the nearest one around it."""
        while pointer not in self.places and pointer:
            pointer = pointer.rpartition("/")[0]
        return self.line_column(self.places.get(pointer, 0))

    def line_column(self, offset: int) -> tuple[int, int]:
        """Return line and column, from 1, of an offset into the text."""
        return self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset)


def step(pointer: str, key: str | int) -> str:
    """Return the JSON pointer of the member `key` of the value at `pointer`."""
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"


def read_json(source: str | bytes, *, file: str, max_depth: int, max_bytes: int) -> JSONText:
    """Decode `source`; raise `Invalid` with the place when it is not JSON or exceeds a limit."""
    if len(source) > max_bytes:
        problem = Problem(
            message=f"the text is longer than {max_bytes:,} characters",
            code="json-too-long",
            found=f"{len(source):,}",
            file=file,
            line=1,
            column=1,
        )
        raise Invalid([problem])
    try:
        text = source.decode("utf-8") if isinstance(source, bytes) else source
    except UnicodeDecodeError as error:
        message = f"not UTF-8 at byte {error.start}"
        raise Invalid(
            [Problem(message=message, code="json-not-utf8", file=file, line=1, column=1)]
        ) from error
    document = JSONText(text=text, file=file)
    reader = _Reader(document, max_depth)
    document.value = reader.document()
    return document


class _Reader:
    def __init__(self, document: JSONText, max_depth: int) -> None:
        self._document = document
        self._text = document.text
        self._max_depth = max_depth
        self._at = 0

    def document(self) -> Any:
        value = self._value("", 0)
        self._skip_space()
        if self._at < len(self._text):
            raise self._invalid("something follows after the value", self._at, fix="write one JSON value")
        return value

    def _invalid(self, message: str, offset: int, *, code: str = "json-syntax", fix: str = "") -> Invalid:
        line, column = self._document.line_column(offset)
        found = self._text[offset : offset + 20]
        return Invalid(
            [
                Problem(
                    message=message,
                    code=code,
                    found=json.dumps(found) if found else "the end of the text",
                    fix=fix,
                    file=self._document.file,
                    line=line,
                    column=column,
                )
            ]
        )

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _next(self) -> str:
        """Return the next character that is not a space ("" at the end) without taking it."""
        self._skip_space()
        return self._text[self._at : self._at + 1]

    def _take(self, wanted: str, message: str) -> None:
        if self._next() != wanted:
            raise self._invalid(message, self._at)
        self._at += 1

    def _value(self, pointer: str, depth: int) -> Any:
        opening = self._next()
        self._document.places[pointer] = self._at
        if opening not in ("{", "["):
            return self._scalar()
        if depth >= self._max_depth:
            raise self._invalid(
                f"nested deeper than {self._max_depth} levels", self._at, code="json-too-deep"
            )
        return self._object(pointer, depth) if opening == "{" else self._array(pointer, depth)

    def _scalar(self) -> Any:
        start = self._at
        try:
            value, self._at = _SCALARS.raw_decode(self._text, start)
        except json.JSONDecodeError as error:
            if error.pos == start or self._text[start : start + 1] != '"':
                raise self._invalid("this is no JSON value", start) from error
            raise self._invalid(error.msg, min(error.pos, len(self._text))) from error
        except ValueError as error:
            raise self._invalid(str(error), start) from error
        if isinstance(value, str) and _SURROGATE.search(value):
            raise self._invalid("half of a surrogate pair is no character", start)
        return value

    def _array(self, pointer: str, depth: int) -> list[Any]:
        self._at += 1
        values: list[Any] = []
        if self._next() == "]":
            self._at += 1
            return values
        while True:
            values.append(self._value(step(pointer, len(values)), depth + 1))
            if self._next() == "]":
                self._at += 1
                return values
            self._take(",", "a comma or `]` belongs here")

    def _object(self, pointer: str, depth: int) -> dict[str, Any]:
        self._at += 1
        members: dict[str, Any] = {}
        keys: dict[str, int] = {}
        if self._next() == "}":
            self._at += 1
            return members
        while True:
            if self._next() != '"':
                raise self._invalid("a key in double quotes belongs here", self._at)
            start = self._at
            key = self._scalar()
            if key in keys:
                self._repeated(step(pointer, key), key, keys[key], start)
            keys.setdefault(key, start)
            self._take(":", "a colon belongs here")
            members[key] = self._value(step(pointer, key), depth + 1)
            if self._next() == "}":
                self._at += 1
                return members
            self._take(",", "a comma or `}` belongs here")

    def _repeated(self, pointer: str, key: str, first: int, second: int) -> None:
        line, column = self._document.line_column(second)
        before = "line {}, column {}".format(*self._document.line_column(first))
        self._document.problems.append(
            Problem(
                message=f"the key {json.dumps(key, ensure_ascii=False)} stands here again, first at {before}",
                code="json-duplicate-key",
                pointer=pointer,
                fix="write it once, with all its values",
                file=self._document.file,
                line=line,
                column=column,
            )
        )

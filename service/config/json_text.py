"""Reads JSON with the place of everything, driving a TreeBuilder.

No recursion: depth is the builder's to bound. Strict RFC 8259; a byte order mark
is not seen here.
"""

import json
import math
import re
from typing import Final, NoReturn

from service.config.marks import Text
from service.config.scalars import LONGEST_NUMBER
from service.config.tree import Stop, TreeBuilder

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_LITERAL: Final = re.compile(
    r"(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)(?![\w.+-])"
)
_END: Final = {"{": "}", "[": "]"}


def read_json(text: Text, builder: TreeBuilder) -> None:
    """Feed a JSON text to the builder. The first thing wrong is reported and ends the reading."""
    try:
        _JSONReader(text, builder).read()
    except Stop:
        builder.root = None


class _JSONReader:
    def __init__(self, text: Text, builder: TreeBuilder) -> None:
        self._content = text.content
        self._builder = builder
        self._index = 0
        self._open: list[str] = []

    def read(self) -> None:
        self._value()
        while self._open:
            style = self._open[-1]
            if self._take(_END[style]):
                self._close()
            elif self._take(","):
                self._member(style)
            else:
                self._fail(f"`,` or `{_END[style]}` is missing here", "check commas and brackets before this")
        self._skip()
        if self._index < len(self._content):
            self._fail("something stands behind the end of the JSON value", "remove it")

    def _value(self) -> None:
        """Read a scalar, or open collections up to and including the first scalar inside."""
        while True:
            self._skip()
            start = self._index
            style = self._content[start : start + 1]
            if style not in _END:
                self._scalar(start)
                return
            self._index += 1
            self._builder.open(style, start)
            self._open.append(style)
            if self._take(_END[style]):
                self._close()
                return
            if style == "{":
                self._key()

    def _member(self, style: str) -> None:
        if style == "{":
            self._key()
        self._value()

    def _key(self) -> None:
        self._skip()
        if self._content[self._index : self._index + 1] != '"':
            self._fail('a key in double quotes is missing here: "…"', "a comma before } or ] is not JSON")
        self._string(self._index)
        if not self._take(":"):
            self._fail("`:` is missing behind this key", 'write "key": value')

    def _scalar(self, start: int) -> None:
        if self._content[start : start + 1] == '"':
            self._string(start)
            return
        match = _LITERAL.match(self._content, start)
        if match is None:
            self._fail("a JSON value is missing here", 'text stands in double quotes: "…"')
        if match.end() - start > LONGEST_NUMBER:
            self._fail(f"a number of {match.end() - start} digits is too long", "quote it if it is text")
        value = json.loads(match.group())
        if isinstance(value, float) and math.isinf(value):
            self._fail("the number is too large", "quote it if it is text")
        self._index = match.end()
        self._builder.literal(value, start, match.end())

    def _string(self, start: int) -> None:
        match = _STRING.match(self._content, start)
        if match is None:
            self._index = start
            self._fail(
                "this text is not closed, or has an escape or a control character that JSON does not know",
                r'write " as \", \ as \\ and a line break as \n',
            )
        value = json.loads(match.group())
        self._index = match.end()
        self._builder.scalar(value, '"', start, match.end())

    def _close(self) -> None:
        self._open.pop()
        self._builder.close(self._index)

    def _take(self, char: str) -> bool:
        self._skip()
        if self._content[self._index : self._index + 1] != char:
            return False
        self._index += 1
        return True

    def _skip(self) -> None:
        match = _SPACE.match(self._content, self._index)
        if match is not None:
            self._index = match.end()

    def _fail(self, message: str, fix: str) -> NoReturn:
        self._builder.report(min(self._index, len(self._content)), "json-syntax", message, fix)
        raise Stop

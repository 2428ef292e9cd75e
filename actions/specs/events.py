"""Text as a stream of events: what the loader builds values from and finds positions with.

This file holds the shape of the events, the collector of findings and the lenient reader of JSON text; YAML
text becomes the same events in `load`. Nothing here recurses or builds values.
"""

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Generator
from typing import Any, Final, Protocol

from actions.base import Finding

MAX_SAME: Final = 50
"""How many findings of one code a document lists."""

Place = tuple[int, int]
"""Line and column, both from 1."""

NOWHERE: Final[Place] = (0, 0)

_GAP: Final = re.compile(r"(?:[\s\ufeff]++|//[^\n]*+|#[^\n]*+|/\*.*?\*/)*+", re.DOTALL)
_GAP_BEGINS: Final = frozenset(" \t\r\n\f\v\xa0\ufeff/#")
_WORD: Final = re.compile(r"[A-Za-z0-9+\-.]+")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_NEARLY: Final = re.compile(r"True|False|None|NaN|-?Infinity|[-+]?[0-9]*\.?[0-9]*(?:[eE][-+]?[0-9]+)?")
_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Broken(Exception):
    """The text cannot be read on from `place`."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.place = place


Event = tuple[str, str, bool, Any, str | None]
"""Kind, text, whether it is plain, mark, and anchor; a bare tuple, for there are hundreds of thousands.

The kind is `{` or `[` (opens), `}` (closes either), `v` (a scalar or a key) or `*` (an alias). A plain scalar
was written without quotes, hence is resolved to null, a boolean or a number. The mark is for the `place` of
the source that made the event.
"""


class Source(Protocol):
    """Text that gives events; the stream is balanced, or ends with Broken."""

    def events(self) -> Generator[Event, bool | None, None]:
        """Read the text from its beginning; True may be sent for a container whose inside is not wanted."""

    def place(self, mark: Any) -> Place:
        """Return where an event stands."""


class Report:
    """Collects the findings of one document, a bounded number of each code."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.findings: list[Finding] = []
        self._counts: Counter[str] = Counter()

    def full(self, code: str) -> bool:
        """Say whether there are enough findings of this code; then their places need not be looked for."""
        return self._counts[code] >= MAX_SAME

    def add(self, code: str, message: str, place: Place, *, pointer: str = "", error: bool = False) -> None:
        """Add a finding, unless there are enough of this code."""
        self._counts[code] += 1
        if self._counts[code] > MAX_SAME:
            return
        if self._counts[code] == MAX_SAME:
            message += " (more of these are not listed)"
        self.findings.append(
            Finding(
                severity="error" if error else "warning",
                code=code,
                message=message,
                file=self.file,
                pointer=pointer,
                line=place[0],
                column=place[1],
            )
        )


def offset_place(text: str, offset: int) -> Place:
    """Return line and column of a character."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


class JSONText:
    """The events of JSON text, read leniently; everything that is not strict JSON is reported."""

    def __init__(self, text: str, report: Report) -> None:
        self._text = text
        self._report = report
        self._string_at = json.JSONDecoder(strict=False).raw_decode
        self._open: list[str] = []
        self._line_ends: list[int] | None = None

    def place(self, mark: Any) -> Place:
        """Return where an event stands; marks are offsets."""
        if self._line_ends is None:
            self._line_ends = [match.start() for match in re.finditer("\n", self._text)]
        line = bisect_left(self._line_ends, mark)
        return line + 1, mark - (self._line_ends[line - 1] if line else -1)

    def events(self) -> Generator[Event, bool | None, None]:
        """Read the text from its beginning. Who sends True for a container is not told what is in it."""
        text, open_, want, quick = self._text, self._open, "value", True
        open_.clear()
        at = self._skip(0)
        while at < len(text):
            char = text[at]
            if want == "end":
                raise Broken("not JSON: there is more after the end", self.place(at))
            if char in "}]" and want != "pair":
                self._check_close(char, want, at)
                yield "}", "", False, at, None
                open_.pop()
                at, want = at + 1, "comma" if open_ else "end"
            elif want == "comma":
                if char == ",":
                    at += 1
                else:
                    self._lenient("a comma is missing", at)
                want = "key after comma" if open_[-1] == "{" else "value after comma"
            elif want.startswith("key"):
                key, after = self._key(at)
                yield "v", key, False, at, None
                at, want = after, "pair"
            elif char in "{[":
                beside = yield char, "", False, at, None
                end = self._end(at) if beside and quick else at
                if end > at:
                    yield "}", "", False, end - 1, None
                    at, want = end, "comma" if open_ else "end"
                else:
                    quick = quick and not beside  # one try for each text: trying costs
                    open_.append(char)
                    at, want = at + 1, "key" if char == "{" else "value"
            else:
                value, plain, after = self._scalar(at)
                yield "v", value, plain, at, None
                at, want = after, "comma" if open_ else "end"
            at = self._skip(at)
        if want != "end":
            raise Broken("not JSON: the text ends too early", self.place(len(text)))

    def _end(self, at: int) -> int:
        """Return where a container that is strict JSON ends; where it begins when it is not."""
        try:
            return self._string_at(self._text, at)[1]
        except (ValueError, RecursionError):
            return at

    def _lenient(self, message: str, offset: int) -> None:
        if not self._report.full("not-strict-json"):
            self._report.add("not-strict-json", f"not strict JSON: {message}", self.place(offset))

    def _check_close(self, char: str, want: str, at: int) -> None:
        if not self._open or char != ("}" if self._open[-1] == "{" else "]"):
            raise Broken(f"not JSON: {char!r} closes nothing", self.place(at))
        if want.endswith("after comma"):
            self._lenient("a comma before the end", at)

    def _skip(self, at: int) -> int:
        if self._text[at : at + 1] not in _GAP_BEGINS:
            return at
        match = _GAP.match(self._text, at)
        end = match.end() if match else at
        gap = self._text[at:end]
        if gap and not gap.isspace() and gap.strip("\ufeff \t\r\n"):
            self._lenient("a comment", at + len(gap) - len(gap.lstrip()))
        elif gap.strip(" \t\r\n"):
            self._lenient("a space that JSON does not have", at + len(gap) - len(gap.lstrip(" \t\r\n")))
        return end

    def _key(self, at: int) -> tuple[str, int]:
        if self._text[at] != '"':
            raise Broken("not JSON: a key in double quotes expected", self.place(at))
        key, after = self._string(at)
        after = self._skip(after)
        if self._text[after : after + 1] != ":":
            raise Broken("not JSON: ':' expected after the key", self.place(min(after, len(self._text))))
        return key, after + 1

    def _string(self, at: int) -> tuple[str, int]:
        try:
            value, end = self._string_at(self._text, at)
        except json.JSONDecodeError as error:
            raise Broken(f"not JSON: {error.msg}", self.place(error.pos)) from error
        control = _CONTROL.search(self._text, at, end)
        if control:
            self._lenient("a raw control character in a string", control.start())
        if _SURROGATE.search(value):
            self._lenient("half a surrogate pair, read as U+FFFD", at)
            value = _SURROGATE.sub("\ufffd", value)
        return value, end

    def _scalar(self, at: int) -> tuple[str, bool, int]:
        char = self._text[at]
        if char == '"':
            value, end = self._string(at)
            return value, False, end
        if char in ",}]":
            self._lenient("a value is missing, read as null", at)
            return "null", True, at
        match = _WORD.match(self._text, at)
        word = match.group() if match else ""
        if word and word not in {"true", "false", "null"} and not _NUMBER.fullmatch(word):
            if len(word) > 400 or not _NEARLY.fullmatch(word):
                word = ""
            else:
                self._lenient(f"{word} instead of a JSON value", at)
        if not word:
            raise Broken(f"not JSON: a value expected, found {self._text[at : at + 12]!r}", self.place(at))
        return "null" if word == "None" else word, True, at + len(word)


def escape(token: str) -> str:
    """Return a key as one token of a JSON pointer."""
    return token.replace("~", "~0").replace("/", "~1") if "~" in token or "/" in token else token

"""From events to a value, and from JSON pointers to the places where they stand.

Neither recurses: depth and the expansion of aliases are bounded by count, never by the stack.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from actions.specs.events import Broken, Event, Place, Report, Source, escape

MAX_DEPTH: Final = 256
"""What lies deeper is read as null, with a finding: encoders and validators of others do recurse."""
ABSURD_DEPTH: Final = 10_000
MAX_VALUES: Final = 3_000_000
"""How many keys and values strict JSON may have: twenty times what the largest descriptions have."""
MAX_YAML: Final = 2_000_000
"""How many YAML may have, of which each takes ten times as long."""
MAX_LENIENT: Final = 500_000
"""How many may stand in what begins like JSON and is none: it is read token by token, and then as YAML."""
MAX_ANCHORS: Final = 50_000
MAX_ALIASED: Final = 1_000_000
"""How many values all aliases of a document together may stand for, after expansion."""

_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_RADIX: Final = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)")
_CONSTANTS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMERIC: Final = frozenset("0123456789+-.")


def _core(text: str) -> Any:
    """Resolve a plain scalar by the core schema of YAML 1.2; what has no JSON value stays text."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _NUMERIC or len(text) > 400:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if abs(number) != float("inf") else text
    return int(text, 0) if _RADIX.fullmatch(text) else text


class TooMuch(Broken):
    """The text has more keys and values than are read; to read it in another way would take as long again."""


_NO_KEY: Final = object()
_DROP: Final = object()
_MERGE: Final = object()


@dataclass(slots=True)
class _Frame:
    """A container that is still open. `size` and `height` count what it holds, aliases expanded."""

    value: dict[str, Any] | list[Any]
    is_mapping: bool
    anchor: str | None = None
    key: Any = _NO_KEY
    mark: Any = None
    merges: list[Any] = field(default_factory=list)
    size: int = 1
    height: int = 0


class Builder:
    """Makes the value out of the events, without recursion.

    `left` says how many more it may read: what an earlier attempt has left, if there was one.
    """

    def __init__(self, source: Source, report: Report, most: int, left: int | None = None) -> None:
        self._source = source
        self._report = report
        self._stack = [_Frame([], False)]
        self._anchors: dict[str, tuple[Any, int, int] | None] = {}  # None: still open
        self._aliased = 0
        self._most = most
        self.left = most if left is None else left

    def build(self) -> Any:
        """Return the value, None for a document without one. Raises Broken."""
        skipping, place = 0, self._source.place
        for kind, text, plain, mark, anchor in self._source.events():
            self.left -= 1
            if self.left < 0:
                raise TooMuch(f"there are more than {self._most} keys and values in it", place(mark))
            if anchor and len(self._anchors) > MAX_ANCHORS:
                raise TooMuch(f"there are more than {MAX_ANCHORS} anchors in it", place(mark))
            if skipping:
                skipping += (kind in "{[") - (kind == "}")
                if skipping > ABSURD_DEPTH:
                    raise TooMuch(f"nested deeper than {ABSURD_DEPTH} levels", place(mark))
            elif kind == "v":
                self._scalar(text, plain, mark, anchor)
            elif kind == "}":
                self._close(mark)
            elif kind == "*":
                self._alias(anchor or "", mark)
            elif len(self._stack) > MAX_DEPTH:
                self._warn("too-deep", f"below {MAX_DEPTH} levels everything is read as null", mark)
                self._add(None, 1, 0, mark)
                skipping = 1
            else:
                self._open(kind == "{", anchor)
        values = self._stack[0].value
        return values[0] if isinstance(values, list) and values else None

    def _warn(self, code: str, message: str, mark: Any) -> None:
        if not self._report.full(code):
            self._report.add(code, message, self._source.place(mark), pointer=self._pointer())

    def _pointer(self) -> str:
        tokens = []
        for frame in self._stack[1:]:
            if isinstance(frame.value, list):
                tokens.append(str(len(frame.value)))
            elif isinstance(frame.key, str):
                tokens.append(escape(frame.key))
        return "".join("/" + token for token in tokens)

    def _scalar(self, text: str, plain: bool, mark: Any, anchor: str | None) -> None:
        frame = self._stack[-1]
        into = frame.value
        value: Any = text
        if frame.key is _NO_KEY and frame.is_mapping:
            frame.key = _MERGE if plain and text == "<<" else text
            frame.mark = mark
        elif isinstance(into, list):  # what `_add` does, for the many
            value = _core(text) if plain else text
            into.append(value)
            frame.size += 1
            frame.height = frame.height or 1
        else:
            value = _core(text) if plain else text
            self._add(value, 1, 0, mark)
        if anchor:
            self._anchors[anchor] = (value, 1, 0)

    def _open(self, is_mapping: bool, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = None
        self._stack.append(_Frame({} if is_mapping else [], is_mapping, anchor))

    def _close(self, mark: Any) -> None:
        frame = self._stack.pop()
        if isinstance(frame.value, dict):
            for part in (part for one in frame.merges for part in (one if isinstance(one, list) else [one])):
                if isinstance(part, dict):
                    for key, value in part.items():
                        frame.value.setdefault(key, value)
                else:
                    self._warn("yaml-merge", "`<<` needs a mapping; ignored", mark)
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.value, frame.size, frame.height)
        self._add(frame.value, frame.size, frame.height, mark)

    def _alias(self, name: str, mark: Any) -> None:
        known = self._anchors.get(name)
        if known is None:
            why = "contains itself" if name in self._anchors else "is not defined"
            self._warn("yaml-alias", f"the alias *{name} {why}; read as null", mark)
            known = (None, 1, 0)
        value, size, height = known
        self._aliased += size
        if self._aliased > MAX_ALIASED or len(self._stack) + height > MAX_DEPTH:
            self._warn("yaml-alias", f"the alias *{name} stands for too much; read as null", mark)
            self._aliased -= size
            value, size, height = None, 1, 0
        self._add(value, size, height, mark)

    def _add(self, value: Any, size: int, height: int, mark: Any) -> None:
        frame = self._stack[-1]
        frame.size += size
        if height >= frame.height:
            frame.height = height + 1
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.key is _NO_KEY:
            frame.key, frame.mark = value if isinstance(value, str) else _DROP, mark
            if frame.key is _DROP:
                self._warn("yaml-key", "a key that is not text; left out", mark)
        else:
            if frame.key is _MERGE:
                frame.merges.append(value)
            elif frame.key is not _DROP:
                if frame.key in frame.value and not self._report.full("duplicate-key"):
                    message = f"the key {frame.key[:80]!r} stands here twice; the last one counts"
                    place = self._source.place(frame.mark)
                    self._report.add("duplicate-key", message, place, pointer=self._pointer())
                frame.value[frame.key] = value
            frame.key = _NO_KEY


@dataclass(slots=True)
class _Step:
    """A container on the way to wanted pointers; `pointer` is None where none of them lies below."""

    pointer: str | None
    index: int | None  # None: a mapping
    key: Any = _NO_KEY
    mark: Any = None


def find(source: Source, wanted: Iterable[str]) -> dict[str, Place]:
    """Return where the wanted pointers and their ancestors stand."""
    prefixes = {""}
    for pointer in wanted:
        tokens = pointer.split("/")
        prefixes.update("/".join(tokens[: count + 1]) for count in range(len(tokens)))
    found: dict[str, Place] = {}
    stack: list[_Step] = []
    events = source.events()
    event = next(events, None)
    while event and len(found) < len(prefixes):
        beside, kind = False, event[0]
        if kind == "}":
            stack.pop()
        else:
            here, mark = _next(stack[-1], event) if stack else ("", event[3])
            if here in prefixes:
                found[here] = source.place(mark)
            else:
                here, beside = None, True
            if kind in "{[":
                stack.append(_Step(here, None if kind == "{" else 0))
        try:
            event = events.send(beside)  # what lies beside the way need not be read
        except StopIteration:
            break
    return found


def _next(step: _Step, event: Event) -> tuple[Any, Any]:
    """Return pointer and mark of the value that begins here; no pointer for keys and beside the way."""
    kind, text, _, mark, _ = event
    if step.index is not None:
        step.index += 1
        return None if step.pointer is None else f"{step.pointer}/{step.index - 1}", mark
    if step.key is _NO_KEY:
        step.key, step.mark = (text if kind == "v" else _DROP), mark
        return None, mark
    key, step.key = step.key, _NO_KEY
    known = step.pointer is not None and isinstance(key, str)
    return f"{step.pointer}/{escape(key)}" if known else None, step.mark

"""Reads JSON and YAML text the way API descriptions are really written, and knows where everything stands.

YAML is read by the rules of YAML 1.2 (`no`, `on`, `12:30:45` and dates stay text, every key is text); JSON
may have comments, stray commas and control characters. Each leniency leaves a finding with line and column.
Nothing here recurses, so depth cannot exhaust the stack; aliases, depth and size are bounded. The bytes are
handed in: nothing here opens a file or a connection, and nothing of what is read is ever executed.
"""

import json
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec
import yaml

from actions.base import Finding
from actions.specs.events import (
    NOWHERE,
    Broken,
    Event,
    JSONText,
    Place,
    Report,
    Source,
    offset_place,
)
from actions.specs.tree import MAX_DEPTH, MAX_LENIENT, MAX_VALUES, MAX_YAML, Builder, TooMuch, find

MAX_BYTES: Final = 50 * 1024 * 1024
_BOMS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_BINARIES: Final = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a zip archive",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "a 7z archive",
    b"%PDF-": "a PDF",
    b"\x89PNG": "a picture",
    b"GIF8": "a picture",
    b"\xff\xd8\xff": "a picture",
}
"""How files begin that people give by mistake."""

_LONE_SURROGATE: Final = re.compile(
    r"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]"
)
_UNPRINTABLE: Final = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_TABS: Final = re.compile(r"^ *\t[ \t]*", re.MULTILINE)
_BLANK: Final = re.compile(r"^[ \t]+$", re.MULTILINE)
_JSON_AHEAD: Final = re.compile(r"(?:\s++|//[^\n]*+|/\*.*?\*/)*+[{\[]", re.DOTALL)
_YAML_NAMES: Final = (".yaml", ".yml")
"""Files that say they are YAML: braces and brackets are nothing to tell of there."""

_RESOLVED_TAGS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float"))
_KNOWN_TAGS: Final = _RESOLVED_TAGS | {
    "!",
    *(f"tag:yaml.org,2002:{name}" for name in ("str", "map", "seq", "binary", "timestamp", "value", "merge")),
}

Syntax = Literal["json", "yaml"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text, read. `value` is None when nothing could be read; then a finding is an error."""

    name: str
    value: Any
    findings: tuple[Finding, ...] = ()
    text: str = field(default="", repr=False)
    syntax: Syntax = "json"

    def places(self, pointers: Iterable[str]) -> dict[str, Place]:
        """Return where these JSON pointers stand, in one pass over the text.

        A pointer to nothing gets the place of its nearest ancestor.
        """
        wanted = set(pointers)
        if not wanted or not self.text:
            return {}
        found = find(_source(self.syntax, self.text, Report(self.name)), wanted)
        places = {}
        for pointer in wanted:
            near = pointer
            while near and near not in found:
                near = near.rpartition("/")[0]
            places[pointer] = found.get(near, (1, 1))
        return places

    def locate(self, pointer: str) -> Place:
        """Return line and column of a JSON pointer; read `places` when there are several to find."""
        return self.places([pointer]).get(pointer, NOWHERE)

    def place(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Return the findings with file, line and column filled in by their pointers."""
        given = tuple(findings)
        places = self.places({one.pointer for one in given if not one.line})
        placed = []
        for one in given:
            line, column = (one.line, one.column) if one.line else places.get(one.pointer, NOWHERE)
            placed.append(msgspec.structs.replace(one, file=self.name, line=line, column=column))
        return tuple(placed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a reader gets: the document to read and the files that came with it, by path from its folder.

    `max_bytes` is how much is read of each of them.
    """

    root: Document
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    max_bytes: int = MAX_BYTES


def load(name: str, data: bytes, *, max_bytes: int = MAX_BYTES) -> Document:
    """Read one text. Never raises: what is wrong is in the findings."""
    report = Report(name)
    if len(data) > max_bytes:
        report.add("too-large", f"{len(data)} bytes are more than {max_bytes}", (1, 1), error=True)
        return Document(name=name, value=None, findings=tuple(report.findings))
    kind = next((kind for magic, kind in _BINARIES.items() if data.startswith(magic)), "")
    if kind:
        report.add("unreadable", f"this is {kind}, not JSON or YAML", (1, 1), error=True)
        return Document(name=name, value=None, findings=tuple(report.findings))
    text = _decode(data, report)
    if text is None or not text.strip():
        if text is not None:
            report.add("empty", "the document is empty", (1, 1), error=True)
        return Document(name=name, value=None, findings=tuple(report.findings), text=text or "")
    looks_json = _JSON_AHEAD.match(text) is not None
    if looks_json and sum(map(text.count, ",{[")) > MAX_VALUES:
        report.add("too-large", f"there are more than {MAX_VALUES} keys and values in it", (1, 1), error=True)
        return Document(name=name, value=None, findings=tuple(report.findings))
    if looks_json:
        known, value = _strict(text)
        if known:
            return Document(name=name, value=value, findings=tuple(report.findings), text=text)
    return _lenient(name, text, report, ("json", "yaml") if looks_json else ("yaml",))


def _decode(data: bytes, report: Report) -> str | None:
    """Return the text of some bytes; None, and why, where they are no text in any encoding that is read."""
    encoding = next((encoding for bom, encoding in _BOMS if data.startswith(bom)), "utf-8")
    if encoding == "utf-8" and b"\x00" in data[:2]:
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    if not encoding.startswith("utf-8"):
        report.add("encoding", f"{encoding[:6].upper()} instead of UTF-8", (1, 1))
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        place = data.count(b"\n", 0, error.start) + 1, error.start - data.rfind(b"\n", 0, error.start)
        if encoding.startswith("utf-8") and b"\x00" in data:
            report.add("unreadable", "this is binary, not JSON or YAML", place, error=True)
            return None
        report.add("encoding", f"not {encoding.upper()}; read as Windows-1252", place)
        return data.decode("cp1252", "replace")


class _Duplicate(ValueError):
    pass


def _strict(text: str) -> tuple[bool, Any]:
    """Read strict JSON at full speed; (False, None) when there is anything to report or to bound."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(items)
        if len(made) != len(items):
            raise _Duplicate
        return made

    def refuse(constant: str) -> Any:
        raise _Duplicate(constant)

    if _LONE_SURROGATE.search(text):
        return False, None
    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False, None
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return True, value
    return False, None


def _lenient(name: str, text: str, report: Report, attempts: tuple[Syntax, ...]) -> Document:
    """Read what is not strict JSON; the error of the first attempt is the one that people get."""
    first: Broken | None = None
    most = MAX_LENIENT if "json" in attempts else MAX_YAML
    for syntax in attempts:
        attempt = Report(name)
        cleaned = _printable(text, attempt) if syntax == "yaml" else text
        try:
            value, cleaned = _build(syntax, cleaned, attempt, most)
        except TooMuch as much:
            first = much
            break
        except Broken as broken:
            first = first or broken
            continue
        if first and not name.lower().endswith(_YAML_NAMES):
            report.add("not-strict-json", f"{first}; read as YAML", first.place)
        findings = (*report.findings, *attempt.findings)
        return Document(name=name, value=value, findings=findings, text=cleaned, syntax=syntax)
    message, place = (str(first), first.place) if first else ("not readable", (1, 1))
    if text.lstrip().startswith("<"):
        message = "this is HTML or XML, not JSON or YAML"
    report.add("unreadable", message, place, error=True)
    return Document(name=name, value=None, findings=tuple(report.findings), text="")


def _build(syntax: Syntax, text: str, report: Report, most: int) -> tuple[Any, str]:
    builder = Builder(_source(syntax, text, report), report, most)
    try:
        return builder.build(), text
    except TooMuch:
        raise
    except Broken:
        tab = _TABS.search(text) if syntax == "yaml" else None
        if tab is None:
            raise
    # Tabs for indentation are the commonest way to break YAML, and their meaning is rarely in doubt.
    report.add(
        "yaml-tab", "a tab is no indentation in YAML; read as two spaces", offset_place(text, tab.start())
    )
    text = _TABS.sub(lambda match: match.group().replace("\t", "  "), _BLANK.sub("", text))
    return Builder(_source(syntax, text, report), report, most, builder.left).build(), text


def _printable(text: str, report: Report) -> str:
    for match in _UNPRINTABLE.finditer(text):
        where = offset_place(text, match.start())
        report.add("control-character", f"U+{ord(match.group()):04X} is read as a space", where)
        break
    else:
        return text
    return _UNPRINTABLE.sub(" ", text)


def _source(syntax: Syntax, text: str, report: Report) -> Source:
    return JSONText(text, report) if syntax == "json" else _YAMLText(text, report)


class _YAMLText:
    """The events of YAML text, by libyaml where it is there."""

    def __init__(self, text: str, report: Report) -> None:
        self._text = text
        self._report = report

    def place(self, mark: Any) -> Place:
        return mark.line + 1, mark.column + 1

    def events(self) -> Generator[Event, bool | None, None]:
        parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self._text)
        try:
            yield from self._events(parser.get_event)
        except yaml.MarkedYAMLError as error:
            marked = error.problem_mark or error.context_mark
            text = error.problem or error.context or "unreadable"
            raise Broken(f"not YAML: {text}", self.place(marked) if marked else (1, 1)) from error
        except yaml.YAMLError as error:
            raise Broken(f"not YAML: {str(error).splitlines()[0]}", (1, 1)) from error
        finally:
            parser.dispose()

    def _events(self, get: Callable[[], Any]) -> Generator[Event, bool | None, None]:
        documents = 0
        while (event := get()) is not None:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                tag = event.tag
                yield (
                    "v",
                    event.value,
                    event.implicit[0] or tag in _RESOLVED_TAGS,
                    event.start_mark,
                    event.anchor,
                )
                if tag is not None:
                    self._check_tag(tag, event.start_mark)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                sign = "{" if kind is yaml.MappingStartEvent else "["
                yield sign, "", False, event.start_mark, event.anchor
                self._check_tag(event.tag, event.start_mark)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                yield "}", "", False, event.start_mark, None
            elif kind is yaml.AliasEvent:
                yield "*", "", False, event.start_mark, event.anchor
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    place = self.place(event.start_mark)
                    self._report.add("several-documents", "only the first YAML document is read", place)
                    return

    def _check_tag(self, tag: str | None, mark: Any) -> None:
        if tag is not None and tag not in _KNOWN_TAGS and not self._report.full("yaml-tag"):
            self._report.add("yaml-tag", f"the tag {tag[:80]} is ignored", self.place(mark))

"""Reads one configuration file: bytes to nodes with places, and everything that is wrong with the text.

The only module that knows YAML's parser. It works on the parser's events, not on its nodes: events come one
by one, so depth and size are bounded before anything is built. Which fields there are is not known here.
"""

import re
import stat
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from service.config.json_text import read_json
from service.config.marks import Node, Text
from service.config.syntax import BEHIND, QUOTE, explain, stray
from service.config.tree import Stop, TreeBuilder
from service.errors import Problem

MAX_BYTES: Final = 16 * 1024 * 1024
"""The largest file. 10,000 rules take about 5 MB."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters YAML does not take, and those that YAML 1.1 parsers silently read as line breaks."""
_MOST_FORBIDDEN: Final = 10
_MOST_SYNTAX: Final = 20
_RESUME: Final = re.compile(r"^( {0,2})[A-Za-z_][\w-]*:(?=[ \n]|\Z)", re.MULTILINE)
_BOMS: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


class Parsed(NamedTuple):
    """One file: its tree, None when the text cannot be read (or says nothing), and what is wrong with it."""

    root: Node | None
    problems: list[Problem]


def read_file(path: Path, name: str) -> Parsed:
    """Read a YAML or (`*.json`) JSON file; `name` is how problems call it. Never raises for what it holds."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            return _unreadable(name, f"this is {kind}", "give a .yaml or .json file")
        if status.st_size > MAX_BYTES:
            return _unreadable(
                name, f"the file has {status.st_size:,} bytes", f"at most {MAX_BYTES:,} are taken"
            )
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        return _unreadable(name, f"the file cannot be read: {reason}", "check the path and its permissions")
    return read_bytes(data, name, json=path.suffix == ".json")


def read_bytes(data: bytes, name: str, *, json: bool = False) -> Parsed:
    """Read a file's bytes. UTF-8, with or without a byte order mark."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _unreadable(name, f"the file is {encoding}", "save it as UTF-8", code="encoding")
    try:
        content = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].removeprefix(b"\xef\xbb\xbf")
        tail = before[before.rfind(b"\n") + 1 :].decode("utf-8")
        problem = Problem(
            message="this is not UTF-8",
            code="encoding",
            found=f"byte 0x{data[error.start]:02x}",
            fix="save the file as UTF-8",
            file=name,
            line=before.count(b"\n") + 1,
            column=len(tail) + 1,
        )
        return Parsed(None, [problem])
    return read_text(content, name, json=json)


def read_text(content: str, name: str, *, json: bool = False) -> Parsed:
    """Read a file's characters."""
    text = Text(name, content.replace("\r\n", "\n").replace("\r", "\n"))
    builder = TreeBuilder(text)
    if json:
        read_json(text, builder)
    else:
        _read_yaml(text, builder)
    return Parsed(builder.root, builder.problems)


def _unreadable(name: str, message: str, fix: str, *, code: str = "unreadable") -> Parsed:
    problem = Problem(message=message, code=code, fix=fix, file=name, line=1, column=1)
    return Parsed(None, [problem])


def _read_yaml(text: Text, builder: TreeBuilder) -> None:
    try:
        if _forbidden(text, builder):
            return
        try:
            _drive(text.content, builder)
        except yaml.YAMLError as error:
            builder.root = None
            _report_syntax(text, builder, error)
    except Stop:
        builder.root = None


def _forbidden(text: Text, builder: TreeBuilder) -> bool:
    """Report characters that must not stand in the text."""
    count = 0
    for match in _FORBIDDEN.finditer(text.content):
        count += 1
        if count > _MOST_FORBIDDEN:
            raise Stop
        builder.report(
            match.start(),
            "bad-character",
            f"the character U+{ord(match.group()):04X} may not stand in a file",
            f'remove it, or write it as an escape in double quotes: "\\u{ord(match.group()):04x}"',
        )
    return count > 0


def _drive(content: str, builder: TreeBuilder) -> None:
    """Turn the parser's events into calls of the builder."""
    documents = 0
    for event in yaml.parse(content, Loader=_LOADER):
        start, end = _index(event.start_mark), _index(event.end_mark)
        if isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None) is not None:
            builder.tag(start)
        if isinstance(event, yaml.ScalarEvent):
            # What stands before a scalar (an anchor, a tag) belongs to its mark: the value begins behind it.
            begin = (
                start if event.anchor is None and event.tag is None else _skip_properties(content, start, end)
            )
            builder.scalar(event.value, event.style or "", begin, end, event.anchor)
        elif isinstance(event, yaml.MappingStartEvent):
            builder.open("{", start, event.anchor)
        elif isinstance(event, yaml.SequenceStartEvent):
            builder.open("[", start, event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            builder.close(end)
        elif isinstance(event, yaml.AliasEvent):
            builder.alias(event.anchor or "", start, end)
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                builder.report(
                    start, "yaml-documents", "a second document begins here", "one file holds one document"
                )
                return


def _index(mark: Any) -> int:
    """Return the character a mark points at; both parsers count characters."""
    return int(mark.index)


_PROPERTIES: Final = re.compile(r"(?:[&!]\S*\s+)*")


def _skip_properties(content: str, start: int, end: int) -> int:
    match = _PROPERTIES.match(content, start, end)
    return match.end() if match is not None else start


def _report_syntax(text: Text, builder: TreeBuilder, error: yaml.YAMLError) -> None:
    """Report a syntax error, and those in what follows the broken part: one at a time is tiresome."""
    base, at = 0, _explain(text, builder, error, 0)
    for _ in range(_MOST_SYNTAX):
        rest = _next_part(text.content, at)
        if rest is None:
            return
        base, part = rest
        scratch = TreeBuilder(Text(text.name, part))
        try:
            _drive(part, scratch)
        except yaml.YAMLError as another:
            at = max(_explain(text, builder, another, base), base)
        except Stop:
            return
        else:
            at = base + len(part) - 1


def _next_part(content: str, after: int) -> tuple[int, str] | None:
    """Return the next lines that can be read alone: from a key near the margin on, while indented as deep."""
    match = _RESUME.search(content, after)
    if match is None:
        return None
    indentation = len(match.group(1))
    if not indentation:
        return match.start(), content[match.start() :]
    shallower = re.compile(rf"^ {{0,{indentation - 1}}}[^ \n#]", re.MULTILINE).search(content, match.end())
    return match.start(), content[match.start() : shallower.start() if shallower else len(content)]


def _explain(text: Text, builder: TreeBuilder, error: yaml.YAMLError, base: int) -> int:
    """Report one error of the parser in our words; return the character from which to look on."""
    opening = getattr(error, "context_mark", None)
    mark = getattr(error, "problem_mark", None) or opening
    at = min(base + (_index(mark) if mark is not None else 0), len(text.content))
    began = base + _index(opening) if opening is not None else at
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if "cannot start any token" in problem:
        builder.report(at, "yaml-syntax", *stray(text.content[at : at + 1]))
        return at
    words = explain(f"{getattr(error, 'context', None) or ''} {problem}".replace("\n", " "))
    if words is None:
        builder.report(at, "yaml-syntax", f"YAML cannot read this: {problem[:200]}", QUOTE)
        return at
    if words.opening or (words.bracket and text.place(began).line < text.place(at).line):
        at = began
    if words.margin and text.line_at(at)[: text.place(at).column - 1].strip():
        words = BEHIND
    builder.report(at, "yaml-syntax", words.message, words.fix)
    return at

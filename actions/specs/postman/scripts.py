"""Recognises in scripts what they keep for later requests. Scripts are text here: none is ever run.

What counts is one idiom: a variable set to a part of the answer, directly or through names of the script. Any
other value only says that a script sets the variable.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from actions.specs.postman.calls import Script

_MAX_TEXT: Final = 100_000
_MAX_EXPRESSION: Final = 300

_SET: Final = re.compile(
    r"(?:pm\.(?:environment|collectionVariables|globals|variables)\.set|postman\.set(?:Environment|Global)Variable)"
    r"\(\s*([\"'`])([^\"'`\n]{1,200})\1\s*,"
)
_ASSIGN: Final = re.compile(r"(?<![\w$.\]])([A-Za-z_$][\w$]{0,80}) ?= ?(?![=>])([^;\n]{1,300})")
_WHOLE: Final = re.compile(
    r"(?:JSON\.parse\((?:responseBody|pm\.response\.text\(\))\)|pm\.response\.json\(\)|pm\.response\.text\(\)|responseBody)"
)
_HEADER: Final = re.compile(
    r"(?:pm\.response\.headers\.get|postman\.getResponseHeader)\(\s*[\"'`]([^\"'`]{1,100})[\"'`]\s*\)"
)
_NAME: Final = re.compile(r"[A-Za-z_$][\w$]*")
_STEP: Final = re.compile(
    r"\??\.?(?:\.([A-Za-z_$][\w$]*)(?!\w*\()|\[\s*(?:(\d{1,9})|[\"'`]([^\"'`\]]{1,100})[\"'`])\s*\])"
)
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LITERAL: Final = re.compile(r"\s*(?:\"([^\"\\\n]*)\"|'([^'\\\n]*)'|(-?\d+(?:\.\d+)?|true|false))\s*")


@dataclass(frozen=True, slots=True)
class Effects:
    """What the scripts of a request do to variables.

    `captures` maps a variable to the part of the answer that it gets (`body.items[0].id`,
    `headers.Location`), `literals` those set to one constant before the request; `sets` are all of them.
    """

    captures: dict[str, str] = field(default_factory=dict)
    literals: dict[str, str] = field(default_factory=dict)
    sets: frozenset[str] = frozenset()


class Scripts:
    """Reads scripts, each text once."""

    def __init__(self) -> None:
        self._known: dict[str, Effects] = {}

    def effects(self, scripts: Iterable[Script]) -> Effects:
        """Return what these scripts of one request do, those of its folders first."""
        captures: dict[str, str] = {}
        literals: dict[str, str] = {}
        sets: set[str] = set()
        for one in scripts:
            known = self._known.get(one.text)
            if known is None:
                known = self._known[one.text] = _read(one.text)
            sets |= known.sets
            if one.before:
                literals.update(known.literals)
            else:
                captures.update(known.captures)
        return Effects(captures, literals, frozenset(sets))


def _read(script: str) -> Effects:
    if "set" not in script:
        return Effects()
    text = script[:_MAX_TEXT]
    paths: dict[str, str] = {}
    captures: dict[str, str] = {}
    constants: dict[str, set[str | None]] = {}
    for match in sorted((*_SET.finditer(text), *_ASSIGN.finditer(text)), key=re.Match.start):
        if match.re is _ASSIGN:
            _remember(paths, match.group(1), match.group(2))
            continue
        name, value = match.group(2), _argument(text, match.end())
        path = _path(value, paths)
        if path is not None:
            captures[name] = path
        constants.setdefault(name, set()).add(_constant(value))
    literals = {
        name: value for name, (value, *others) in constants.items() if value is not None and not others
    }
    return Effects(captures, literals, frozenset(constants))


def _constant(expression: str) -> str | None:
    match = _LITERAL.fullmatch(expression)
    return next((group for group in match.groups() if group is not None), "") if match else None


def _remember(paths: dict[str, str], name: str, expression: str) -> None:
    path = _path(expression, paths)
    if path is None:
        paths.pop(name, None)
    else:
        paths[name] = path


def _argument(text: str, start: int) -> str:
    """Return the second argument of a call: up to the bracket that ends it."""
    depth, end = 1, min(len(text), start + _MAX_EXPRESSION)
    for index in range(start, end):
        char = text[index]
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if not depth:
                return text[start:index].strip()
    return ""


def _path(expression: str, paths: dict[str, str]) -> str | None:
    """Return which part of the answer an expression is, None when it is anything else."""
    expression = expression.strip().removesuffix(".toString()")
    header = _HEADER.fullmatch(expression)
    if header:
        return f"headers.{header.group(1)}"
    whole = _WHOLE.match(expression)
    if whole:
        path, rest = "body", expression[whole.end() :]
    else:
        name = _NAME.match(expression)
        if not name or name.group() not in paths:
            return None
        path, rest = paths[name.group()], expression[name.end() :]
    while rest:
        step = _STEP.match(rest)
        if not step:
            return None
        member, index, quoted = step.groups()
        word = member or quoted
        if index is not None:
            path += f"[{index}]"
        else:
            path += f".{word}" if _PLAIN.fullmatch(word) else f'["{word}"]'
        rest = rest[step.end() :]
    return path

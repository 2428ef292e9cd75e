"""What the names of an expression mean where they stand, and what was meant by those that mean nothing.

A name is a variable of an enclosing macro, one of the variables the expression is compiled for (which may
have dots), or a type; the longest dotted name wins, and macro variables hide everything.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from service.errors import nearest
from service.rules.cel.errors import MAX_ISSUES, Code, Issue
from service.rules.cel.functions import DYN
from service.rules.cel.library import GLOBALS, METHODS
from service.rules.cel.macros import MACRO_METHODS, function_fix, method_fix
from service.rules.cel.tree import Broken, Call, Literal, Local, Name, Node, Select, Variable
from service.rules.cel.values import TYPE_NAMES, TypeValue

Checked = tuple[Node, type]
"""A node with its meaning, and the kind of its value."""

FIRST_SLOT: Final = 2
"""Slots 0 and 1 of a frame hold the variables and the budget."""

_TYPES: Final = {name: TypeValue(name) for name in TYPE_NAMES.values()}
_ATTRIBUTES: Final = (
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "specversion",
)


class Names:
    """The names of one expression. `issues` grows; `slots` is the size of the frame that evaluation needs."""

    def __init__(self, text: str, variables: Sequence[str], issues: list[Issue]) -> None:
        self.text = text
        self.variables = frozenset(variables)
        self.issues = issues
        self.slots = FIRST_SLOT
        self._scope: list[tuple[str, int]] = []

    def issue(self, code: Code, message: str, offset: int, length: int, fix: str = "") -> None:
        """Report a problem at a place."""
        if len(self.issues) < MAX_ISSUES:
            self.issues.append(Issue(message=message, offset=offset, length=length, fix=fix, code=code))

    def at(self, node: Node, code: Code, message: str, fix: str = "") -> None:
        """Report a problem of a whole node."""
        self.issue(code, message, node.start, node.end - node.start, fix)

    def source(self, node: Node) -> str:
        """Return the text of a node."""
        return self.text[node.start : node.end]

    @contextmanager
    def inside(self, names: Sequence[str]) -> Iterator[tuple[int, ...]]:
        """Let some names be new for a while; gives their slots."""
        before = len(self._scope)
        for name in names:
            self._scope.append((name, FIRST_SLOT + len(self._scope)))
        self.slots = max(self.slots, FIRST_SLOT + len(self._scope))
        yield tuple(slot for _, slot in self._scope[before:])
        del self._scope[before:]

    def resolve(self, node: Name | Select) -> Checked | None:
        """Return what a whole dotted name means; None when only a part of it is a name, or nothing."""
        parts = _dotted(node)
        if parts is None:
            return None
        first, whole = parts
        slot = None if first.absolute else self._local(first.name)
        if slot is not None:
            return (Local(first.start, first.end, 1, first.name, slot), DYN) if first is node else None
        if whole in self.variables:
            return Variable(node.start, node.end, 1, whole), DYN
        if whole in _TYPES:
            return Literal(node.start, node.end, 1, _TYPES[whole]), TypeValue
        return None

    def namespace(self, node: Node) -> str | None:
        """Return a dotted name that may stand before a function's; no macro variable begins it."""
        parts = _dotted(node)
        if parts is None or (not parts[0].absolute and self._local(parts[0].name) is not None):
            return None
        return parts[1]

    def unknown(self, node: Name) -> Checked:
        """Report a name without meaning."""
        message = f"unknown name `{cut(node.name)}`"
        if len(self.issues) >= MAX_ISSUES:
            return broken(node, message)
        known = [*sorted(self.variables), *(name for name, _ in self._scope)]
        if node.name in _ATTRIBUTES and "event" in self.variables:
            fix = f"write event.{node.name}"
        elif node.name in GLOBALS or node.name in METHODS:
            fix = "a function is called: put ( ) behind it"
        else:
            fix = _did_you_mean(node.name, [*known, "true", "false", "null"])
            fix = fix or (f"there is {', '.join(known)}" if known else "")
        self.at(node, "name", message, fix)
        return broken(node, message)

    def unknown_function(self, node: Call, space: str = "") -> Checked:
        """Report a function or method that does not exist; `space` is the dotted name before it."""
        name = f"{space}.{node.name}" if space else node.name
        message = f"unknown function `{cut(name)}`"
        if len(self.issues) < MAX_ISSUES:
            fix = _function_fix(node, name, space)
            self.issue("function", message, node.name_start, len(node.name), fix)
        return broken(node, message)

    def _local(self, name: str) -> int | None:
        return next((slot for known, slot in reversed(self._scope) if known == name), None)


def broken(node: Node, message: str) -> Checked:
    """Return what stands for a node without meaning."""
    return Broken(node.start, node.end, 1, message), DYN


def cut(text: str) -> str:
    """Return a name, cut for a message."""
    return text if len(text) <= 40 else text[:39] + "…"


def _dotted(node: Node) -> tuple[Name, str] | None:
    """Return the first name of a chain of plain selections, and the whole; None when it begins otherwise."""
    names: list[str] = []
    while isinstance(node, Select) and not node.optional:
        names.append(node.field)
        node = node.operand
    if not isinstance(node, Name):
        return None
    return node, ".".join((node.name, *reversed(names)))


def _function_fix(node: Call, name: str, space: str) -> str:
    if space or node.target is None:
        if not space and (name in METHODS or name in MACRO_METHODS):
            return f"it is a method: write value.{name}(…)"
        return function_fix(name) or _did_you_mean(name, [*GLOBALS, "has", "cel.bind"])
    if name in GLOBALS:
        return f"it is a function: write {name}(…)"
    return method_fix(name) or _did_you_mean(name, [*METHODS, *MACRO_METHODS])


def _did_you_mean(name: str, known: list[str]) -> str:
    near = nearest(name, known)
    return f"did you mean `{near}`?" if near else ""

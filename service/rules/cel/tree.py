"""The tree of an expression. Every node knows its place in the text; nothing here evaluates.

The parser makes Name, Select, Index, Call, literals and operators. The checker turns names and calls into
what they mean (Variable, Local, Apply, Loop, …); only that tree is compiled.
"""

from dataclasses import dataclass
from typing import Any
from typing import Literal as Choice

from typing_extensions import override

from service.rules.cel.functions import Function
from service.rules.cel.library.regex import Pattern

LoopKind = Choice[
    "all", "exists", "exists_one", "filter", "map", "transformList", "transformMap", "transformMapEntry"
]


@dataclass(frozen=True, slots=True)
class Node:
    """Part of an expression, from `start` to `end` of the text. `depth` is the height of its tree."""

    start: int
    end: int
    depth: int

    def children(self) -> "tuple[Node, ...]":
        """Return the nodes directly below, in the order of the text."""
        return ()


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A value that stands in the text."""

    value: Any


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A name as written. `absolute`: with a leading dot, which no loop variable hides."""

    name: str
    absolute: bool


@dataclass(frozen=True, slots=True)
class Select(Node):
    """`operand.field`, or `operand.?field` when optional. The field's name stands at `field_start`."""

    operand: Node
    field: str
    field_start: int
    optional: bool

    @override
    def children(self) -> "tuple[Node, ...]":
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`operand[index]`, or `operand[?index]` when optional."""

    operand: Node
    index: Node
    optional: bool

    @override
    def children(self) -> "tuple[Node, ...]":
        return self.operand, self.index


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A call as written: `name(arguments)` or `target.name(arguments)`; the name stands at `name_start`."""

    name: str
    name_start: int
    target: Node | None
    arguments: tuple[Node, ...]
    absolute: bool = False

    @override
    def children(self) -> "tuple[Node, ...]":
        return self.arguments if self.target is None else (self.target, *self.arguments)


@dataclass(frozen=True, slots=True)
class Item:
    """One element of a list literal; `optional` drops it when absent."""

    value: Node
    optional: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a map literal; `optional` drops it when its value is absent."""

    key: Node
    value: Node
    optional: bool


@dataclass(frozen=True, slots=True)
class ListLiteral(Node):
    """`[a, ?b]`."""

    items: tuple[Item, ...]

    @override
    def children(self) -> "tuple[Node, ...]":
        return tuple(item.value for item in self.items)


@dataclass(frozen=True, slots=True)
class MapLiteral(Node):
    """`{a: b, ?c: d}`."""

    entries: tuple[Entry, ...]

    @override
    def children(self) -> "tuple[Node, ...]":
        return tuple(part for entry in self.entries for part in (entry.key, entry.value))


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`!operand` or `-operand`."""

    operator: Choice["!", "-"]
    operand: Node

    @override
    def children(self) -> "tuple[Node, ...]":
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Arithmetic, a relation or `in`; the operator stands at `operator_start`."""

    operator: str
    operator_start: int
    left: Node
    right: Node

    @override
    def children(self) -> "tuple[Node, ...]":
        return self.left, self.right


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """`a && b && …` or `a || b || …`."""

    operator: Choice["&&", "||"]
    parts: tuple[Node, ...]

    @override
    def children(self) -> "tuple[Node, ...]":
        return self.parts


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`condition ? yes : no`."""

    condition: Node
    yes: Node
    no: Node

    @override
    def children(self) -> "tuple[Node, ...]":
        return self.condition, self.yes, self.no


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """One of the variables that the expression was compiled for."""

    name: str


@dataclass(frozen=True, slots=True)
class Local(Node):
    """A variable of an enclosing macro; it lies in `slot` of the frame."""

    name: str
    slot: int


@dataclass(frozen=True, slots=True)
class Has(Node):
    """`has(operand.field)`."""

    operand: Node
    field: str

    @override
    def children(self) -> "tuple[Node, ...]":
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Apply(Node):
    """A call of a known function; a method's receiver is its first argument."""

    function: Function
    arguments: tuple[Node, ...]

    @override
    def children(self) -> "tuple[Node, ...]":
        return self.arguments


@dataclass(frozen=True, slots=True)
class Matches(Node):
    """`subject.matches("…")` with a pattern that is known, hence compiled."""

    subject: Node
    pattern: Pattern

    @override
    def children(self) -> "tuple[Node, ...]":
        return (self.subject,)


@dataclass(frozen=True, slots=True)
class Loop(Node):
    """A macro that goes through a list or a map, with one or two variables of its own."""

    kind: LoopKind
    source: Node
    names: tuple[str, ...]
    slots: tuple[int, ...]
    condition: Node | None
    body: Node

    @override
    def children(self) -> "tuple[Node, ...]":
        return tuple(node for node in (self.source, self.condition, self.body) if node is not None)


@dataclass(frozen=True, slots=True)
class Bind(Node):
    """`cel.bind(name, value, body)`."""

    name: str
    slot: int
    value: Node
    body: Node

    @override
    def children(self) -> "tuple[Node, ...]":
        return self.value, self.body


@dataclass(frozen=True, slots=True)
class OptionalMap(Node):
    """`source.optMap(name, body)`; with `flat`, `optFlatMap`."""

    source: Node
    name: str
    slot: int
    body: Node
    flat: bool

    @override
    def children(self) -> "tuple[Node, ...]":
        return self.source, self.body


@dataclass(frozen=True, slots=True)
class OrElse(Node):
    """`source.or(other)`; with `unwrap`, `orValue`. `other` is evaluated only when it is needed."""

    source: Node
    other: Node
    unwrap: bool

    @override
    def children(self) -> "tuple[Node, ...]":
        return self.source, self.other


@dataclass(frozen=True, slots=True)
class Broken(Node):
    """What has no meaning; evaluating it is an error. Only an unchecked expression has one."""

    message: str


def plain_path(node: Node) -> tuple[str | int, ...] | None:
    """Return the path of a variable, its selections and constant indexes; None for anything else.

    Optional ones count: where they give a value at all, it is the one that stands at the path.
    """
    parts: list[str | int] = []
    while True:
        match node:
            case Variable(name=name):
                return (name, *reversed(parts))
            case Select(operand=operand, field=field):
                parts.append(field)
                node = operand
            case Index(operand=operand, index=Literal(value=str() as key)):
                parts.append(key)
                node = operand
            case Index(operand=operand, index=Literal(value=key)) if type(key) is int and key >= 0:
                parts.append(key)
                node = operand
            case _:
                return None


def reads(node: Node) -> frozenset[tuple[str, ...]]:
    """Return the paths that a tree reads from its variables; of a dynamic access, what stands before it."""
    found: set[tuple[str, ...]] = set()
    waiting = [node]
    while waiting:
        node = waiting.pop()
        path, inside = _read(node)
        if path:
            found.add(path)
        waiting.extend(inside)
    return frozenset(found)


def _read(node: Node) -> tuple[tuple[str, ...], list[Node]]:
    """Return the path that stands at a node, and the nodes that have to be looked at beside it."""
    steps: list[str | None] = []
    beside: list[Node] = []
    at = node
    while True:
        match at:
            case Variable(name=name):
                path = [name]
                for step in reversed(steps):
                    if step is None:
                        break
                    path.append(step)
                return tuple(path), beside
            case Select(operand=operand, field=field) | Has(operand=operand, field=field):
                steps.append(field)
                at = operand
            case Index(operand=operand, index=Literal(value=key)):
                steps.append(key if isinstance(key, str) else None)
                at = operand
            case Index(operand=operand, index=index):
                steps.append(None)
                beside.append(index)
                at = operand
            case _:
                return (), [*beside, *at.children()]

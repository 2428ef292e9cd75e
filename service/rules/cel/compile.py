"""Turns a checked tree into nested Python functions.

The text of the user never reaches Python's own compiler: literals and names enter as constants of closures.
What is frequent has a form of its own (paths, comparisons with a literal, `&&` of two parts); each such form
gives exactly what the general one gives.
"""

from collections.abc import Callable
from typing import Any

from service.rules.cel.access import has_field, index, index_optional, select, select_optional
from service.rules.cel.comparisons import compile_comparison
from service.rules.cel.errors import EvaluationError, Fault
from service.rules.cel.frame import Frame, Run, not_bool, place
from service.rules.cel.functions import Function
from service.rules.cel.library.regex import search
from service.rules.cel.logic import compile_logic
from service.rules.cel.loops import compile_list, compile_loop, compile_map
from service.rules.cel.operators import Mismatch, mismatch, negate, operation
from service.rules.cel.paths import compile_path
from service.rules.cel.tree import (
    Apply,
    Binary,
    Bind,
    Broken,
    Conditional,
    Has,
    Index,
    ListLiteral,
    Literal,
    Logic,
    Loop,
    MapLiteral,
    Matches,
    Node,
    OptionalMap,
    OrElse,
    Select,
    Unary,
)
from service.rules.cel.values import ABSENT, NONE, OptionalValue, map_key, word

Hook = Callable[[Node, Run], Run]
"""Gets the code of every node that is evaluated by itself, and may put its own around it."""


class Compiler:
    """Compiles one tree. With a hook, the code of each node is handed through it (for tracing)."""

    def __init__(self, text: str, hook: Hook | None = None) -> None:
        self._text = text
        self._hook = hook
        self._codes: dict[type[Node], Callable[[Any], Run]] = {
            Select: self._select,
            Index: self._index,
            Has: self._has,
            Binary: self._binary,
            Logic: self._logic,
            Unary: self._unary,
            Conditional: self._conditional,
            Apply: self._apply,
            Matches: self._matches,
            Loop: self._loop,
            ListLiteral: self._list,
            MapLiteral: self._map,
            Bind: self._bind,
            OptionalMap: self._optional_map,
            OrElse: self._or_else,
            Broken: self._broken,
        }

    def compile(self, node: Node) -> Run:
        """Return the code of a node."""
        value = constant(node)
        if value is not ABSENT:
            return lambda _frame: value
        run = compile_path(node) or self._codes[type(node)](node)
        return run if self._hook is None else self._hook(node, run)

    def _loop(self, node: Loop) -> Run:
        condition = None if node.condition is None else self.compile(node.condition)
        return compile_loop(node, self.compile(node.source), condition, self.compile(node.body))

    def _list(self, node: ListLiteral) -> Run:
        return compile_list([(self.compile(one.value), one.optional, place(one.value)) for one in node.items])

    def _map(self, node: MapLiteral) -> Run:
        return compile_map(
            [
                (self.compile(one.key), self.compile(one.value), one.optional, place(one.key))
                for one in node.entries
            ]
        )

    def _broken(self, node: Broken) -> Run:
        return _failing(node.message, node)

    def _logic(self, node: Logic) -> Run:
        return compile_logic(node, [self.compile(part) for part in node.parts])

    def _select(self, node: Select) -> Run:
        operand = self.compile(node.operand)
        field = node.field
        at = (node.field_start, node.end - node.field_start)
        take: Callable[..., Any] = select_optional if node.optional else select
        return lambda frame: take(operand(frame), field, at)

    def _index(self, node: Index) -> Run:
        operand = self.compile(node.operand)
        key = self.compile(node.index)
        at = place(node)
        take: Callable[..., Any] = index_optional if node.optional else index
        return lambda frame: take(operand(frame), key(frame), at)

    def _has(self, node: Has) -> Run:
        operand = self.compile(node.operand)
        field = node.field
        at = place(node)
        return lambda frame: has_field(operand(frame), field, at)

    def _binary(self, node: Binary) -> Run:
        left = self.compile(node.left)
        right = self.compile(node.right)
        operator = node.operator
        code = operation(operator)
        at = place(node)
        texts = (
            self._text[node.left.start : node.left.end],
            self._text[node.right.start : node.right.end],
        )

        def apply(one: Any, other: Any, frame: Frame) -> Any:
            try:
                return code(one, other, frame[1])
            except Mismatch:
                message, fix = mismatch(operator, type(one), type(other), texts)
                raise EvaluationError(message, *at, fix=fix) from None
            except Fault as fault:
                raise EvaluationError(str(fault), *at) from None

        quick = compile_comparison(operator, left, right, constant(node.left), constant(node.right), apply)
        if quick is not None:
            return quick
        return lambda frame: apply(left(frame), right(frame), frame)

    def _unary(self, node: Unary) -> Run:
        operand = self.compile(node.operand)
        at = place(node)
        if node.operator == "!":

            def turn(frame: Frame) -> bool:
                value = operand(frame)
                if value is True or value is False:
                    return not value
                raise not_bool(value, at, "`!` turns a condition around")

            return turn

        def minus(frame: Frame) -> Any:
            value = operand(frame)
            try:
                return negate(value)
            except Mismatch:
                raise EvaluationError(f"no such overload: -{word(value)}", *at) from None
            except Fault as fault:
                raise EvaluationError(str(fault), *at) from None

        return minus

    def _conditional(self, node: Conditional) -> Run:
        condition, yes, no = self.compile(node.condition), self.compile(node.yes), self.compile(node.no)
        at = place(node.condition)

        def run(frame: Frame) -> Any:
            verdict = condition(frame)
            if verdict is True:
                return yes(frame)
            if verdict is False:
                return no(frame)
            raise not_bool(verdict, at, "`?` asks a condition")

        return run

    def _apply(self, node: Apply) -> Run:
        function = node.function
        at = place(node)
        arguments = [self.compile(part) for part in node.arguments]
        code = function.dynamic.get(len(arguments)) or (
            function.overloads[0].run if function.variadic else None
        )
        table = function.table
        if code is None and len(arguments) == 2:
            return self._apply_two(node, arguments[0], arguments[1])

        def run(frame: Frame) -> Any:
            values = [argument(frame) for argument in arguments]
            chosen = code or table.get(tuple([type(value) for value in values]))
            if chosen is None:
                raise EvaluationError(_no_overload(function, values), *at)
            try:
                return chosen(frame[1], *values)
            except Fault as fault:
                raise EvaluationError(str(fault), *at) from None

        return run

    def _apply_two(self, node: Apply, first: Run, second: Run) -> Run:
        """Call a function of two arguments, as most methods are."""
        function = node.function
        table = function.table
        at = place(node)

        def run(frame: Frame) -> Any:
            one, other = first(frame), second(frame)
            chosen = table.get((type(one), type(other)))
            if chosen is None:
                raise EvaluationError(_no_overload(function, [one, other]), *at)
            try:
                return chosen(frame[1], one, other)
            except Fault as fault:
                raise EvaluationError(str(fault), *at) from None

        return run

    def _matches(self, node: Matches) -> Run:
        subject = self.compile(node.subject)
        pattern = node.pattern
        at = place(node)

        def run(frame: Frame) -> bool:
            value = subject(frame)
            if type(value) is not str:
                raise EvaluationError(f"no such overload: matches() of {word(value)}", *at)
            try:
                return search(frame[1], value, pattern)
            except Fault as fault:
                raise EvaluationError(str(fault), *at) from None

        return run

    def _bind(self, node: Bind) -> Run:
        value, body = self.compile(node.value), self.compile(node.body)
        slot = node.slot

        def run(frame: Frame) -> Any:
            frame[slot] = value(frame)
            return body(frame)

        return run

    def _optional_map(self, node: OptionalMap) -> Run:
        source, body = self.compile(node.source), self.compile(node.body)
        slot, flat = node.slot, node.flat
        name = "optFlatMap" if flat else "optMap"
        at, inside = place(node.source), place(node.body)

        def run(frame: Frame) -> OptionalValue:
            optional = source(frame)
            if type(optional) is not OptionalValue:
                raise EvaluationError(f"{name}() is for an optional, this is {word(optional)}", *at)
            if optional.value is ABSENT:
                return NONE
            frame[slot] = optional.value
            value = body(frame)
            if not flat:
                return OptionalValue(value)
            if type(value) is not OptionalValue:
                raise EvaluationError(f"optFlatMap() makes an optional, this is {word(value)}", *inside)
            return value

        return run

    def _or_else(self, node: OrElse) -> Run:
        source, other = self.compile(node.source), self.compile(node.other)
        unwrap = node.unwrap
        name = "orValue" if unwrap else "or"
        at, behind = place(node.source), place(node.other)

        def run(frame: Frame) -> Any:
            optional = source(frame)
            if type(optional) is not OptionalValue:
                raise EvaluationError(f"{name}() is for an optional, this is {word(optional)}", *at)
            if optional.value is not ABSENT:
                return optional.value if unwrap else optional
            value = other(frame)
            if not unwrap and type(value) is not OptionalValue:
                raise EvaluationError(f"or() takes an optional, this is {word(value)}", *behind)
            return value

        return run


def constant(node: Node) -> Any:
    """Return the value of a literal, or of a list or map of nothing else; ABSENT for anything more."""
    match node:
        case Literal():
            return node.value
        case ListLiteral():
            values = [ABSENT if item.optional else constant(item.value) for item in node.items]
            return ABSENT if any(value is ABSENT for value in values) else values
        case MapLiteral():
            return _constant_map(node)
        case _:
            return ABSENT


def _constant_map(node: MapLiteral) -> Any:
    made: dict[Any, Any] = {}
    for entry in node.entries:
        key, value = constant(entry.key), constant(entry.value)
        if entry.optional or ABSENT in (key, value):
            return ABSENT
        try:
            key = map_key(key)
        except Fault:
            return ABSENT
        if key in made:
            return ABSENT
        made[key] = value
    return made


def _no_overload(function: Function, values: list[Any]) -> str:
    return function.mismatch([type(value) for value in values])


def _failing(message: str, node: Node) -> Run:
    def run(_frame: Frame) -> Any:
        raise EvaluationError(message, *place(node))

    return run

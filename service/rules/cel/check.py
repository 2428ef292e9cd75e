"""Gives every name and call of a tree its meaning and finds what cannot work, without evaluating anything.

Kinds are known for literals and results of functions; what comes from a message is DYN and checked when it
is evaluated. Every problem is reported, not only the first. A part without meaning becomes Broken.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from service.rules.cel.budget import Budget
from service.rules.cel.errors import BudgetExceeded, Fault
from service.rules.cel.functions import DYN, Function
from service.rules.cel.library import GLOBALS, METHODS
from service.rules.cel.library.regex import compile_pattern
from service.rules.cel.macros import LOOPS, LoopForm, method_fix
from service.rules.cel.names import Checked, Names, broken, cut
from service.rules.cel.operators import RELATIONS, mismatch, result_kind
from service.rules.cel.tree import (
    Apply,
    Binary,
    Bind,
    Call,
    Conditional,
    Entry,
    Has,
    Index,
    Item,
    ListLiteral,
    Literal,
    Logic,
    Loop,
    MapLiteral,
    Matches,
    Name,
    Node,
    OptionalMap,
    OrElse,
    Select,
    Unary,
)
from service.rules.cel.values import WORDS, OptionalValue, Uint

_CONSTANT_STEPS: Final = 500_000
"""For all the regular expressions and times of one expression."""

_FOLDED: Final = ("timestamp", "duration")
"""Functions that are called at once when their argument is a literal: a bad one is found while compiling."""


class Checker:
    """Checks one tree."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._budget = Budget(_CONSTANT_STEPS)
        self._checks: dict[type[Node], Callable[[Any], Checked]] = {
            Literal: self._literal,
            Name: self._path,
            Select: self._path,
            Index: self._index,
            Call: self._call,
            ListLiteral: self._list,
            MapLiteral: self._map,
            Unary: self._unary,
            Binary: self._binary,
            Logic: self._logic,
            Conditional: self._conditional,
        }

    def check(self, node: Node) -> Checked:
        """Return the tree with its meaning, and the kind of its value."""
        return self._checks[type(node)](node)

    def _path(self, node: Name | Select) -> Checked:
        found = self._names.resolve(node)
        if found is not None:
            return found
        return self._names.unknown(node) if isinstance(node, Name) else self._select(node)

    def _select(self, node: Select) -> Checked:
        operand, kind = self.check(node.operand)
        if kind not in (DYN, dict, OptionalValue):
            fix = f"call it: .{node.field}()" if node.field in METHODS else method_fix(node.field)
            self._names.issue(
                "type",
                f"{WORDS[kind]} has no field `{cut(node.field)}`",
                node.field_start,
                node.end - node.field_start,
                fix,
            )
        made = Select(node.start, node.end, node.depth, operand, node.field, node.field_start, node.optional)
        return made, OptionalValue if node.optional or kind is OptionalValue else DYN

    def _index(self, node: Index) -> Checked:
        operand, kind = self.check(node.operand)
        index, by = self.check(node.index)
        if kind not in (DYN, list, dict, OptionalValue):
            fix = "see substring() and charAt()" if kind is str else ""
            self._names.at(node.operand, "type", f"{WORDS[kind]} cannot be indexed; a list or a map can", fix)
        elif kind is list and by not in (DYN, int, Uint):
            self._names.at(node.index, "type", f"a list is indexed by a whole number, not {WORDS[by]}")
        made = Index(node.start, node.end, node.depth, operand, index, node.optional)
        return made, OptionalValue if node.optional or kind is OptionalValue else DYN

    def _literal(self, node: Literal) -> Checked:
        return node, type(node.value)

    def _list(self, node: ListLiteral) -> Checked:
        items = tuple(Item(self._element(one.value, one.optional), one.optional) for one in node.items)
        return ListLiteral(node.start, node.end, node.depth, items), list

    def _logic(self, node: Logic) -> Checked:
        parts = tuple(self._condition(part, f"`{node.operator}` joins conditions") for part in node.parts)
        return Logic(node.start, node.end, node.depth, node.operator, parts), bool

    def _conditional(self, node: Conditional) -> Checked:
        condition = self._condition(node.condition, "`?` asks a condition")
        yes, one = self.check(node.yes)
        no, other = self.check(node.no)
        made = Conditional(node.start, node.end, node.depth, condition, yes, no)
        return made, one if one is other else DYN

    # Literals and operators

    def _element(self, node: Node, optional: bool) -> Node:
        value, kind = self.check(node)
        if optional and kind not in (DYN, OptionalValue):
            self._names.at(node, "type", f"`?` takes an optional, this is {WORDS[kind]}", "leave the `?` out")
        return value

    def _map(self, node: MapLiteral) -> Checked:
        entries = []
        for entry in node.entries:
            key, kind = self.check(entry.key)
            if kind not in (DYN, str, int, Uint, bool):
                self._names.at(
                    entry.key, "type", f"a map key is a string, an int, a uint or a bool, not {WORDS[kind]}"
                )
            entries.append(Entry(key, self._element(entry.value, entry.optional), entry.optional))
        return MapLiteral(node.start, node.end, node.depth, tuple(entries)), dict

    def _condition(self, node: Node, message: str) -> Node:
        value, kind = self.check(node)
        if kind not in (DYN, bool):
            self._names.at(node, "type", f"{message}, this is {WORDS[kind]}", "compare it with something")
        return value

    def _unary(self, node: Unary) -> Checked:
        if node.operator == "!":
            operand = self._condition(node.operand, "`!` turns a condition around")
            return Unary(node.start, node.end, node.depth, "!", operand), bool
        operand, kind = self.check(node.operand)
        if kind not in (DYN, int, float):
            self._names.at(node, "type", f"no such overload: -{WORDS[kind]}")
        return Unary(node.start, node.end, node.depth, "-", operand), kind

    def _binary(self, node: Binary) -> Checked:
        left, one = self.check(node.left)
        right, other = self.check(node.right)
        kind = self._binary_kind(node, one, other)
        return Binary(node.start, node.end, node.depth, node.operator, node.operator_start, left, right), kind

    def _binary_kind(self, node: Binary, one: type, other: type) -> type:
        operator = node.operator
        if DYN not in (one, other):
            kind = result_kind(operator, one, other)
            if kind is not None:
                return kind
        else:
            # One side is known: some kind of the other side must fit.
            fits = [
                kind
                for unknown in WORDS
                if (kind := result_kind(operator, *_filled(one, other, unknown))) is not None
            ]
            if fits or one is other:
                return fits[0] if len(set(fits)) == 1 else bool if operator in (*RELATIONS, "in") else DYN
        texts = (self._names.source(node.left), self._names.source(node.right))
        message, fix = mismatch(operator, one, other, texts)
        relation = isinstance(node.left, Binary) and node.left.operator in RELATIONS
        if operator in RELATIONS and relation:
            fix = "write a < b && b < c"
        for part in (node.left, node.right):
            if isinstance(part, Name) and part.name == "type" and "event" in self._names.variables:
                fix = "did you mean `event.type`?"
        self._names.issue("type", message, node.operator_start, len(operator), fix)
        return bool if operator in (*RELATIONS, "in") else DYN

    # Calls and macros

    def _call(self, node: Call) -> Checked:
        target = node.target
        if target is None:
            return self._has(node) if node.name == "has" else self._function(node, node.name)
        space = self._names.namespace(target)
        if space == "cel" and node.name == "bind":
            return self._bind(node)
        if space is not None and any(name.startswith(f"{space}.") for name in (*GLOBALS, "cel.bind")):
            return self._function(node, f"{space}.{node.name}", space)
        return self._method(node, target)

    def _function(self, node: Call, name: str, space: str = "") -> Checked:
        function = GLOBALS.get(name)
        if function is not None:
            return self._apply(node, function, node.arguments)
        return self._unknown_function(node, node.arguments, space)

    def _unknown_function(self, node: Call, parts: Sequence[Node], space: str = "") -> Checked:
        found = self._names.unknown_function(node, space)
        for part in parts:  # what is wrong in there is reported, too
            self.check(part)
        return found

    def _method(self, node: Call, target: Node) -> Checked:
        if node.name in LOOPS:
            return self._loop(node, target)
        if node.name in ("optMap", "optFlatMap"):
            return self._optional_map(node, target)
        if node.name in ("or", "orValue"):
            return self._or_else(node, target)
        method = METHODS.get(node.name)
        if method is None:
            return self._unknown_function(node, (target, *node.arguments))
        return self._apply(node, method, (target, *node.arguments))

    def _apply(self, node: Call, function: Function, parts: tuple[Node, ...]) -> Checked:
        checked = [self.check(part) for part in parts]
        arguments = tuple(one for one, _ in checked)
        kinds = [kind for _, kind in checked]
        fitting = function.fitting(kinds)
        if not function.takes(len(parts)) or not fitting:
            message = function.mismatch(kinds)
            self._names.issue("function" if not fitting else "type", message, node.name_start, len(node.name))
            return broken(node, message)
        if isinstance(arguments[-1] if arguments else None, Literal):
            found = self._known(node, function, arguments)
            if found is not None:
                return found
        results = {one.result for one in fitting}
        made = Apply(node.start, node.end, node.depth, function, arguments)
        return made, results.pop() if len(results) == 1 else DYN

    def _known(self, node: Call, function: Function, arguments: tuple[Node, ...]) -> Checked | None:
        """Do at once what depends on a literal alone, so that a bad literal is found now."""
        literal = arguments[-1]
        value = literal.value if isinstance(literal, Literal) else None
        try:
            if function.name == "matches" and isinstance(value, str):
                pattern = compile_pattern(self._budget, value)
                return Matches(node.start, node.end, node.depth, arguments[0], pattern), bool
            if function.name in _FOLDED:
                made = function.table[(type(value),)](self._budget, value)
                return Literal(node.start, node.end, 1, made), type(made)
        except (Fault, BudgetExceeded) as error:
            self._names.at(literal, "constant", str(error))
            return broken(node, str(error))
        return None

    def _wrong_form(self, node: Call, forms: str) -> Checked:
        message = f"`{node.name}` is written {forms}"
        self._names.issue("syntax", message, node.name_start, len(node.name))
        return broken(node, message)

    def _variable_name(self, node: Node) -> str | None:
        """Return the name that a macro introduces; report anything but a simple name."""
        if isinstance(node, Name) and not node.absolute:
            return node.name
        self._names.at(
            node, "syntax", "here stands the name of a new variable", "write a simple name, as `x`"
        )
        return None

    def _inside(self, names: Sequence[str], body: Node) -> tuple[tuple[int, ...], Node, type]:
        """Check a body in which some names are new; return their slots, too."""
        with self._names.inside(names) as slots:
            checked, kind = self.check(body)
        return slots, checked, kind

    def _has(self, node: Call) -> Checked:
        if (
            len(node.arguments) != 1
            or not isinstance(node.arguments[0], Select)
            or node.arguments[0].optional
        ):
            return self._wrong_form(node, "has(value.field); for a key that is no name: 'key' in value")
        field = node.arguments[0]
        operand, kind = self.check(field.operand)
        if kind not in (DYN, dict, OptionalValue):
            self._names.at(field, "type", f"{WORDS[kind]} has no field `{cut(field.field)}`")
        return Has(node.start, node.end, node.depth, operand, field.field), bool

    def _bind(self, node: Call) -> Checked:
        if len(node.arguments) != 3:
            return self._wrong_form(node, "cel.bind(name, value, expression)")
        name = self._variable_name(node.arguments[0])
        value, _ = self.check(node.arguments[1])
        if name is None:
            return broken(node, "cel.bind() has no name")
        (slot,), body, kind = self._inside((name,), node.arguments[2])
        return Bind(node.start, node.end, node.depth, name, slot, value, body), kind

    def _optional_map(self, node: Call, target: Node) -> Checked:
        if len(node.arguments) != 2:
            return self._wrong_form(node, f"optional.{node.name}(name, expression)")
        source = self._optional(node, target)
        name = self._variable_name(node.arguments[0])
        if name is None:
            return broken(node, f"{node.name}() has no name")
        (slot,), body, kind = self._inside((name,), node.arguments[1])
        flat = node.name == "optFlatMap"
        if flat and kind not in (DYN, OptionalValue):
            self._names.at(
                node.arguments[1],
                "type",
                f"optFlatMap() makes an optional, this is {WORDS[kind]}",
                "use optMap()",
            )
        return OptionalMap(node.start, node.end, node.depth, source, name, slot, body, flat), OptionalValue

    def _or_else(self, node: Call, target: Node) -> Checked:
        if len(node.arguments) != 1:
            return self._wrong_form(
                node, f"optional.{node.name}({'default' if node.name == 'orValue' else 'optional'})"
            )
        source = self._optional(node, target)
        other, kind = self.check(node.arguments[0])
        unwrap = node.name == "orValue"
        if not unwrap and kind not in (DYN, OptionalValue):
            self._names.at(
                node.arguments[0], "type", f"or() takes an optional, this is {WORDS[kind]}", "use orValue()"
            )
        return OrElse(
            node.start, node.end, node.depth, source, other, unwrap
        ), DYN if unwrap else OptionalValue

    def _optional(self, node: Call, target: Node) -> Node:
        source, kind = self.check(target)
        if kind not in (DYN, OptionalValue):
            self._names.at(
                target,
                "type",
                f"{node.name}() is for an optional, this is {WORDS[kind]}",
                "see `data.?field`",
            )
        return source

    def _loop(self, node: Call, target: Node) -> Checked:
        source, kind = self.check(target)
        if kind not in (DYN, list, dict):
            self._names.at(
                target, "type", f"{node.name}() goes through a list or a map, this is {WORDS[kind]}"
            )
        form: LoopForm | None = LOOPS[node.name].get(len(node.arguments))
        if form is None:
            forms = " or ".join(one.words for one in LOOPS[node.name].values())
            return self._wrong_form(node, forms)
        names = [self._variable_name(part) for part in node.arguments[: form.names]]
        if None in names or len(set(names)) != len(names):
            if None not in names:
                self._names.at(node.arguments[1], "syntax", "the two variables have the same name")
            return broken(node, f"{node.name}() has no names")
        known = [name for name in names if name is not None]
        condition = None
        if form.condition:
            slots, condition, kind = self._inside(known, node.arguments[form.names])
            self._must_be_bool(node, node.arguments[form.names], kind)
        slots, body, kind = self._inside(known, node.arguments[-1])
        if form.kind in ("all", "exists", "exists_one", "filter"):
            self._must_be_bool(node, node.arguments[-1], kind)
        made = Loop(node.start, node.end, node.depth, form.kind, source, tuple(known), slots, condition, body)
        if form.kind in ("all", "exists", "exists_one"):
            return made, bool
        return made, dict if form.kind.startswith("transformMap") else list

    def _must_be_bool(self, node: Call, part: Node, kind: type) -> None:
        if kind not in (DYN, bool):
            self._names.at(
                part,
                "type",
                f"{node.name}() asks a condition, this is {WORDS[kind]}",
                "compare it with something",
            )


def _filled(one: type, other: type, unknown: type) -> tuple[type, type]:
    return (unknown if one is DYN else one, unknown if other is DYN else other)

"""One call that brings values or a schema: its arguments made, its answer read. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from actions.dynamic.places import Path, input_path, look, required
from actions.errors import Refused
from actions.specs.model import Operation, Spec

MAX_CHOICES: Final = 10_000
"""Values of one answer that are listed."""


class NotAsDescribed(ValueError):
    """An answer does not hold what the description promises."""


class Choice(msgspec.Struct, frozen=True):
    """One value that an input may take, and what people call it."""

    value: Any
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One argument of the call: a literal, or taken from the arguments so far, or from the chosen node.

    `problem` says why there is no such thing as it is taken from.
    """

    target: Path
    literal: Any = None
    source: Path | None = None
    name: str = ""
    selected: str = ""
    needed: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicCall:
    """An operation to call for the values, or for the schema, of a place.

    `operation` is its id; `problem` says why it cannot be called at all, `notes` which of its parameters were
    left out since the operation has no such input.
    """

    kind: Literal["values", "schema", "tree"]
    operation: str = ""
    bindings: tuple[Binding, ...] = ()
    collection: str = ""
    value_path: str = ""
    title_path: str = ""
    problem: str = ""
    notes: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """The inputs that the call takes values from, as the description names them."""
        return tuple(one.name for one in self.bindings if one.source is not None)

    def arguments(self, current: Mapping[str, Any], node: Any = None) -> dict[str, Any]:
        """Return the arguments of the call, made of those given so far, and of the chosen node of a tree.

        Raise Refused with everything that must be chosen first.
        """
        if self.problem:
            raise Refused(self.problem)
        made: dict[str, Any] = {}
        missing = []
        for one in self.bindings:
            value = one.literal
            if one.source is not None:
                value = look(current, one.source)
            elif one.selected:
                value = at(node, one.selected)
            if value is not None:
                _put(made, one.target, value)
            elif one.needed and (one.source is not None or one.selected):
                missing.append((_pointer(one), f"{one.name or one.selected} must be chosen first"))
        if missing:
            raise Refused("; ".join(text for _, text in missing), tuple(missing))
        return made

    def values(self, answer: Any) -> list[Choice]:
        """Return the values in an answer, decoded. Raise NotAsDescribed when there is no list of them."""
        found = []
        for item in self.items(answer):
            value = at(item, self.value_path) if self.value_path else item
            if value is None and not isinstance(item, Mapping):
                value = item
            if value is None:
                continue
            title = at(item, self.title_path) if self.title_path else None
            found.append(Choice(value, text(value if title is None else title)))
        return found

    def items(self, answer: Any) -> list[Any]:
        """Return the items of an answer. Raise NotAsDescribed when there is no list of them."""
        found = at(answer, self.collection) if self.collection else answer
        if isinstance(found, Mapping):  # no list is named, and the answer wraps one: there is no doubt
            lists = [member for member in found.values() if isinstance(member, list)]
            found = lists[0] if len(lists) == 1 else found
        if found is None and isinstance(answer, Mapping) and self.collection:
            return []
        if not isinstance(found, list):
            where = f"at {self.collection!r}" if self.collection else "at its top"
            raise NotAsDescribed(f"the answer of {self.operation} has no list {where}")
        return found[:MAX_CHOICES]

    def schema(self, answer: Any) -> dict[str, Any]:
        """Return the schema in an answer. Raise NotAsDescribed when there is none."""
        found = at(answer, self.value_path) if self.value_path else answer
        if isinstance(found, str):
            try:
                found = json.loads(found)
            except (ValueError, RecursionError):
                found = None
        if not isinstance(found, dict):
            where = f"at {self.value_path!r}" if self.value_path else "at its top"
            raise NotAsDescribed(f"the answer of {self.operation} has no schema {where}")
        return found


def make_call(
    kind: Literal["values", "schema", "tree"],
    spec: Spec,
    asking: Operation,
    value: Mapping[str, Any],
    own: Mapping[str, Any] | None = None,
) -> DynamicCall:
    """Compile what an extension says; `own` are parameters that the place itself hands to a capability."""
    called, problem = _called(spec, value)
    if called is None:
        return DynamicCall(kind=kind, problem=problem)
    bindings: list[Binding] = []
    notes: list[str] = []
    parameters = value.get("parameters")
    for name, one in (parameters if isinstance(parameters, Mapping) else {}).items():
        target = input_path(spec, called, str(name))
        if target is None:
            if one is not None:
                notes.append(f"{called.id} has no input {name}; it is left out")
            continue
        bindings.append(_binding(spec, asking, called, target, one, own or {}))
    paths = {key: _path(value, *names) for key, names in _PATHS.items()}
    return DynamicCall(
        kind=kind,
        operation=called.id,
        bindings=tuple(bindings),
        problem=problem or "; ".join(one.problem for one in bindings if one.problem and one.needed),
        notes=(*notes, *(one.problem for one in bindings if one.problem and not one.needed)),
        **paths,
    )


_PATHS: Final = {
    "collection": ("itemsPath", "value-collection"),
    "value_path": ("itemValuePath", "value-path"),
    "title_path": ("itemTitlePath", "value-title"),
}


def at(value: Any, path: str) -> Any:
    """Return what a path string names: a JSON pointer without the slash in front; None where nothing is.

    A member with the whole path as its name comes first, dots divide where no slash does.
    """
    if isinstance(value, Mapping) and path in value:
        return value[path]
    plain = path.strip("/")
    divided = plain.split("/") if "/" in plain or "." not in plain else plain.split(".")
    steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in divided)
    return look(value, steps) if plain else value


def text(value: Any) -> str:
    """Return what people read for a value."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _path(value: Mapping[str, Any], *names: str) -> str:
    return next((one for one in (value.get(name) for name in names) if isinstance(one, str)), "")


def _called(spec: Spec, value: Mapping[str, Any]) -> tuple[Operation | None, str]:
    built_in = value.get("builtInOperation")
    if built_in:
        return None, f"{built_in} is an operation of Microsoft's own platform, not of this API"
    name = value.get("operationId")
    if not isinstance(name, str) or not name:
        return None, "it names no operation that brings the values"
    called = spec.find(name) or _folded(spec.operations.values(), name)
    if called is None and spec.why_left_out(name) is not None:
        return None, f"its operation {name} is left out of the connector"
    if called is None:
        return None, f"it names the operation {name!r}, which the description does not have"
    if called.problem:
        return called, f"its operation {called.id} cannot be called: {called.problem}"
    return called, ""


def _folded(operations: Iterable[Operation], name: str) -> Operation | None:
    return next((one for one in operations if one.id.lower() == name.lower()), None)


def _binding(
    spec: Spec, asking: Operation, called: Operation, target: Path, one: Any, own: Mapping[str, Any]
) -> Binding:
    """Compile one argument of the call."""
    needed = required(spec, called, target)
    if not isinstance(one, Mapping) or not set(one) & _FORMS:
        return Binding(target=target, literal=one, needed=needed)
    if "value" in one:
        return Binding(target=target, literal=one["value"], needed=needed)
    selected = one.get("selectedItemValuePath", one.get("value-property"))
    if isinstance(selected, str):
        return Binding(target=target, selected=selected, needed=True)
    name = str(one.get("parameterReference", one.get("parameter", "")))
    if name in own:
        return _binding(spec, asking, called, target, own[name], {})
    source = input_path(spec, asking, name)
    needed = needed or one.get("required") is True
    problem = f"it refers to {name}, which is no input of {asking.id}" if source is None else ""
    return Binding(target=target, source=source, name=name, needed=needed, problem=problem)


_FORMS: Final = frozenset(
    ["parameter", "parameterReference", "value", "selectedItemValuePath", "value-property"]
)


def _put(made: dict[str, Any], target: Path, value: Any) -> None:
    for step in target[:-1]:
        inner = made.setdefault(step, {})
        if not isinstance(inner, dict):
            inner = made[step] = {}
        made = inner
    made[target[-1]] = value


def _pointer(one: Binding) -> str:
    return "/" + "/".join(one.source or ())

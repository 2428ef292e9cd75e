"""What changed between two versions of a description, and for whom that breaks something. Pure.

Operations are the same when they share an id, an alias or method and path. A change is *breaking* when calls
or readers that were right may no longer be: an operation or input is gone, something new is required, a value
is narrowed, an answer lost a member. Schemas are compared as far as both sides can be followed; where they
cannot be told apart nothing is said. The format that a version is written in is no difference: both are
brought into the form of OpenAPI 3.1 before.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from actions.exporting.normalising import normal
from actions.specs.model import Operation, Parameter, Schema, Spec

MAX_DEPTH: Final = 12
MAX_CHANGES: Final = 200
"""Differences listed for one operation: enough to see that it is another one."""
MAX_SCHEMAS: Final = 2_000
"""Schemas compared for one operation: some reach thousands."""

Effect = Literal["breaking", "compatible", "unclear"]
_BOUNDS: Final = {
    "maximum": 1, "exclusiveMaximum": 1, "maxLength": 1, "maxItems": 1, "maxProperties": 1,
    "minimum": -1, "exclusiveMinimum": -1, "minLength": -1, "minItems": -1, "minProperties": -1,
}  # fmt: skip
"""Keywords that narrow: 1 where a smaller number allows less, -1 where a greater one does."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference. `place` is a path into the operation: `query.limit`, `body.items[].sku`, …."""

    code: str
    effect: Effect
    message: str
    operation: str = ""
    place: str = ""


def compare(old: Spec, new: Spec) -> list[Change]:
    """Return all changes from an old version to a new one, those that break something first."""
    old, new = normal(old), normal(new)
    changes: list[Change] = []
    matched = dict(pairs(old, new))
    for name, one in old.operations.items():
        other = matched.get(name)
        if other is None:
            if not one.problem:
                changes.append(
                    _change("operation-removed", "breaking", f"{_called(one)} is gone", operation=name)
                )
            continue
        changes.extend(_Pair(old, new, one, other).changes())
    taken = {one.id for one in matched.values()}
    for name, one in new.operations.items():
        if name not in taken:
            changes.append(_change("operation-added", "compatible", f"{_called(one)} is new", operation=name))
    changes.extend(_around(old, new))
    order = {"breaking": 0, "unclear": 1, "compatible": 2}
    return sorted(changes, key=lambda one: order[one.effect])


def pairs(old: Spec, new: Spec) -> Iterator[tuple[str, Operation]]:
    """Yield the id of each old operation that is still there, and what it is now."""
    taken: set[str] = set()
    for name, one in old.operations.items():
        for wanted in (name, *one.aliases, f"{one.method} {one.path}"):
            found = new.find(wanted)
            if found is not None and found.id not in taken:
                taken.add(found.id)
                yield name, found
                break


def _called(one: Operation) -> str:
    return f"{one.id} ({one.method} {one.path})"


def _change(code: str, effect: Effect, message: str, *, operation: str = "", place: str = "") -> Change:
    return Change(code=code, effect=effect, message=message, operation=operation, place=place)


def _around(old: Spec, new: Spec) -> Iterator[Change]:
    """Yield what changed beside the operations: servers, logins, triggers."""
    before, after = ([one.url for one in spec.servers] for spec in (old, new))
    if before != after and before:
        gone = [url for url in before if url not in after]
        text = f"servers were {', '.join(before) or 'none'}, are {', '.join(after) or 'none'}"
        yield _change("servers-changed", "breaking" if before[:1] == gone[:1] else "compatible", text)
    for name, scheme in old.security_schemes.items():
        other = new.security_schemes.get(name)
        if other is None:
            yield _change("login-removed", "breaking", f"the security scheme {name} is gone")
        elif (scheme.kind, scheme.location, scheme.parameter, scheme.scheme) != (
            other.kind, other.location, other.parameter, other.scheme
        ):  # fmt: skip
            yield _change("login-changed", "breaking", f"the security scheme {name} works in another way")
    for name, trigger in old.triggers.items():
        if name not in new.triggers:
            yield _change("trigger-removed", "breaking", f"the trigger {trigger.name} is gone")
    for name, trigger in new.triggers.items():
        if name not in old.triggers:
            yield _change("trigger-added", "compatible", f"the trigger {trigger.name} is new")


class _Pair:
    """One operation in both versions."""

    def __init__(self, old: Spec, new: Spec, before: Operation, after: Operation) -> None:
        self._old, self._new = old, new
        self._before, self._after = before, after
        self._found: list[Change] = []
        self._seen: set[tuple[int, int, bool]] = set()
        self._whole: dict[int, tuple[Any, Mapping[str, Any]]] = {}  # what was made here is kept: ids are keys

    def changes(self) -> list[Change]:
        before, after = self._before, self._after
        if after.problem and not before.problem:
            self._add("operation-broken", "breaking", f"can no longer be called: {after.problem}")
        if (before.method, _shape(before.path)) != (after.method, _shape(after.path)):
            text = f"was {before.method} {before.path}, is {after.method} {after.path}"
            self._add("operation-moved", "compatible", text)
        if before.id != after.id and before.id not in after.aliases:
            self._add("operation-renamed", "breaking", f"is called {after.id} now")
        if after.deprecated and not before.deprecated:
            self._add("operation-deprecated", "compatible", "is deprecated now")
        if before.security != after.security:
            self._add("security-changed", "unclear", "wants another login")
        if before.grouped != after.grouped:
            self._add("inputs-grouped", "breaking", "its inputs are grouped by place now, or no longer")
        self._inputs()
        self._body()
        self._answers()
        return self._found

    def _add(self, code: str, effect: Effect, message: str, place: str = "") -> None:
        if len(self._found) < MAX_CHANGES:
            where = f"{place} " if place else ""
            text = f"{self._before.id}: {where}{message}"
            self._found.append(
                Change(code=code, effect=effect, message=text, operation=self._before.id, place=place)
            )

    def _inputs(self) -> None:
        before, after = (_by_place(one) for one in (self._before, self._after))
        for key, one in before.items():
            other = after.get(key)
            place = ".".join(key)
            if other is None:
                self._add("input-removed", "breaking", "is no input any more", place)
                continue
            if other.required and not one.required:
                self._add("input-required", "breaking", "is required now", place)
            if (one.style, one.explode, one.content_type) != (other.style, other.explode, other.content_type):
                self._add("input-written-otherwise", "compatible", "is written in another way", place)
            self._schemas(one.schema, other.schema, place, sent=True)
        for key, other in after.items():
            if key not in before:
                effect: Effect = "breaking" if other.required else "compatible"
                text = "is new and required" if other.required else "is new"
                self._add("input-added", effect, text, ".".join(key))

    def _body(self) -> None:
        before, after = self._before.body, self._after.body
        if before is None and after is None:
            return
        if after is None:
            self._add("body-removed", "breaking", "takes no body any more", "body")
        elif before is None:
            effect: Effect = "breaking" if after.required else "compatible"
            self._add("body-added", effect, "takes a body now", "body")
        else:
            if after.required and not before.required:
                self._add("body-required", "breaking", "is required now", "body")
            if before.media and after.media:
                if before.media[0].kind != after.media[0].kind:
                    text = f"is {after.media[0].type} now, was {before.media[0].type}"
                    self._add("body-type", "unclear", text, "body")
                self._schemas(before.media[0].schema, after.media[0].schema, "body", sent=True)

    def _answers(self) -> None:
        for status, one in self._before.responses.items():
            other = self._after.responses.get(status)
            place = f"answer {status}"
            if other is None:
                if status.startswith("2"):
                    self._add("answer-removed", "breaking", "is not declared any more", place)
                continue
            if one.media and other.media:
                self._schemas(one.media[0].schema, other.media[0].schema, place, sent=False)
            elif one.media and status.startswith("2"):
                self._add("answer-empty", "breaking", "has no content any more", place)

    def _schemas(self, before: Schema, after: Schema, place: str, *, sent: bool, depth: int = 0) -> None:
        """Compare two schemas: of what we send (`sent`), where less is allowed breaks, or of what we read."""
        one, other = self._resolved(self._old, before), self._resolved(self._new, after)
        key = (id(one), id(other), sent)
        if depth > MAX_DEPTH or key in self._seen or len(self._seen) > MAX_SCHEMAS:
            return
        self._seen.add(key)
        self._types(one, other, place, sent=sent)
        self._values(one, other, place, sent=sent)
        self._members(one, other, place, sent=sent, depth=depth)
        items = one.get("items"), other.get("items")
        if isinstance(items[0], dict) and isinstance(items[1], dict):
            self._schemas(items[0], items[1], f"{place}[]", sent=sent, depth=depth + 1)

    def _resolved(self, spec: Spec, schema: Schema) -> Mapping[str, Any]:
        """Return a schema behind its references; one that allows another or null is the other, with null."""
        found = spec.registry.schema(schema)
        known = self._whole.get(id(found))
        if known is None:
            known = self._whole[id(found)] = (found, _or_null(spec, found))
        return known[1]

    def _types(self, one: Mapping[str, Any], other: Mapping[str, Any], place: str, *, sent: bool) -> None:
        before, after = _types(one), _types(other)
        if before == after or not before or not after:
            return
        lost = before - after if sent else after - before
        text = f"is {' or '.join(sorted(after))} now, was {' or '.join(sorted(before))}"
        self._add("type-changed", "breaking" if lost else "compatible", text, place)

    def _values(self, one: Mapping[str, Any], other: Mapping[str, Any], place: str, *, sent: bool) -> None:
        before, after = one.get("enum"), other.get("enum")
        if isinstance(after, list) and before != after:
            gone = [value for value in before if value not in after] if isinstance(before, list) else []
            added = [value for value in after if value not in before] if isinstance(before, list) else after
            if gone or not isinstance(before, list):
                text = f"no longer allows {_listed(gone)}" if gone else f"allows only {_listed(after)} now"
                self._add("values-fewer", "breaking" if sent else "compatible", text, place)
            if added and isinstance(before, list):
                self._add(
                    "values-more", "compatible" if sent else "unclear", f"may be {_listed(added)}", place
                )
        if not sent:
            return
        for word, direction in _BOUNDS.items():
            was, now = one.get(word), other.get(word)
            if _narrower(was, now, direction):
                self._add("bound-narrowed", "breaking", f"{word} is {now} now", place)
        if other.get("pattern") not in (None, one.get("pattern")):
            self._add("pattern-changed", "unclear", "has another pattern", place)

    def _members(
        self, one: Mapping[str, Any], other: Mapping[str, Any], place: str, *, sent: bool, depth: int
    ) -> None:
        before, after = (_properties(schema) for schema in (one, other))
        needed, needs = (_required(schema) for schema in (one, other))
        for name, schema in before.items():
            inside = f"{place}.{name}"
            if name not in after:
                closed = other.get("additionalProperties") is False
                effect: Effect = "breaking" if closed or not sent else "unclear"
                self._add("member-removed", effect, "is gone", inside)
                continue
            if sent and name in needs and name not in needed:
                self._add("member-required", "breaking", "is required now", inside)
            if not sent and name in needed and name not in needs:
                self._add("member-optional", "unclear", "may be absent now", inside)
            self._schemas(schema, after[name], inside, sent=sent, depth=depth + 1)
        for name in after:
            if name not in before:
                breaks = sent and name in needs
                text = "is new and required" if breaks else "is new"
                self._add("member-added", "breaking" if breaks else "compatible", text, f"{place}.{name}")


def _or_null(spec: Spec, schema: dict[str, Any]) -> Mapping[str, Any]:
    choices = schema.get("anyOf", schema.get("oneOf"))
    others = [one for one in choices if one != {"type": "null"}] if isinstance(choices, list) else []
    if not choices or len(others) != 1 or len(choices) == 1:
        return schema
    inner = spec.registry.schema(others[0])
    types = _types(inner)
    outside = {word: part for word, part in schema.items() if word not in ("anyOf", "oneOf")}
    return {**inner, **outside, **({"type": [*types, "null"]} if types else {})}


def _shape(path: str) -> str:
    """Return a path without the names of its variables: they are not sent."""
    parts = path.split("{")
    return "{}".join([parts[0], *(part.partition("}")[2] for part in parts[1:])])


def _by_place(operation: Operation) -> dict[tuple[str, str], Parameter]:
    return {(one.location, one.name): one for one in operation.parameters}


def _types(schema: Mapping[str, Any]) -> set[str]:
    said = schema.get("type")
    names = said if isinstance(said, list) else [said]
    found = {name for name in names if isinstance(name, str)}
    return found | {"integer"} if "number" in found else found


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    found = schema.get("properties")
    return (
        {name: one for name, one in found.items() if isinstance(one, dict)} if isinstance(found, dict) else {}
    )


def _required(schema: Mapping[str, Any]) -> set[str]:
    found = schema.get("required")
    return {name for name in found if isinstance(name, str)} if isinstance(found, list) else set()


def _narrower(was: Any, now: Any, direction: int) -> bool:
    """Tell whether a bound allows less than it did; a boolean is draft 4's way to exclude, no bound."""
    if isinstance(now, bool) or not isinstance(now, int | float):
        return False
    return isinstance(was, bool) or not isinstance(was, int | float) or (was - now) * direction > 0


def _listed(values: list[Any]) -> str:
    return ", ".join(str(value)[:40] for value in values[:5]) + (", …" if len(values) > 5 else "")

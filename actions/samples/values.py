"""Makes JSON values that satisfy the schemas of a description.

Pure and bounded: nothing is expanded that is not in the value, recursion is cut where the schema lets it,
and optional parts come only as far as there is room. What the description itself shows (`example`,
`examples`, `default`) is taken where it fits. Where a schema cannot be satisfied the value is the nearest
that was found: it is no promise.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from actions.samples import texts
from actions.samples.fitting import Fitting, Way, listing, mapping, names, types_of
from actions.samples.numbers import make_number
from actions.samples.parts import (
    Cut,
    Parts,
    additional,
    allowed_types,
    counts,
    first_items,
    is_file,
    known_values,
    other_items,
    shown_values,
    with_dependents,
)
from actions.samples.patterns import written
from actions.specs.model import Spec
from actions.validation.texts import matches

MAX_PARTS: Final = 3_000
"""Schemas that one value may be made of; recursion is cut after that."""
ROOM: Final = 300
"""Schemas of one value after which optional parts are left out."""
MAX_DEPTH: Final = 40
OPTIONAL_DEPTH: Final = 8
MAX_ITEMS: Final = 200
MAX_KNOWN: Final = 100
"""Members of an enum that are looked at; some have thousands."""
MAX_ATTEMPTS: Final = 24
"""Combinations of alternatives that are tried for one schema."""


_EMPTY: Final[tuple[Any, ...]] = ({}, [], "")


class Sampler:
    """Makes values for one description.

    `whole` asks for optional parts too. `examples` says whether what the description shows is taken. With
    `files`, what is binary has the shape of a file in arguments.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        way: Way = "request",
        whole: bool = False,
        examples: bool = True,
        files: bool = False,
    ) -> None:
        self._registry = spec.registry
        self._siblings = spec.dialect in ("openapi3.1", "openapi3.2") or spec.dialect.startswith("asyncapi")
        self.fitting = Fitting(spec.registry, siblings=self._siblings, way=way)
        self._whole = whole
        self._examples = examples
        self._files = files
        self._open: set[int] = set()
        self._made = 0
        self._unfit = False  # something was made that does not fit

    def value(self, schema: Any, *, variant: int = 0, least: int = 0) -> Any:
        """Return a value. `variant` tells several of one schema apart; `least` parts if there can be any.

        Raise Cut when there is none.
        """
        self._made = 0
        self._open.clear()
        return self._value([schema], 0, variant, least)

    def _value(self, schemas: Sequence[Any], depth: int, variant: int, least: int = 0) -> Any:
        """Return a value that fits all the schemas."""
        self._made += 1
        if depth > MAX_DEPTH or self._made > MAX_PARTS or any(one is False for one in schemas):
            raise Cut
        entered = {
            id(found) for one in schemas if isinstance(one, dict) and (found := self._registry.schema(one))
        }
        if entered & self._open:  # one of the same schema is being made around this
            raise Cut
        self._open |= entered
        try:
            return self._chosen(schemas, depth, variant, least)
        finally:
            self._open -= entered

    def _chosen(self, schemas: Sequence[Any], depth: int, variant: int, least: int) -> Any:
        """Return a value for the first choice of alternatives that can be made and fits."""
        nearest: list[Any] = []
        for attempt, (parts, chosen) in enumerate(self._resolved(schemas, [])):
            if attempt >= MAX_ATTEMPTS:
                break
            for whole in (True, False) if self._whole and chosen else (self._whole,):
                try:
                    made = self._plain(parts, depth, variant, least, whole=whole)
                except Cut:
                    continue
                if not chosen or self.fitting.fits(made, {"allOf": list(schemas)}):
                    return made
                nearest.append(made)
        if nearest:
            self._unfit = True
            return nearest[0]
        raise Cut

    def _resolved(self, schemas: Sequence[Any], done: list[int]) -> Iterator[tuple[Parts, bool]]:
        """Yield the parts for every choice of alternatives, and whether anything was to choose."""
        parts = self._gathered(schemas)
        for part in parts:
            for keyword in ("oneOf", "anyOf"):
                options = listing(part.get(keyword))
                if not options or id(options) in done:
                    continue
                for option in sorted(options, key=self._is_null):
                    if isinstance(option, dict) and any(
                        one is self._registry.schema(option) for one in parts
                    ):
                        continue  # the base lists its children, and the child its base
                    extra = [option, *self._told_apart(part, option)]
                    for found, _ in self._resolved([*schemas, *extra], [*done, id(options)]):
                        yield found, True
                return
        yield parts, bool(done) or any("not" in part or "if" in part for part in parts)

    def _is_null(self, option: Any) -> bool:
        found = self._registry.schema(option) if isinstance(option, dict) else {}
        return types_of(found) == ("null",) or found.get("enum") == [None] or found.get("const", 0) is None

    def _told_apart(self, part: Mapping[str, Any], option: Any) -> list[Mapping[str, Any]]:
        """Return what the discriminator says of an alternative, as a schema."""
        discriminator = mapping(part.get("discriminator"))
        name = discriminator.get("propertyName")
        ref = option.get("$ref") if isinstance(option, dict) else None
        if not isinstance(name, str) or not isinstance(ref, str):
            return []
        tail = ref.rpartition("/")[2]
        told = [
            key
            for key, target in mapping(discriminator.get("mapping")).items()
            if target == ref or (isinstance(target, str) and target.rpartition("/")[2] == tail)
        ]
        return [{"properties": {name: {"x-told": told[0] if told else tail}}, "required": [name]}]

    def _gathered(self, schemas: Sequence[Any]) -> Parts:
        parts: Parts = []
        seen: set[int] = set()
        stack = list(reversed(schemas))
        while stack:
            schema = stack.pop()
            if not isinstance(schema, dict) or id(schema) in seen:
                continue
            seen.add(id(schema))
            if "$ref" in schema:
                stack.append(self._registry.schema(schema))
                if self._siblings:
                    parts.append({key: part for key, part in schema.items() if key != "$ref"})
                continue
            parts.append(schema)
            stack.extend(reversed(listing(schema.get("allOf"))))
        return parts

    def _plain(self, parts: Parts, depth: int, variant: int, least: int, *, whole: bool) -> Any:
        """Return a value of parts without alternatives: what is shown, else what is made."""
        types = allowed_types(parts)
        known = known_values(parts, types)
        known = [one for one in known[:MAX_KNOWN] if self._fits(one, parts)] or known
        if least:
            known = [one for one in known if one not in _EMPTY] or known
        for value in self._shown(parts, known, variant):
            if known or not (least and value in _EMPTY):
                return value
        if not types:
            raise Cut
        before, self._whole = self._whole, whole
        try:
            return self._typed(parts, types, depth, variant, least)
        finally:
            self._whole = before

    def _shown(self, parts: Parts, known: list[Any], variant: int) -> Iterator[Any]:
        """Yield what the description itself shows, as far as it fits; `known` are all that may be."""
        if known:
            wanted = [one for one in known if one is not None] or known
            shown = [*shown_values(parts)] if self._examples and not variant else []
            yield next((one for one in shown if one in wanted), wanted[variant % len(wanted)])
            return
        told = [part["x-told"] for part in parts if isinstance(part.get("x-told"), str)]
        yield from (one for one in told if self._fits(one, parts))
        if not self._examples or variant or (self._files and is_file(parts)):
            return
        for value in shown_values(parts):
            if value is not None and value != {} and self._fits(value, parts):
                yield value

    def _fits(self, value: Any, parts: Parts) -> bool:
        return self.fitting.fits(value, parts[0] if len(parts) == 1 else {"allOf": parts})

    def _typed(self, parts: Parts, types: Sequence[str], depth: int, variant: int, least: int) -> Any:
        for name in types:
            try:
                if name == "object":
                    return self._object(parts, depth, variant, least)
                if name == "array":
                    return self._list(parts, depth, variant, least)
                if name in ("integer", "number"):
                    return make_number(parts, variant, whole=name == "integer")
                if name == "string":
                    return self._text(parts, variant, least)
                return None if name == "null" else variant % 2 == 0
            except Cut:
                continue
        raise Cut

    def _text(self, parts: Parts, variant: int, least: int) -> Any:
        if self._files and is_file(parts):
            return {"text": texts.text((), (), 1, None, variant), "filename": "sample.txt"}
        shortest = max([least, *counts(parts, "minLength")])
        longest = min(counts(parts, "maxLength"), default=None)
        if longest is not None and longest < shortest:
            raise Cut
        forms = [part["format"] for part in parts if isinstance(part.get("format"), str)]
        expressions = [written(part["pattern"]) for part in parts if isinstance(part.get("pattern"), str)]
        return texts.text(forms, expressions, shortest, longest, variant)

    def _list(self, parts: Parts, depth: int, variant: int, least: int) -> list[Any]:
        shortest, longest = (
            max([0, *counts(parts, "minItems")]),
            min(counts(parts, "maxItems"), default=None),
        )
        firsts = first_items(parts)
        wanted = max(shortest, min(1, MAX_ITEMS), least, len(firsts))
        if longest is not None:
            wanted = min(wanted, longest)
        unique = any(part.get("uniqueItems") is True for part in parts)
        made: list[Any] = []
        for at in range(min(wanted, MAX_ITEMS)):
            try:
                made.append(self._item(parts, firsts, at, depth, variant + at, made if unique else []))
            except Cut:
                if len(made) < shortest:
                    raise
                break
        return made

    def _item(
        self, parts: Parts, firsts: Sequence[Any], at: int, depth: int, variant: int, others: list[Any]
    ) -> Any:
        """Return one item, unlike the others as far as that can be had."""
        if at < len(firsts):
            return self._value([firsts[at]], depth + 1, variant)
        schemas = [other_items(part) for part in parts if other_items(part) is not None] or [
            {"type": "string"}
        ]
        made = None
        for turn in range(8 if others else 1):
            made = self._value(schemas, depth + 1, variant + turn, least=1)
            if made not in others:
                break
        return made

    def _object(self, parts: Parts, depth: int, variant: int, least: int) -> dict[str, Any]:
        declared = dict.fromkeys(name for part in parts for name in mapping(part.get("properties")))
        required = dict.fromkeys(name for part in parts for name in names(part.get("required")))
        fewest = max([least, *counts(parts, "minProperties")])
        most = min(counts(parts, "maxProperties"), default=math.inf)
        made: dict[str, Any] = {}
        for name in with_dependents(parts, required):
            schemas = self._property(parts, name)
            if not any(self.fitting.hidden(one) for one in schemas):
                made[name] = self._value(schemas, depth + 1, variant)
        for name in declared:
            roomy = self._whole and depth < OPTIONAL_DEPTH and self._made < ROOM
            if name in made or len(made) >= most or not (roomy or len(made) < fewest):
                continue
            self._optional(made, parts, name, depth, variant)
        self._others(made, parts, fewest, depth, variant)
        return made

    def _optional(self, made: dict[str, Any], parts: Parts, name: str, depth: int, variant: int) -> None:
        """Add an optional property with what it depends on, unless it cannot be made."""
        adding: dict[str, Any] = {}
        before, self._unfit = self._unfit, False
        try:
            self._depending(adding, made, parts, name, depth, variant)
            if not self._unfit:
                made.update(adding)
        except Cut:
            return
        finally:
            self._unfit = before

    def _depending(
        self, adding: dict[str, Any], made: dict[str, Any], parts: Parts, name: str, depth: int, variant: int
    ) -> None:
        for needed in with_dependents(parts, {name: None}):
            schemas = self._property(parts, needed)
            if needed in made:
                continue
            if any(one is False or self.fitting.hidden(one) for one in schemas):
                raise Cut
            adding[needed] = self._value(schemas, depth + 1, variant)

    def _others(self, made: dict[str, Any], parts: Parts, fewest: int, depth: int, variant: int) -> None:
        """Add properties that are not declared by name: as many as are wanted, one where they are typed."""
        typed = any(
            isinstance(part.get("additionalProperties"), dict) and part["additionalProperties"]
            for part in parts
        ) or any(mapping(part.get("patternProperties")) for part in parts)
        wanted = max(fewest, 1 if typed and self._whole and not made else 0)
        for at in range(wanted * 3):
            if len(made) >= wanted:
                return
            try:
                name = self._name(parts, at, depth)
                schemas = self._property(parts, name)
                if name not in made and not any(one is False for one in schemas):
                    made[name] = self._value(schemas, depth + 1, variant)
            except Cut:
                continue

    def _name(self, parts: Parts, at: int, depth: int) -> str:
        """Return a name for a property that is not declared."""
        rules = [part["propertyNames"] for part in parts if "propertyNames" in part]
        if rules:
            return str(self._value([{"type": "string"}, *rules], depth + 1, at))
        for part in parts:
            for pattern in mapping(part.get("patternProperties")):
                return texts.text((), (pattern,), 1, None, at)
        return f"key{at + 1}"

    def _property(self, parts: Parts, name: str) -> list[Any]:
        """Return all the schemas that a property has to fit; one is False where it may not be."""
        found: list[Any] = []
        others: list[Any] = []
        for part in parts:
            properties = mapping(part.get("properties"))
            here = [properties[name]] if name in properties else []
            here.extend(
                inner
                for pattern, inner in mapping(part.get("patternProperties")).items()
                if matches(pattern, name)
            )
            found.extend(here)
            others.extend([] if here else additional(part))
        # What one part declares, no other forbids (`actions.specs.composing`).
        return [*found, *(one for one in others if one is not False or not found)]

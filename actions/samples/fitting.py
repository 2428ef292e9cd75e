"""Says whether a value fits a schema, well enough to choose between examples and alternatives.

Pure, bounded, and visits only what the value touches: nothing is compiled for schemas that nobody looks at.
It is lenient where a schema is broken. The verdict that counts is that of whoever gets the value.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final, Literal

from actions.samples.patterns import written
from actions.specs.composing import Family, declared_with
from actions.specs.references import Registry
from actions.validation.texts import has_format, matches

MAX_STEPS: Final = 20_000
"""Schemas that one look may visit; after that the value is taken to fit."""
MAX_DEPTH: Final = 60

Way = Literal["request", "answer"]

TYPES: Final[Mapping[str, str]] = {
    "string": "string", "text": "string", "str": "string", "date": "string", "date-time": "string",
    "datetime": "string", "timestamp": "string", "uuid": "string", "file": "string", "binary": "string",
    "integer": "integer", "int": "integer", "int32": "integer", "int64": "integer", "long": "integer",
    "number": "number", "float": "number", "double": "number", "decimal": "number",
    "boolean": "boolean", "bool": "boolean", "array": "array", "list": "array",
    "object": "object", "map": "object", "null": "null",
}  # fmt: skip
"""The types of JSON Schema, and what descriptions write instead. Any other name allows everything."""


def types_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the types that a schema names, as JSON Schema names them; empty: any."""
    declared = schema.get("type")
    if isinstance(declared, str):
        known = TYPES.get(declared.lower())
        return (known,) if known else ()
    if isinstance(declared, list):
        named = [TYPES.get(one.lower()) for one in declared if isinstance(one, str)]
        return tuple(dict.fromkeys(one for one in named if one)) if all(named) else ()
    return ()


def number(value: Any) -> Fraction | None:
    """Return a finite number exactly; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Fraction(str(value)) if math.isfinite(value) else None


def bounds(schema: Mapping[str, Any]) -> tuple[Fraction | None, bool, Fraction | None, bool]:
    """Return lowest, whether it is excluded, highest, whether it is excluded: in both dialects."""
    low, above = _bound(schema, "minimum", "exclusiveMinimum", prefer=max)
    high, below = _bound(schema, "maximum", "exclusiveMaximum", prefer=min)
    return low, above, high, below


def _bound(
    schema: Mapping[str, Any], name: str, exclusive: str, *, prefer: Any
) -> tuple[Fraction | None, bool]:
    plain, outer = number(schema.get(name)), number(schema.get(exclusive))
    if outer is None:
        return plain, plain is not None and schema.get(exclusive) is True
    if plain is None or (plain != outer and prefer(plain, outer) == outer) or plain == outer:
        return outer, True
    return plain, False


def count(value: Any) -> int | None:
    """Return a keyword that counts (`minLength` and the like), None where it does not."""
    found = number(value)
    return None if found is None or found < 0 else int(found)


class Fitting:
    """Looks at values with the schemas of one description.

    `siblings`: whether keywords beside a `$ref` count, as they do since OpenAPI 3.1. In a request nobody has
    to give what is `readOnly`, in an answer what is `writeOnly`.
    """

    def __init__(self, registry: Registry, *, siblings: bool, way: Way = "request") -> None:
        self._registry = registry
        self._siblings = siblings
        self._hidden = "readOnly" if way == "request" else "writeOnly"
        self._steps = 0

    def fits(self, value: Any, schema: Any) -> bool:
        """Say whether a value fits."""
        self._steps = MAX_STEPS
        return self._fits(value, schema, 0, ())

    def hidden(self, schema: Any) -> bool:
        """Say whether a property does not travel this way."""
        if isinstance(schema, dict) and schema.get(self._hidden) is True:
            return True
        return self._registry.schema(schema).get(self._hidden) is True

    def _fits(self, value: Any, schema: Any, depth: int, family: Family) -> bool:
        self._steps -= 1
        if schema is False:
            return False
        if not isinstance(schema, dict) or self._steps <= 0 or depth > MAX_DEPTH:
            return True
        if "$ref" in schema:
            beside = {key: part for key, part in schema.items() if key != "$ref"} if self._siblings else {}
            target = self._registry.schema(schema)
            return self._fits(value, target, depth + 1, family) and (
                not beside or self._fits(value, beside, depth + 1, family)
            )
        if value is None and (schema.get("nullable") is True or schema.get("x-nullable") is True):
            return True
        return (
            self._right_kind(value, schema)
            and self._right_parts(value, schema, depth, family)
            and self._right_choices(value, schema, depth, family)
        )

    def _right_kind(self, value: Any, schema: Mapping[str, Any]) -> bool:
        types = types_of(schema)
        if types and not any(is_type(value, name) for name in types):
            return False
        if "const" in schema and not same(value, schema["const"]):
            return False
        enum = schema.get("enum")
        if isinstance(enum, list) and enum and not (value in enum or any(_meant(value, one) for one in enum)):
            return False  # `in` first: some have thousands of members
        if isinstance(value, str):
            return _right_text(value, schema)
        found = number(value)
        return found is None or _right_number(found, schema)

    def _right_parts(self, value: Any, schema: Mapping[str, Any], depth: int, family: Family) -> bool:
        if isinstance(value, dict):
            return self._right_object(value, schema, depth, family)
        if isinstance(value, list):
            return self._right_list(value, schema, depth)
        return True

    def _right_object(
        self, value: Mapping[str, Any], schema: Mapping[str, Any], depth: int, family: Family
    ) -> bool:
        properties = mapping(schema.get("properties"))
        required = names(schema.get("required"))
        if any(name not in value and not self.hidden(properties.get(name)) for name in required):
            return False
        least, most = count(schema.get("minProperties")), count(schema.get("maxProperties"))
        if (least is not None and len(value) < least) or (most is not None and len(value) > most):
            return False
        patterns = mapping(schema.get("patternProperties"))
        other = schema.get("additionalProperties", True)
        for name, part in value.items():
            found = [properties[name]] if name in properties else []
            found.extend(inner for pattern, inner in patterns.items() if matches(pattern, name))
            if other is False and not found and name in declared_with(self._registry, schema, family):
                continue
            if not all(self._fits(part, inner, depth + 1, ()) for inner in found or [other]):
                return False
            if "propertyNames" in schema and not self._fits(name, schema["propertyNames"], depth + 1, ()):
                return False
        needs = {**mapping(schema.get("dependentRequired")), **mapping(schema.get("dependencies"))}
        for name, wanted in needs.items():
            if name in value and any(one not in value for one in names(wanted)):
                return False
        return True

    def _right_list(self, value: list[Any], schema: Mapping[str, Any], depth: int) -> bool:
        least, most = count(schema.get("minItems")), count(schema.get("maxItems"))
        if (least is not None and len(value) < least) or (most is not None and len(value) > most):
            return False
        if schema.get("uniqueItems") is True and len({repr(one) for one in value}) < len(value):
            return False
        items = schema.get("items", True)
        prefix = schema.get("prefixItems", items if isinstance(items, list) else [])
        first = prefix if isinstance(prefix, list) else []
        rest = schema.get("additionalItems", True) if isinstance(items, list) else items
        return all(
            self._fits(one, first[at] if at < len(first) else rest, depth + 1, ())
            for at, one in enumerate(value)
        )

    def _right_choices(self, value: Any, schema: Mapping[str, Any], depth: int, family: Family) -> bool:
        inner = (*family, schema)
        if not all(self._fits(value, part, depth + 1, inner) for part in listing(schema.get("allOf"))):
            return False
        anyof, oneof = listing(schema.get("anyOf")), listing(schema.get("oneOf"))
        if anyof and not any(self._fits(value, part, depth + 1, inner) for part in anyof):
            return False
        if oneof and sum(self._fits(value, part, depth + 1, inner) for part in oneof) != 1:
            return False
        if (
            "not" in schema
            and isinstance(schema["not"], dict | bool)
            and self._fits(value, schema["not"], depth + 1, ())
        ):
            return False
        if "if" not in schema:
            return True
        chosen = schema.get("then" if self._fits(value, schema["if"], depth + 1, ()) else "else", True)
        return self._fits(value, chosen, depth + 1, ())


def is_type(value: Any, name: str) -> bool:
    """Say whether a value is of a type of JSON Schema."""
    if name == "integer":
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return whole and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, _PYTHON[name])


_PYTHON: Final[dict[str, type]] = {
    "string": str, "boolean": bool, "array": list, "object": dict, "null": type(None),
}  # fmt: skip


def same(one: Any, other: Any) -> bool:
    """Say whether two JSON values are equal: 1 is 1.0, and no boolean is a number."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _meant(value: Any, one: Any) -> bool:
    """Say whether a value is one of an enum: quotes around numbers do not count."""
    return same(value, one) or (
        isinstance(value, str) is not isinstance(one, str) and str(value).lower() == str(one).lower()
    )


def _right_text(value: str, schema: Mapping[str, Any]) -> bool:
    least, most = count(schema.get("minLength")), count(schema.get("maxLength"))
    if (least is not None and len(value) < least) or (most is not None and len(value) > most):
        return False
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not matches(written(pattern), value):
        return False
    form = schema.get("format")
    return not isinstance(form, str) or has_format({"url": "uri"}.get(form, form), value)


def _right_number(value: Fraction, schema: Mapping[str, Any]) -> bool:
    low, above, high, below = bounds(schema)
    if low is not None and (value < low or (above and value == low)):
        return False
    if high is not None and (value > high or (below and value == high)):
        return False
    step = number(schema.get("multipleOf"))
    return not step or value % step == 0


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def listing(value: Any) -> list[Any]:
    """Return a JSON array, anything else as an empty one."""
    return value if isinstance(value, list) else []


def names(value: Any) -> list[str]:
    """Return the texts of a JSON array."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []

"""Rewrites the schemas of any dialect into the words of OpenAPI 3.1, and gives what they refer to a name.

Unlike `actions.validation.dialects`, which keeps what constrains a value, this keeps what people and other
tools read, too: titles, examples, hints, `x-…`. Both mean the same by every word. References stay references:
what one leads to is rewritten once and stands among the components; nothing is inlined, cycles stay cycles.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from actions.specs.references import Registry, Unresolved
from actions.validation import words

OLD: Final = frozenset({"swagger2", "openapi3.0"})
"""Dialects made from draft 4: words of later drafts, and those beside a reference, mean nothing there."""
NEWER: Final = frozenset(
    {
        "const", "contains", "propertyNames", "if", "then", "else", "prefixItems", "minContains",
        "maxContains", "dependentSchemas", "dependentRequired", "dependencies", "unevaluatedItems",
        "unevaluatedProperties",
    }
)  # fmt: skip
COMPONENTS: Final = "#/components/schemas/"

_ONE: Final = frozenset(
    {
        "not", "additionalProperties", "contains", "propertyNames", "if", "then", "else", "unevaluatedItems",
        "unevaluatedProperties", "contentSchema",
    }
)  # fmt: skip
_MANY: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
_HOLDING: Final = _ONE | _MANY | _NAMED | {"items", "additionalItems"}
_TEXTS: Final = frozenset(
    {"title", "description", "format", "pattern", "$comment", "contentEncoding", "contentMediaType"}
)
_FLAGS: Final = frozenset({"readOnly", "writeOnly", "deprecated", "uniqueItems"})
_NOTES: Final = frozenset(
    {
        "title", "description", "default", "example", "examples", "readOnly", "writeOnly", "deprecated",
        "xml", "externalDocs", "$comment",
    }
)  # fmt: skip
"""Words that constrain nothing: they may stand beside a reference without changing what is allowed."""
_GONE: Final = frozenset(
    {
        "$id", "id", "$schema", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$vocabulary",
        "$recursiveAnchor", "$defs", "definitions", "nullable", "x-nullable", "additionalItems", "minimum",
        "maximum", "exclusiveMinimum", "exclusiveMaximum", "type", "$ref",
    }
)  # fmt: skip
"""Words that are said in another way, or only helped references to find their schema."""
_MIXED: Final = frozenset({"$ref", "allOf", "anyOf", "oneOf", "not", "if", "const"})
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_LOOKS_LIKE_REF: Final = re.compile(r"#/|[./].*/|.*\.(?:json|ya?ml)(?:#|$)", re.IGNORECASE)


class Modern:
    """The schemas of one description in the words of 3.1; `schemas` are those with a name, as far as made."""

    def __init__(self, registry: Registry, dialect: str) -> None:
        self._registry = registry
        self._old = dialect in OLD
        self._refs: dict[str, str] = {}  # reference → name
        self._targets: dict[int, str] = {}  # what it leads to → name
        self._known: dict[int, tuple[Any, Any]] = {}  # a schema and what was made of it
        self._waiting: list[tuple[str, Any]] = []
        self.schemas: dict[str, Any] = {}
        self.unresolved: dict[str, str] = {}
        """Names of schemas that a reference leads to that are not there, with the reason."""

    def library(self, refs: Iterable[str]) -> None:
        """Give the schemas that the description itself names their own names, before all others."""
        for ref in refs:
            self.reference(ref)

    def finish(self) -> None:
        """Rewrite everything that is referred to."""
        while self._waiting:
            name, value = self._waiting.pop()
            self.schemas[name] = self.schema(value)

    def reference(self, ref: str) -> str:
        """Return a reference as it is in the export."""
        name = self._refs.get(ref)
        if name is None:
            name = self._refs[ref] = self._name(ref)
        return COMPONENTS + name

    def _name(self, ref: str) -> str:
        stem = _UNSAFE.sub(
            "_", unquote(ref).rpartition("/")[2].partition("#")[2] or unquote(ref).rpartition("/")[2]
        )
        try:
            target = self._registry.resolve(ref)
            self._registry.follow(target)  # a chain that leads back to itself is no schema
        except Unresolved as reason:
            name = self._free(stem)
            self.unresolved[name] = str(reason)
            self.schemas[name] = {"description": str(reason), "x-pointsman-unresolved": str(reason)}
            return name
        known = self._targets.get(id(target))
        if known is not None and isinstance(target, dict):
            return known
        name = self._free(stem)
        self._targets[id(target)] = name
        self.schemas[name] = True  # taken
        self._waiting.append((name, target))
        return name

    def _free(self, stem: str) -> str:
        stem = stem.strip("_") or "schema"
        name, count = stem, 1
        while name in self.schemas:
            count += 1
            name = f"{stem}_{count}"
        return name

    def schema(self, node: Any) -> Any:
        """Return a schema in the words of 3.1; what is none allows anything."""
        if not isinstance(node, dict):
            return node if isinstance(node, bool) else {}
        if id(node) not in self._known:
            self._make(node)
        return self._known[id(node)][1]

    def _make(self, node: Mapping[str, Any]) -> None:
        """Make what a schema holds before itself, so that depth cannot exhaust the stack."""
        stack: list[Mapping[str, Any]] = [node]
        opened: set[int] = set()
        while stack:
            one = stack[-1]
            if id(one) in opened or id(one) in self._known:
                stack.pop()
                if id(one) not in self._known:
                    self._known[id(one)] = (one, self._made(one))
            else:
                opened.add(id(one))
                stack.extend(_inside(one))

    def _made(self, node: Mapping[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        quiet = self._old and "$ref" in node
        if isinstance(node.get("$ref"), str):
            made["$ref"] = self.reference(node["$ref"])
        if not quiet:
            self._type(node, made)
            made |= _limits(node)
        for word, value in node.items():
            if word in _GONE or (self._old and word in NEWER):
                continue
            if quiet and word not in _NOTES and not word.startswith("x-"):
                continue
            self._word(word, value, node, made)
        nullable = node.get("nullable") is True or node.get("x-nullable") is True
        return with_null(made) if nullable else made

    def _type(self, node: Mapping[str, Any], made: dict[str, Any]) -> None:
        declared = node.get("type")
        if declared == "file":
            made |= {"type": "string", "format": "binary"}
        elif declared is not None:
            known = words.types(declared)
            if known:
                made["type"] = known[0] if len(known) == 1 else known
            elif known is None:
                made["x-type"] = declared

    def _word(self, word: str, value: Any, node: Mapping[str, Any], made: dict[str, Any]) -> None:
        if word in _ONE:
            if isinstance(value, dict | bool):
                made[word] = self.schema(value)
        elif word in _MANY:
            self._parts(word, value, made)
        elif word in _NAMED:
            if isinstance(value, dict):
                made[word] = {name: self.schema(part) for name, part in value.items()}
        elif word == "items":
            self._items(node, made)
        elif word in self._SPECIAL:
            self._SPECIAL[word](self, value, made)
        else:
            _plain(word, value, made)

    def _parts(self, word: str, value: Any, made: dict[str, Any]) -> None:
        parts = (
            [self.schema(one) for one in value if isinstance(one, dict | bool)]
            if isinstance(value, list)
            else []
        )
        if parts:
            made[word] = parts

    def _items(self, node: Mapping[str, Any], made: dict[str, Any]) -> None:
        """Say `items`, which was a list for the first members before 2020-12."""
        value = node["items"]
        if isinstance(value, dict | bool):
            made["items"] = self.schema(value)
        elif isinstance(value, list):
            self._parts("prefixItems", value, made)
            rest = node.get("additionalItems")
            if "prefixItems" in made and isinstance(rest, dict | bool):
                made["items"] = self.schema(rest)

    def _enum(self, value: Any, made: dict[str, Any]) -> None:
        if isinstance(value, list) and value:
            made["enum"] = value

    def _required(self, value: Any, made: dict[str, Any]) -> None:
        names = [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
        if names:
            made["required"] = list(dict.fromkeys(names))

    def _examples(self, value: Any, made: dict[str, Any]) -> None:
        made["examples" if isinstance(value, list) else "x-examples"] = value

    def _xml(self, value: Any, made: dict[str, Any]) -> None:
        if isinstance(value, dict):
            made["xml"] = value

    def _docs(self, value: Any, made: dict[str, Any]) -> None:
        if isinstance(value, dict) and isinstance(value.get("url"), str):
            made["externalDocs"] = value

    def _discriminator(self, value: Any, made: dict[str, Any]) -> None:
        """Say which property tells alternatives apart; Swagger 2 gives its name alone."""
        if isinstance(value, str):
            made["discriminator"] = {"propertyName": value}
        elif isinstance(value, dict) and isinstance(value.get("propertyName"), str):
            mapping = value.get("mapping")
            said = {key: one for key, one in value.items() if key != "mapping"}
            if isinstance(mapping, dict):
                targets = {name: self._target(one) for name, one in mapping.items() if isinstance(one, str)}
                said["mapping"] = targets
            made["discriminator"] = said

    def _target(self, target: str) -> str:
        """Return what a mapping says: a reference, or the name of a schema."""
        ref = target if _LOOKS_LIKE_REF.match(target) else COMPONENTS + target
        try:
            self._registry.resolve(ref)
        except Unresolved:
            return target
        return self.reference(ref)

    _SPECIAL: Final[Mapping[str, Callable[["Modern", Any, dict[str, Any]], None]]] = {
        "enum": _enum,
        "required": _required,
        "examples": _examples,
        "xml": _xml,
        "externalDocs": _docs,
        "discriminator": _discriminator,
    }


def _inside(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the schemas that stand in one."""
    for word, value in node.items():
        if word not in _HOLDING:
            continue
        if isinstance(value, list):
            parts: Iterable[Any] = value
        elif isinstance(value, dict):
            parts = value.values() if word in _NAMED else (value,)
        else:
            continue
        yield from (part for part in parts if isinstance(part, dict))


def _plain(word: str, value: Any, made: dict[str, Any]) -> None:
    """Take over a word whose value is no schema; what means nothing there is left out."""
    if word in words.PLAIN:
        name, meaning = words.PLAIN[word]
        found = meaning(value)
        if found is not None:
            made[name] = found
    elif word in _TEXTS:
        if isinstance(value, str):
            made.setdefault(word, value)
    elif word not in _FLAGS or isinstance(value, bool):
        made[word] = value


def _limits(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bounds of a number; in draft 4 `true` made the bound itself exclusive."""
    made: dict[str, Any] = {}
    for word, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        bound, strict = node.get(word), node.get(exclusive)
        if words.is_number(bound):
            made[exclusive if strict is True else word] = bound
        if words.is_number(strict):
            made[exclusive] = strict
    return made


def with_null(made: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of 3.1 that allows null too, the words for people where they were."""
    if not _MIXED & made.keys():
        allowed = dict(made)
        if isinstance(made.get("type"), str):
            allowed["type"] = [made["type"], "null"] if made["type"] != "null" else "null"
        elif isinstance(made.get("type"), list) and "null" not in made["type"]:
            allowed["type"] = [*made["type"], "null"]
        if "enum" in made and None not in made["enum"]:
            allowed["enum"] = [*made["enum"], None]
        return allowed
    notes = {word: value for word, value in made.items() if word in _NOTES or word.startswith("x-")}
    inner = {word: value for word, value in made.items() if word not in notes}
    return {**notes, "anyOf": [inner, {"type": "null"}]}

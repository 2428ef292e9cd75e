"""Rewrites the schemas of any description into one sound JSON Schema, draft 2020-12.

Swagger 2.0, OpenAPI 3.0, 3.1 and AsyncAPI each speak a dialect, and real descriptions speak none of them
well. The rewriting says the same thing in the words of 2020-12, keeps only what constrains a value, and drops
what is malformed with a note, so that the rest still counts. References stay references: what they reach is
rewritten once for all schemas of the description. Nothing here validates, and nothing is ever fetched.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from actions.specs.composing import COMPOSED, Family, declared_with, is_closed
from actions.specs.references import Registry, Unresolved
from actions.validation import words
from actions.validation.words import FILE, FORMATS, PLAIN, shown

_OLD: Final = frozenset({"swagger2", "openapi3.0"})
"""Dialects made from draft 4: the words of later drafts mean nothing there."""
_NEWER: Final = frozenset(
    {
        "const", "contains", "propertyNames", "if", "then", "else", "prefixItems", "minContains",
        "maxContains", "dependentSchemas", "dependentRequired", "dependencies", "unevaluatedItems",
        "unevaluatedProperties",
    }
)  # fmt: skip
_SCHEMAS: Final = frozenset(
    {
        "not", "additionalProperties", "contains", "propertyNames", "if", "then", "else", "unevaluatedItems",
        "unevaluatedProperties",
    }
)  # fmt: skip
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
_SHAPES: Final = ("properties", "type", "$ref", "allOf", "anyOf", "oneOf", "items", "format", "enum")
_PROSE: Final = frozenset(
    {"title", "description", "$comment", "example", "examples", "default", "deprecated", "externalDocs"}
)
_DELIMITED: Final = re.compile(r"/(\^.*\$)/[a-z]*", re.DOTALL)
_MAX_NOTES: Final = 100
_MAX_UNFOLDED: Final = 500
"""References of one schema that are replaced by the closed schemas that they lead to."""

Schema = dict[str, Any] | bool
Slot = tuple[Any, Any, Any, Family]
"""A schema still to be rewritten: it, where the result goes (container and key), and what it is a part of."""


class Rewriter:
    """Rewrites schemas of one description for one purpose.

    `answers` says which side speaks: what is `readOnly` is not required of a request, what is `writeOnly` not
    of an answer. `files` allows a file wherever a binary string stands. `fills`: what has a default is filled
    in before it is sent, so that nobody has to give it. `usable` says whether a regular expression can be
    used.
    """

    def __init__(
        self,
        registry: Registry,
        dialect: str,
        usable: Callable[[str], bool],
        *,
        answers: bool = False,
        files: bool = False,
        fills: bool = False,
    ) -> None:
        self._registry = registry
        self._ignored = _NEWER if dialect in _OLD else frozenset[str]()
        self._siblings = dialect not in _OLD
        self._usable = usable
        self._hidden = "writeOnly" if answers else "readOnly"
        self._files = files
        self._fills = fills
        self._names: dict[str, str] = {}
        self._defs: dict[str, Schema] = {}
        self._uses: dict[str, frozenset[str]] = {}
        self._dropped: dict[str, tuple[str, ...]] = {}
        self._used: set[str] = set()
        self._closings: dict[str, bool] = {}
        self._unfolded = 0
        self._notes: dict[str, None] = {}

    def rewrite(self, schema: Any) -> tuple[Schema, tuple[str, ...]]:
        """Return the schema with all that it reaches under `$defs`, and what of them was dropped."""
        made = self._whole(schema)
        notes = dict.fromkeys(self._notes)
        waiting = list(self._used)
        seen = set(waiting)
        while waiting:
            ref = waiting.pop()
            if ref not in self._uses:
                self._define(ref)
            notes.update(dict.fromkeys(self._dropped[ref]))
            fresh = self._uses[ref] - seen
            seen |= fresh
            waiting.extend(fresh)
        if not seen or isinstance(made, bool):
            return made, tuple(notes)
        defs = {self._names[ref]: self._defs[self._names[ref]] for ref in sorted(seen)}
        return {**made, "$defs": defs}, tuple(notes)

    def _define(self, ref: str) -> None:
        try:
            made = self._whole(self._registry.resolve(ref))
        except Unresolved as reason:
            made, self._used = {}, set()
            self._notes = {f"a schema {reason}; anything is allowed there": None}
        self._defs[self._names[ref]] = made
        self._uses[ref] = frozenset(self._used)
        self._dropped[ref] = tuple(self._notes)

    def _whole(self, schema: Any) -> Schema:
        """Rewrite a schema and all inside, without what it refers to: that is noted in `_used`."""
        self._used, self._notes, self._unfolded = set(), {}, 0
        root: list[Schema] = [True]
        todo: list[Slot] = [(schema, root, 0, ())]
        while todo:
            node, holder, key, family = todo.pop()
            holder[key] = self._one(node, family, todo)
        return root[0]

    # One schema: what it says, with its parts put on the list of things to do.

    def _one(self, node: Any, family: Family, todo: list[Slot]) -> Schema:
        if not isinstance(node, dict):
            if isinstance(node, bool):
                return node
            self._note(f"a schema is {shown(node)}, not an object; anything is allowed there")
            return True
        made: dict[str, Any] = self._reference(node) if "$ref" in node else {}
        if self._siblings or "$ref" not in node:
            self._words(node, family, made, todo)
        # Said beside a reference it means nothing in 3.0, and is meant all the same.
        nullable = node.get("nullable") is True or node.get("x-nullable") is True
        return words.with_null(made, node) if nullable and made else made

    def _reference(self, node: Mapping[str, Any]) -> dict[str, Any]:
        ref = node["$ref"]
        if not isinstance(ref, str):
            self._note(f"$ref is {shown(ref)}, not text")
            return {}
        name = self._names.setdefault(ref, str(len(self._names)))
        self._used.add(ref)
        return {"$ref": f"#/$defs/{name}"}

    def _words(self, node: Mapping[str, Any], family: Family, made: dict[str, Any], todo: list[Slot]) -> None:
        """Take over the words of a schema, into `made` itself: parts that are still to come go there too."""
        types = self._types(node)
        if self._is_file(node, types):
            made |= FILE
            return
        if types:
            made["type"] = types[0] if len(types) == 1 else types
        for word, value in node.items():
            if word in self._ignored:
                continue
            if word in PLAIN:
                self._plain(word, value, made)
            elif word in _SCHEMAS or word in _LISTS or word in _MAPS:
                self._parts(word, value, made, (*family, node) if word in COMPOSED else (), todo)
            elif word in self._SPECIAL:
                self._SPECIAL[word](self, node, made, todo)
        self._finish(node, made)
        self._close(node, family, made)
        self._required(node, family, made)

    def _unfold(self, part: Any, family: Family) -> Any:
        """Return what a part refers to where it means something of its own here.

        A closed schema does; so does one that requires what a part beside it takes out (`readOnly`).
        """
        if not family or not isinstance(part, dict) or "$ref" not in part:
            return part
        found = self._registry.schema(part)
        if (self._siblings and len(part) > 1) or any(one is found for one in family):
            return part
        ref = str(part["$ref"])
        known = self._closings.get(ref)
        if known is None:
            known = self._closings[ref] = is_closed(self._registry, found)
        known = known or ("required" in found and self._is_hiding(family[-1]))
        self._unfolded += known
        return found if known and self._unfolded <= _MAX_UNFOLDED else part

    def _is_hiding(self, node: Mapping[str, Any]) -> bool:
        """Say whether a schema, or a part that stands right in it, says of a property that it is not sent."""
        parts = node.get("allOf")
        return any(
            isinstance(declared, dict) and declared.get(self._hidden) is True
            for one in (node, *(parts if isinstance(parts, list) else ()))
            if isinstance(one, dict) and isinstance(one.get("properties"), dict)
            for declared in one["properties"].values()
        )

    def _close(self, node: Mapping[str, Any], family: Family, made: dict[str, Any]) -> None:
        """Let a closed schema know the properties of what it is composed with."""
        if node.get("additionalProperties") is not False:
            return
        if not family and not any(word in node for word in COMPOSED):
            return
        known = made.setdefault("properties", {})
        for name in declared_with(self._registry, node, family):
            known.setdefault(name, True)

    def _finish(self, node: Mapping[str, Any], made: dict[str, Any]) -> None:
        """Take over what several words say together."""
        limits, wrong = words.bounds(node)
        made |= limits
        for word in wrong:
            self._drop(word, node[word])
        if "format" in made and not words.is_meant(made):
            del made["format"]
        if "enum" in made:  # The list is what was thought of; what contradicts it was not.
            for word in words.SCALAR & made.keys():
                del made[word]
        if "oneOf" in made and "anyOf" not in made and not _is_choice(node["oneOf"]):
            made["anyOf"] = made.pop("oneOf")

    def _types(self, node: Mapping[str, Any]) -> list[str]:
        declared = node.get("type")
        if declared is None or declared == "file":
            return []
        known = words.types(declared)
        if known is None:
            self._note(f"type {shown(declared)} is not known; any type is allowed there")
        return known or []

    def _is_file(self, node: Mapping[str, Any], types: list[str]) -> bool:
        if node.get("type") == "file":
            return True
        if not self._files or "string" not in types:
            return False
        unencoded = "contentMediaType" in node and "contentEncoding" not in node
        return node.get("format") == "binary" or unencoded

    def _plain(self, word: str, value: Any, made: dict[str, Any]) -> None:
        name, meaning = PLAIN[word]
        found = meaning(value)
        if found is None:
            self._drop(word, value)
        else:
            made[name] = found

    def _parts(self, word: str, value: Any, made: dict[str, Any], family: Family, todo: list[Slot]) -> None:
        """Take over a word whose value is a schema, a list of them, or a map of them."""
        if word in _SCHEMAS and isinstance(value, dict | bool):
            todo.append((value, made, word, ()))
        elif word in _LISTS and isinstance(value, list):
            parts = [part for part in value if isinstance(part, dict | bool)]
            if len(parts) < len(value) or not parts:
                self._drop(word, value)
            if parts:
                parts = [self._unfold(part, family) for part in parts]
                made[word] = [True] * len(parts)
                todo.extend((part, made[word], index, family) for index, part in enumerate(parts))
        elif word in _MAPS and isinstance(value, dict):
            inner = made[word] = {}
            for name, part in value.items():
                rule = self._regex(name) if word == "patternProperties" else name
                if rule is not None:
                    inner[rule] = True
                    todo.append((part, inner, rule, ()))
        else:
            self._drop(word, value)

    def _items(self, node: Mapping[str, Any], made: dict[str, Any], todo: list[Slot]) -> None:
        """`items` is one schema or, before 2020-12, a list of them for the first members."""
        value = node["items"]
        if isinstance(value, dict | bool):
            todo.append((value, made, "items", ()))
        elif isinstance(value, list) and value:
            self._parts("prefixItems", value, made, (), todo)
            rest = node.get("additionalItems")
            if isinstance(rest, dict | bool):
                todo.append((rest, made, "items", ()))
        else:
            self._drop("items", value)

    def _enum(self, node: Mapping[str, Any], made: dict[str, Any], _: list[Slot]) -> None:
        types = words.types(node.get("type")) or []
        allowed = words.members(node["enum"], types)
        if allowed is None:
            self._drop("enum", node["enum"])
            return
        made["enum"] = allowed
        if types and None in allowed:
            made["type"] = list(dict.fromkeys([*types, "null"]))

    def _pattern(self, node: Mapping[str, Any], made: dict[str, Any], _: list[Slot]) -> None:
        value = node["pattern"]
        rule = self._regex(value) if isinstance(value, str) else None
        if rule is not None:
            made["pattern"] = rule
        elif not isinstance(value, str):
            self._drop("pattern", value)

    def _format(self, node: Mapping[str, Any], made: dict[str, Any], _: list[Slot]) -> None:
        value = node["format"]
        if isinstance(value, str) and value in FORMATS:
            made["format"] = value

    def _const(self, node: Mapping[str, Any], made: dict[str, Any], _: list[Slot]) -> None:
        made["const"] = node["const"]

    _SPECIAL: Final[
        Mapping[str, Callable[["Rewriter", Mapping[str, Any], dict[str, Any], list[Slot]], None]]
    ] = {"items": _items, "enum": _enum, "pattern": _pattern, "format": _format, "const": _const}

    def _required(self, node: Mapping[str, Any], family: Family, made: dict[str, Any]) -> None:
        value = node.get("required")
        if value is None or isinstance(value, bool):  # draft 3 said it of a property itself
            return
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            self._drop("required", value)
        names = [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
        kept = [name for name in dict.fromkeys(names) if not self._is_spared(name, (node, *family))]
        if kept:
            made["required"] = kept

    def _is_spared(self, name: str, nodes: Iterable[Mapping[str, Any]]) -> bool:
        """Say whether a property belongs to the other side or is filled in, whichever part says so."""
        waiting = list(nodes)
        seen: set[int] = set()
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if "$ref" in node:
                waiting.append(self._registry.schema(node))
            properties = node.get("properties")
            declared = properties.get(name) if isinstance(properties, dict) else None
            if isinstance(declared, dict):
                both = (declared, self._registry.schema(declared))
                if any(one.get(self._hidden) is True or (self._fills and "default" in one) for one in both):
                    return True
            for parts in map(node.get, COMPOSED):
                if isinstance(parts, list):
                    waiting.extend(part for part in parts if isinstance(part, dict))
        return False

    def _regex(self, pattern: str) -> str | None:
        """Return a regular expression that can be used, None with a note when it cannot."""
        written = _DELIMITED.fullmatch(pattern)  # `/^x$/` as in PHP: taken literally it never matches
        rule = written[1] if written else pattern
        if self._usable(rule):
            return rule
        self._note(f"the pattern {shown(pattern)} cannot be checked in linear time; it is left out")
        return None

    def _drop(self, word: str, value: Any) -> None:
        self._note(f"{word} is {shown(value)}, which means nothing there; it is left out")

    def _note(self, text: str) -> None:
        if len(self._notes) < _MAX_NOTES:
            self._notes[text if len(text) <= 200 else text[:197] + "…"] = None


def _is_choice(parts: Any) -> bool:
    """Say whether `oneOf` means one and no other: its parts do nothing but demand or forbid.

    Elsewhere descriptions list open objects, which nearly everything fits, and leave the choice to a
    discriminator or to nobody: that several fit is then no fault of the value. Nor is it where parts are
    words for people alone.
    """
    listed = [part for part in parts if isinstance(part, dict)]
    empty = sum(all(word in _PROSE or word.startswith("x-") for word in part) for part in listed)
    return empty < 2 and not any(word in part for part in listed for word in _SHAPES)

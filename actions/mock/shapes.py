"""What a value that travelled as text was: typed by the schema that it is meant for.

Forms, parameters and XML carry text only. "5" is an integer where the schema says so, and text where it says
text. Nothing here judges: what does not fit stays text, and the validator says what is wrong with it.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from actions.specs.references import Registry
from actions.validation.validators import TooDeep, plain

_INTEGER: Final = re.compile(r"-?[0-9]{1,400}(?:\.0+)?")
_NUMBER: Final = re.compile(r"-?[0-9]{1,400}(?:\.[0-9]{1,400})?(?:[eE][-+]?[0-9]{1,3})?")
_WHOLE: Final = re.compile(r"-?[0-9]+")


def _number(text: str) -> int | float | str:
    made = int(text) if _WHOLE.fullmatch(text) else float(text)
    return made if math.isfinite(made) else text


_SPELLINGS: Final[tuple[tuple[str, re.Pattern[str], Callable[[str], Any]], ...]] = (
    ("integer", _INTEGER, lambda text: int(text.partition(".")[0])),
    ("number", _NUMBER, _number),
    ("boolean", re.compile("true|false"), lambda text: text == "true"),
    ("null", re.compile("null|"), lambda _: None),
)
_COMPOSED: Final = ("allOf", "anyOf", "oneOf")
_SCALARS: Final = frozenset({"string", "number", "integer", "boolean", "null"})

Tree = Any
"""Text, or lists and objects of it."""


class View:
    """A schema with all that it is composed of, as somebody sees it who reads text.

    `types` is empty where any type will do.
    """

    def __init__(self, shapes: "Shapes", schemas: tuple[Mapping[str, Any], ...]) -> None:
        self._shapes = shapes
        self.schemas = schemas
        self.types = _types(schemas)
        self._members: dict[str, View] = {}
        self._item: View | None = None

    @property
    def takes_list(self) -> bool:
        """Whether a list is expected."""
        return "array" in self.types

    @property
    def takes_object(self) -> bool:
        """Whether an object is expected."""
        return "object" in self.types

    @property
    def takes_scalar(self) -> bool:
        """Whether text, a number or a boolean will do."""
        return not self.types or bool(self.types & _SCALARS)

    @property
    def takes_only_lists(self) -> bool:
        """Whether nothing but a list is expected, or null, which no text is."""
        return self.takes_list and not self.types & (_SCALARS - {"null"})

    @property
    def names(self) -> dict[str, None]:
        """The declared properties."""
        return {name: None for one in self.schemas for name in _mapping(one.get("properties"))}

    @property
    def required(self) -> set[str]:
        """The properties that have to be there."""
        lists = (one.get("required") for one in self.schemas)
        return {name for names in lists if isinstance(names, list) for name in names if isinstance(name, str)}

    @property
    def is_open(self) -> bool:
        """Whether properties that are not declared may come."""
        return all(one.get("additionalProperties", True) is not False for one in self.schemas)

    def shows(self, value: Any) -> bool:
        """Say whether the description itself gives a value, as a default or an example."""
        return any(
            value == one[word] for one in self.schemas for word in ("default", "example") if word in one
        )

    @property
    def is_binary(self) -> bool:
        """Whether this is the content of a file."""
        return any(
            one.get("type") == "file" or one.get("format") == "binary" or "contentMediaType" in one
            for one in self.schemas
        )

    def member(self, name: str) -> "View":
        """Return what a property is."""
        known = self._members.get(name)
        if known is None:
            found = [
                properties[name]
                for one in self.schemas
                if name in (properties := _mapping(one.get("properties")))
            ] or [one["additionalProperties"] for one in self.schemas if "additionalProperties" in one]
            known = self._members[name] = self._shapes.view(*found)
        return known

    def item(self) -> "View":
        """Return what the members of a list are."""
        if self._item is None:
            found = (one["items"] for one in self.schemas if isinstance(one.get("items"), dict))
            self._item = self._shapes.view(*found)
        return self._item

    def typed(self, tree: Tree, *, as_text: bool = False) -> Any:
        """Return a tree of text as a value; `as_text` keeps text wherever text is allowed."""
        if isinstance(tree, str):
            return self._scalar(tree, as_text) if self.takes_scalar else self._nested(tree, as_text)
        if isinstance(tree, list):
            return [self.item().typed(one, as_text=as_text) for one in tree]
        if isinstance(tree, dict):
            numbered = _numbered(tree) if self.takes_list and not self.takes_object else None
            if numbered is not None:
                return [self.item().typed(one, as_text=as_text) for one in numbered]
            return {name: self.member(name).typed(one, as_text=as_text) for name, one in tree.items()}
        return tree

    def _nested(self, text: str, as_text: bool) -> Any:
        """What is nested has no style of its own: many write it as JSON. A list may have one member."""
        inner = nested_json(text)
        if inner is None and not self.takes_object:
            return [self.item().typed(text, as_text=as_text)]
        return text if inner is None else inner

    def _scalar(self, text: str, as_text: bool) -> Any:
        if not self.types:
            return text if as_text else self._listed(text)
        if "string" in self.types and (as_text or len(self.types - {"null"}) == 1):
            return text
        for name, spelling, convert in _SPELLINGS:
            if name in self.types and spelling.fullmatch(text):
                return convert(text)
        return text

    def _listed(self, text: str) -> Any:
        """Return the member of an untyped enum that is written like this."""
        for one in self.schemas:
            listed = one.get("enum")
            for member in listed if isinstance(listed, list) else ():
                if isinstance(member, bool):
                    if text == str(member).lower():
                        return member
                elif isinstance(member, int | float) and text == str(member):
                    return member
        return text


def nested_json(text: str) -> Any:
    """Return the list or object that a text is the JSON of, else None."""
    if text[:1] not in ("[", "{"):
        return None
    try:
        return plain(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeError, RecursionError, TooDeep):
        return None


class Shapes:
    """Makes views of the schemas of one description, each once."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        # The schema is kept beside its view, so that its id stays its own.
        self._known: dict[int, tuple[Any, View]] = {}

    def view(self, *schemas: Any) -> View:
        """Return the view of a value that all of these describe."""
        if len(schemas) == 1:
            known = self._known.get(id(schemas[0]))
            if known is None:
                known = (schemas[0], View(self, self._flat(schemas)))
                self._known[id(schemas[0])] = known
            return known[1]
        return View(self, self._flat(schemas))

    def _flat(self, schemas: Iterable[Any]) -> tuple[Mapping[str, Any], ...]:
        """Return the schemas behind references, with those that they are composed of; each once."""
        waiting = list(schemas)
        found: dict[int, Mapping[str, Any]] = {}
        while waiting:
            given = waiting.pop(0)
            schema = self._registry.schema(given)
            if id(schema) in found or not schema:
                continue
            found[id(schema)] = schema
            if isinstance(given, dict) and given is not schema:
                found[id(given)] = given  # in 3.1 words may stand beside a reference
            for word in _COMPOSED:
                parts = schema.get(word)
                if isinstance(parts, list):
                    waiting.extend(part for part in parts if isinstance(part, dict))
        return tuple(found.values())


def _types(schemas: tuple[Mapping[str, Any], ...]) -> frozenset[str]:
    names: set[str] = set()
    for one in schemas:
        declared = one.get("type")
        listed = declared if isinstance(declared, list) else [declared]
        names.update(name for name in listed if isinstance(name, str))
        if declared is None and _mapping(one.get("properties")):
            names.add("object")
        if declared is None and "items" in one:
            names.add("array")
        if one.get("nullable") is True or one.get("x-nullable") is True:
            names.add("null")
    if "file" in names:
        names.add("string")
    known = names & (_SCALARS | {"array", "object"})
    return frozenset() if known == {"null"} else frozenset(known)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _numbered(tree: Mapping[str, Tree]) -> list[Tree] | None:
    """Return the members of a list that was written as `[0]`, `[1]` …; None when it was not."""
    if not all(name.isascii() and name.isdigit() and len(name) < 7 for name in tree):
        return None
    return [tree[name] for name in sorted(tree, key=int)]

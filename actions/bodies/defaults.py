"""What a description wants sent whether somebody gives it or not: the defaults of objects.

Pure. A property with a default is filled in where it is required, or where it is `internal`
(x-ms-visibility): nobody is asked for that one. A default is sent as it is written, even one of the wrong
type. An object that was not given is not made, save the body itself.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from actions.arguments import ABSENT, opened
from actions.bodies.schemas import items, parts
from actions.specs.references import Registry

Tree = dict[str, tuple[Any, "Tree"]]
"""Properties by name: the default (or ABSENT), and what is to be filled in inside; cyclic as the schema."""


def is_internal(extensions: Mapping[str, Any]) -> bool:
    """Say whether people never see this input, by the extensions beside it."""
    return "internal" in (extensions.get("x-ms-visibility"), extensions.get("x-ms-visibilty"))


class Defaults:
    """Finds what has to be filled in, through references, `allOf` and arrays; each schema is read once."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[int, tuple[Any, Tree]] = {}  # with the schema, which keeps its identity taken

    def tree(self, schema: Any) -> Tree:
        """Return what has to be filled in where an object of this schema lacks it."""
        root = self._registry.schema(schema)
        users: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
        waiting = [root]
        while waiting:
            one = waiting.pop()
            if id(one) in self._known:
                continue
            tree: Tree = {}
            self._known[id(one)] = (one, tree)
            for name, inner, required in self._properties(one):
                if inner.get("readOnly") is True:
                    continue
                target = self._members(inner)
                if required or is_internal(inner):
                    default = inner.get("default", ABSENT)
                    if default is not ABSENT:
                        tree[name] = (default, {})
                if target:
                    users[id(target)].append((id(one), name))
                    waiting.append(target)
        self._connect(users)
        return self._known[id(root)][1]

    def _connect(self, users: Mapping[int, list[tuple[int, str]]]) -> None:
        """Tell every object of what has to be filled in inside of its members."""
        waiting = [target for target in users if self._known[target][1]]
        while waiting:
            target = waiting.pop()
            below = self._known[target][1]
            for user, name in users.get(target, ()):
                tree = self._known[user][1]
                if not tree:
                    waiting.append(user)
                tree[name] = (tree[name][0] if name in tree else ABSENT, below)

    def of(self, schema: Any) -> Any:
        """Return the object that the defaults alone make, ABSENT when something required has none."""
        tree = self.tree(schema)
        made: dict[str, Any] = {}
        for name, _, required in self._properties(self._registry.schema(schema)):
            default = tree[name][0] if name in tree else ABSENT
            if default is not ABSENT:
                made[name] = default
            elif required:
                return ABSENT
        return made or ABSENT

    def _properties(self, schema: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], bool]]:
        required: dict[str, None] = {}
        properties: dict[str, Any] = {}
        for part in parts(schema, self._registry, ("allOf",)):
            listed, declared = part.get("required"), part.get("properties")
            if isinstance(listed, list):
                required.update((name, None) for name in listed if isinstance(name, str))
            if isinstance(declared, dict):
                properties.update(declared)
        for name in {**required, **properties}:
            yield name, self._registry.schema(properties.get(name, {})), name in required

    def _members(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of the objects in a list (of lists) of them, itself where it is no list."""
        for _ in range(8):
            inner = (
                items(schema, self._registry) if schema.get("type") == "array" or "items" in schema else {}
            )
            if not inner:
                break
            schema = self._registry.schema(inner)
        return schema


_KNOWN: WeakKeyDictionary[Registry, Defaults] = WeakKeyDictionary()


def defaults_of(registry: Registry) -> Defaults:
    """Return the defaults of a description: its operations share most of their schemas."""
    if registry not in _KNOWN:
        _KNOWN[registry] = Defaults(registry)
    return _KNOWN[registry]


def filled(value: Any, tree: Tree) -> Any:
    """Return an object, or the objects of a list, with the defaults; what was given is not changed."""
    value = opened(value)
    if isinstance(value, list | tuple):
        return [filled(one, tree) for one in value]
    if not isinstance(value, dict):
        return value
    made = dict(value)
    for name, (default, below) in tree.items():
        if name not in made:
            if default is not ABSENT:
                made[name] = default
        elif below:
            made[name] = filled(made[name], below)
    return made

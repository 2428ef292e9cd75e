"""Where in an operation something dynamic is declared, and which argument a name means. Pure.

A pointer leads into the arguments (`/projectId`, `/body/items/*/sku`; `*` for any item), or, without a slash
in front, into what comes back: `200/…` for an answer, `notification/…` for what a trigger brings.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

from actions.specs.events import escape
from actions.specs.model import Body, Operation, Parameter, Schema, Spec
from actions.specs.references import Registry

KINDS: Final = (
    "x-ms-dynamic-tree",
    "x-ms-dynamic-list",
    "x-ms-dynamic-values",
    "x-ms-dynamic-properties",
    "x-ms-dynamic-schema",
)
"""In the order of preference: of twins, the one whose references are plain."""

MAX_PLACES: Final = 10_000
"""Schemas that are looked at for one operation."""
MAX_DEPTH: Final = 24

Path = tuple[str, ...]


def declared(holder: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Return the kind and the value of what is dynamic in an object, the preferred one of several."""
    for kind in KINDS:
        value = holder.get(kind)
        if isinstance(value, Mapping) and value:
            return kind, value
    return None


def places(spec: Spec, operation: Operation) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return everything dynamic of an operation by its pointer."""
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    walk = _Walk(spec.registry)
    for one in operation.parameters:
        pointer = "/" + "/".join(map(escape, parameter_path(operation, one)))
        _keep(found, pointer, one.extras)
        for place, holder in walk.schema(one.schema, pointer):
            _keep(found, place, holder)
    _keep_body(found, walk, operation.body, "/body")
    for status, response in operation.responses.items():
        _keep(found, status, response.extras)
        for media in response.media:
            for place, holder in walk.schema(media.schema, status):
                _keep(found, place, holder)
    for trigger in spec.triggers.values():
        if trigger.operation == operation.id:
            _keep_body(found, walk, trigger.body, "notification")
    return found


def parameter_path(operation: Operation, one: Parameter) -> Path:
    """Return where a parameter stands in the arguments of its operation."""
    return (one.location, one.name) if operation.grouped else (one.name,)


def input_path(spec: Spec, operation: Operation, name: str) -> Path | None:
    """Return where in the arguments the thing stands that a name means; None where there is none.

    The name is that of a parameter, else a path that begins with the body's name (`body/appId`), else that of
    a property of the body: the one nearest to its top.
    """
    for same in (str, str.lower):
        for one in operation.parameters:
            if same(one.name) == same(name):
                return parameter_path(operation, one)
    body = operation.body
    steps = [step.replace("~1", "/").replace("~0", "~") for step in name.strip("/").split("/")]
    for one in operation.parameters:
        if len(steps) > 1 and one.name == steps[0]:
            return (*parameter_path(operation, one), *steps[1:])
    if body is None:
        return None
    if steps[0] in {"body", body.extras.get("name")}:
        return ("body", *steps[1:])
    within = _property(spec.registry, body, steps)
    return None if within is None else ("body", *within)


def required(spec: Spec, operation: Operation, path: Path) -> bool:
    """Say whether the parameter at a path must be given, since nothing else fills it."""
    for one in operation.parameters:
        if parameter_path(operation, one) == path:
            return one.required and "default" not in spec.registry.schema(one.schema)
    return False


def look(value: Any, path: Path) -> Any:
    """Return what stands at a path of arguments, None where nothing does."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


class _Walk:
    """Walks schemas without following a circle, and not without end."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._left = MAX_PLACES

    def schema(
        self, schema: Schema, pointer: str, refs: frozenset[str] = frozenset(), depth: int = 0
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield every schema object with its pointer."""
        if not isinstance(schema, Mapping) or self._left <= 0 or depth > MAX_DEPTH:
            return
        self._left -= 1
        yield pointer, schema
        ref = schema.get("$ref")
        if isinstance(ref, str):
            if ref not in refs:
                target = self._registry.schema(schema)
                yield from self.schema(target, pointer, refs | {ref}, depth + 1)
            return
        for place, inner in _children(schema, pointer):
            yield from self.schema(inner, place, refs, depth + 1)


def _children(schema: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, Any]]:
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        for name, inner in properties.items():
            yield f"{pointer}/{escape(str(name))}", inner
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            yield f"{pointer}/*", schema[key]
    for key in ("allOf", "anyOf", "oneOf"):
        members = schema.get(key)
        for inner in members if isinstance(members, list) else ():
            yield pointer, inner


def _keep(found: dict[str, tuple[str, Mapping[str, Any]]], pointer: str, holder: Mapping[str, Any]) -> None:
    one = declared(holder)
    if one is not None:
        found.setdefault(pointer, one)


def _keep_body(
    found: dict[str, tuple[str, Mapping[str, Any]]], walk: _Walk, body: Body | None, pointer: str
) -> None:
    if body is None:
        return
    _keep(found, pointer, body.extras)
    for media in body.media:
        for place, holder in walk.schema(media.schema, pointer):
            _keep(found, place, holder)


def _property(registry: Registry, body: Body, steps: list[str]) -> Path | None:
    """Return the path of a property of a body that ends in these steps, the nearest to the top."""
    queue: deque[tuple[Any, Path]] = deque((media.schema, ()) for media in body.media)
    seen = 0
    while queue and seen < MAX_PLACES:
        schema, path = queue.popleft()
        seen += 1
        if not isinstance(schema, Mapping) or len(path) > MAX_DEPTH:
            continue
        schema = registry.schema(schema)
        properties = schema.get("properties")
        if isinstance(properties, Mapping):
            if steps[0] in properties:
                return (*path, *steps)
            queue.extend((inner, (*path, str(name))) for name, inner in properties.items())
        for key in ("allOf", "anyOf", "oneOf"):
            members = schema.get(key)
            queue.extend((inner, path) for inner in (members if isinstance(members, list) else ()))
    return None

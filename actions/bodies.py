"""Writes request bodies: JSON, forms, text and bytes, chosen once per operation.

Pure. JSON tokens (`msgspec.Raw`) are copied as they came, so that `1.10` and integers of twenty digits
arrive unchanged. Required properties that have a default are always sent.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import quote_plus

from actions.parameters import ABSENT, Problems
from actions.specs.model import Body, Media, MediaKind
from actions.specs.references import Registry
from actions.styles import Unfit, as_json, leaf, opened, writer


class BodyWriter:
    """Writes the body of one operation as one media type."""

    def __init__(self, body: Body, media: Media, registry: Registry) -> None:
        self._required = body.required
        self._kind = media.kind
        self._media = media
        self._write = _WRITERS[media.kind]
        self.content_type = _concrete(media)
        fields = _Defaults(registry)
        self._defaults = fields.tree(media.schema) if media.kind in {"json", "form"} else {}
        self._instead = fields.of(media.schema) if self._defaults else ABSENT

    def write(self, value: Any, problems: Problems) -> bytes | None:
        """Return the bytes, None when there is no body; what is wrong goes to the problems."""
        if value is ABSENT or (value is None and not self._required):
            if not self._required:
                return None
            if self._instead is ABSENT:
                problems.append(("/body", "body is required"))
                return None
            value = self._instead
        try:
            if self._defaults and isinstance(value, dict):
                value = _filled(value, self._defaults)
            return self._write(value, self._media)
        except Unfit as reason:
            problems.append(("/body", f"body {reason}"))
            return None


def body_writer(body: Body, registry: Registry) -> BodyWriter | None:
    """Return the writer for the preferred media type that can be written."""
    writable = [one for one in body.media if one.kind != "multipart"]
    media = next(iter(writable or body.media), None)
    return BodyWriter(body, media, registry) if media else None


def _concrete(media: Media) -> str:
    if "*" not in media.type and media.type:
        return media.type
    names: dict[MediaKind, str] = {"json": "application/json", "text": "text/plain"}
    return names.get(media.kind, "application/octet-stream")


def _json(value: Any, _: Media) -> bytes:
    return as_json(value)


def _form(value: Any, media: Media) -> bytes:
    fields = opened(value)
    if not isinstance(fields, Mapping):
        raise Unfit("must be an object: it is sent as a form")
    parts = []
    for name, raw in fields.items():
        field = opened(raw)
        if field is None:
            continue
        encoding = media.encoding.get(name)
        parts.append(_field(name, field, encoding if isinstance(encoding, dict) else {}))
    return "&".join(part for part in parts if part).encode()


def _field(name: str, value: Any, encoding: Mapping[str, Any]) -> str:
    style = encoding.get("style")
    if style in ("form", "spaceDelimited", "pipeDelimited", "deepObject"):  # a tuple: it may be a list
        explode = encoding.get("explode", style == "form") is True
        return writer("query", cast(Any, style), explode=explode, name=name, encode=_plus)(value)
    nested = isinstance(value, dict) or "json" in str(encoding.get("contentType", ""))
    if isinstance(value, list | tuple):
        nested = nested or any(isinstance(opened(one), dict | list | tuple) for one in value)
    if nested:  # the default of OpenAPI for what is no scalar
        return f"{_plus(name)}={_plus(as_json(value).decode())}"
    return writer("query", "form", explode=True, name=name, encode=_plus)(value)


def _plus(text: str) -> str:
    try:
        return quote_plus(text)
    except UnicodeEncodeError as error:
        raise Unfit("has half a surrogate pair") from error


def _text(value: Any, media: Media) -> bytes:
    if isinstance(value, bytes):
        return value
    known = opened(value)
    if isinstance(known, dict | list | tuple):
        raise Unfit(f"must be text: it is sent as {media.type}")
    try:
        return (leaf(known) or "").encode()
    except UnicodeEncodeError as error:
        raise Unfit("has half a surrogate pair") from error


def _multipart(_: Any, media: Media) -> bytes:
    raise Unfit(f"cannot be sent: {media.type} is not written yet")


_WRITERS: Final[dict[MediaKind, Callable[[Any, Media], bytes]]] = {
    "json": _json,
    "form": _form,
    "text": _text,
    "xml": _text,
    "binary": _text,
    "multipart": _multipart,
}

Tree = dict[str, tuple[Any, "Tree"]]
"""Required properties by name: the default (or ABSENT), and what is required inside."""


class _Defaults:
    """Finds the required properties that have a default, through references and `allOf`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._trees: dict[int, Tree] = {}

    def tree(self, schema: Any) -> Tree:
        """Return what has to be filled in where an object of this schema lacks it."""
        schema = self._registry.schema(schema)
        known = self._trees.get(id(schema))
        if known is not None:
            return known
        tree: Tree = {}
        self._trees[id(schema)] = {}  # a schema inside itself: nothing more to fill in
        for name, inner in self._required(schema):
            found = self._registry.schema(inner)
            below = self.tree(found)
            default = found.get("default", ABSENT)
            if (default is not ABSENT or below) and found.get("readOnly") is not True:
                tree[name] = (default, below)
        self._trees[id(schema)] = tree
        return tree

    def of(self, schema: Any) -> Any:
        """Return the object that the defaults alone make, ABSENT when something required has none."""
        schema = self._registry.schema(schema)
        tree = self.tree(schema)
        made = {name: tree[name][0] if name in tree else ABSENT for name, _ in self._required(schema)}
        return made if made and ABSENT not in made.values() else ABSENT

    def _required(self, schema: Mapping[str, Any]) -> list[tuple[str, Any]]:
        parts = [schema]
        listed = schema.get("allOf")
        if isinstance(listed, list):
            parts.extend(self._registry.schema(part) for part in listed)
        names: dict[str, None] = {}
        properties: dict[str, Any] = {}
        for part in parts:
            required, declared = part.get("required"), part.get("properties")
            if isinstance(required, list):
                names.update((name, None) for name in required if isinstance(name, str))
            if isinstance(declared, dict):
                properties.update(declared)
        return [(name, properties.get(name, {})) for name in names]


def _filled(value: dict[str, Any], tree: Tree) -> dict[str, Any]:
    """Return the object with its defaults; the one given is not changed."""
    made = value
    for name, (default, below) in tree.items():
        if name not in value:
            if default is not ABSENT:
                made = dict(made) if made is value else made
                made[name] = default
        elif below and isinstance(value[name], dict):
            inner = _filled(value[name], below)
            if inner is not value[name]:
                made = dict(made) if made is value else made
                made[name] = inner
    return made

"""Bodies of `application/x-www-form-urlencoded`.

Pure. A field is written as its `encoding` says; without one as OpenAPI has it by default: scalars as text,
the members of a list one by one, objects as JSON. Brackets (`a[b]=c`) only where `deepObject` is declared. A
file goes in as its bytes: a form has no place for its name and type. A string in the place of the form is
sent as it is.
"""

from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote_plus

from actions.arguments import Problems, Unfit, as_json, escaped, leaf, opened, utf8
from actions.bodies.files import is_blob, read_blob
from actions.bodies.media import kind_of
from actions.bodies.schemas import properties
from actions.bodies.writing import Payload, Write
from actions.specs.model import Media, Style
from actions.specs.references import Registry
from actions.styles import inner, writer

STYLES: Final = ("form", "spaceDelimited", "tabDelimited", "pipeDelimited", "deepObject")
"""The styles that a field may declare."""

_RESERVED: Final = ":/?@!$'()*,;"


def form_writer(media: Media, content_type: str, registry: Registry) -> Write:
    """Return the writer of a form."""
    declared = properties(media.schema, registry)
    schemas = {name: registry.schema(schema) for name, schema in declared.items()}
    fields = {
        name: _field_writer(name, encoding)
        for name, encoding in media.encoding.items()
        if isinstance(encoding, Mapping)
    }

    def field(name: str, value: Any) -> str:
        files = _files(value, schemas.get(name, {}))
        if files is not None:
            return "&".join(f"{plus(name)}={quote_plus(data)}" for data in files)
        return fields[name](value) if name in fields else _by_default(plus(name), value)

    def write(value: Any, problems: Problems, pointer: str) -> Payload | None:
        known = opened(value)
        if isinstance(known, str):
            return _checked(known, problems, pointer, content_type)
        if not isinstance(known, Mapping):
            problems.append((pointer, f"{pointer[1:]} must be an object: it is sent as a form"))
            return None
        parts = []
        for name, raw in known.items():
            member = opened(raw)
            if member is None:
                continue
            try:
                parts.append(field(str(name), member))
            except Unfit as reason:
                place = f"{pointer}/{escaped(str(name))}"
                problems.append((place, f"{place[1:]} {reason}"))
        return "&".join(part for part in parts if part).encode(), content_type

    return write


def plus(text: str, safe: str = "") -> str:
    """Return text encoded for a form."""
    return quote_plus(utf8(text), safe=safe)


def _checked(text: str, problems: Problems, pointer: str, content_type: str) -> Payload | None:
    try:
        return utf8(text), content_type
    except Unfit as reason:
        problems.append((pointer, f"{pointer[1:]} {reason}"))
        return None


def _files(value: Any, schema: Mapping[str, Any]) -> list[bytes] | None:
    """Return the bytes of a file or of a list of them, None where the value is something else."""
    members = [opened(one) for one in value] if isinstance(value, list | tuple) else [value]
    if not members or schema.get("type") == "object" or not all(is_blob(one, schema) for one in members):
        return None
    return [read_blob(one).data for one in members]


def _by_default(name: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        texts = [text for text in map(inner, value) if text is not None]
        return "&".join(f"{name}={plus(text)}" for text in texts)
    text = as_json(value).decode() if isinstance(value, dict) else leaf(value) or ""
    return f"{name}={plus(text)}"


def _field_writer(name: str, encoding: Mapping[str, Any]) -> "Any":
    style, reserved = encoding.get("style"), encoding.get("allowReserved") is True

    def encode(text: str) -> str:
        return plus(text, _RESERVED if reserved else "")

    named = plus(name)
    if style in STYLES or isinstance(encoding.get("explode"), bool) or reserved:
        style = style if style in STYLES else "form"
        explode = encoding.get("explode", style == "form") is True
        return writer("query", cast(Style, style), explode=explode, name=name, encode=encode, label=named)
    if kind_of(str(encoding.get("contentType", "text/plain"))) == "json" and encoding.get("contentType"):
        return lambda value: f"{named}={plus(as_json(value).decode())}"
    return lambda value: _by_default(named, value)

"""The body of a sample as a description has it: by its media type, inferred where it can be read. Pure."""

import re
from typing import Any, Final
from urllib.parse import parse_qsl

from actions.drafting.answers import decoded
from actions.drafting.curl import Asked, Part
from actions.drafting.inferring import of_text, schema_of
from actions.specs.model import media_kind

_ROOT: Final = re.compile(
    r"(?:\s|<\?(?:(?!\?>).)*\?>|<!--(?:(?!-->).)*-->|<![^<>]*>)*+<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)", re.DOTALL
)
BYTES: Final[dict[str, Any]] = {"type": "string", "contentMediaType": "application/octet-stream"}


def described(asked: Asked) -> tuple[str, dict[str, Any], str]:
    """Return the media type of a body, what the description says under it, and what people should know."""
    name = asked.type.strip()
    kind, text = media_kind(name), asked.body
    if kind == "multipart":
        essence = name.partition(";")[0].strip()
        note = "" if asked.parts else "the parts of the body are not read apart: describe them by hand"
        return essence, _multipart(asked.parts) if asked.parts else {}, note
    schema, note = {}, ""
    if kind == "binary":
        schema = BYTES
    elif kind == "xml":
        schema, note = _xml(text or "")
    elif text is not None and kind == "json":
        try:
            schema = schema_of([decoded(text)])
        except ValueError:
            note = "the body is no JSON, though it says so: nothing of it is described"
    elif text is not None:
        schema = schema_of([fields(text)]) if kind == "form" else {"type": "string"}
    return name, {"schema": schema} if schema else {}, note


def _xml(text: str) -> tuple[dict[str, Any], str]:
    root = _ROOT.match(text)
    hints = {"xml": {"name": root[1]}} if root else {}
    return {
        "type": "object",
        **hints,
    }, "of the XML only its root is described: give it as text, or describe more"


def fields(text: str) -> dict[str, Any]:
    """Return the fields of a form or a query; one that stands there again is a list."""
    found: dict[str, list[Any]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        found.setdefault(name, []).append(of_text(value))
    return {
        name: values if len(values) > 1 or name.endswith("[]") else values[0]
        for name, values in found.items()
    }


def _multipart(parts: tuple[Part, ...]) -> dict[str, Any]:
    named: dict[str, list[Part]] = {}
    for one in parts:
        named.setdefault(one.name, []).append(one)
    properties = {}
    encoding = {}
    for name, same in named.items():
        schema = _part(same[0])
        properties[name] = {"type": "array", "items": schema} if len(same) > 1 else schema
        if same[0].type:
            encoding[name] = {"contentType": same[0].type}
    schema = {"type": "object", "properties": properties, "required": list(named)}
    return {"schema": schema, "encoding": encoding} if encoding else {"schema": schema}


def _part(one: Part) -> dict[str, Any]:
    if one.file:
        return BYTES if not one.type else {"type": "string", "contentMediaType": one.type}
    if one.type and media_kind(one.type) == "json":
        try:
            return schema_of([decoded(one.value)])
        except ValueError:
            return {}
    return schema_of([of_text(one.value)])

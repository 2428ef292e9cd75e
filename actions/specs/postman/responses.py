"""Saved responses as declared answers: every one is kept as an example of its status and media type."""

from collections.abc import Iterable
from typing import Any, Final

from actions.specs.model import Media, Response, Schema, media_kind
from actions.specs.postman.bodies import decoded, with_examples
from actions.specs.postman.calls import Call, Saved
from actions.specs.postman.shapes import Shape

_LANGUAGES: Final = {"json": "application/json", "xml": "application/xml", "html": "text/html"}
_WIRE: Final = frozenset(
    {"content-type", "content-length", "transfer-encoding", "connection", "date", "set-cookie"}
)


class _Status:
    """What was saved of one status."""

    def __init__(self) -> None:
        self.description = ""
        self.headers: dict[str, Schema] = {}
        self.bodies: dict[str, dict[str, Any]] = {}


def responses(calls: Iterable[Call]) -> dict[str, Response]:
    """Return the answers that were saved with the calls of one operation, by status."""
    found: dict[str, _Status] = {}
    accepted: dict[str, None] = {}
    for call in calls:
        for one in call.saved:
            status = one.status if len(one.status) == 3 and one.status.isdigit() else "default"
            _keep(found.setdefault(status, _Status()), one)
        for header in call.headers:
            if header.name.lower() == "accept" and not header.disabled and "{{" not in (header.value or ""):
                accepted.update(dict.fromkeys(_types(header.value or "")))
    made = {
        status: Response(
            media=tuple(_media(type_, examples) for type_, examples in seen.bodies.items()),
            headers=seen.headers,
            description=seen.description,
        )
        for status, seen in sorted(found.items())
    }
    if accepted and not any(one.media for status, one in made.items() if status[0] in "2d"):
        media = tuple(Media(type=one) for one in accepted)
        made["default"] = Response(media=media, description="what the requests of the collection accept")
    return made


def _types(accept: str) -> list[str]:
    named = [one.partition(";")[0].strip() for one in accept.split(",")]
    return [one for one in named if one.count("/") == 1 and "*" not in one and " " not in one]


def _keep(seen: _Status, saved: Saved) -> None:
    seen.description = seen.description or saved.name
    type_ = ""
    for header in saved.headers:
        if header.name.lower() == "content-type":
            type_ = (header.value or "").partition(";")[0].strip()
        elif header.name.lower() not in _WIRE and header.value:
            seen.headers.setdefault(header.name, {"type": "string", "examples": [header.value]})
    body = saved.body
    if not body.strip():
        return
    value: Any = body
    if not type_:
        type_ = _LANGUAGES.get(saved.language) or (
            "application/json" if body.lstrip()[:1] in "{[" else "text/plain"
        )
    if media_kind(type_) == "json":
        try:
            value = decoded(body)
        except (ValueError, RecursionError):
            type_ = type_ if saved.language else "text/plain"
    examples = seen.bodies.setdefault(type_, {})
    name, count = saved.name or "example", 1
    while name in examples:
        count += 1
        name = f"{saved.name or 'example'} ({count})"
    examples[name] = {"value": value}


def _media(type_: str, examples: dict[str, Any]) -> Media:
    kind = media_kind(type_)
    values = [one["value"] for one in examples.values()]
    if kind == "json":
        shape = Shape()
        for value in values:
            shape.add(value)
        schema = shape.schema()
    else:
        schema = {"type": "string", "format": "binary"} if kind == "binary" else {"type": "string"}
    return Media(type=type_, schema=with_examples(schema, values), examples=examples)

"""Writes request bodies: which media type is sent, and how a value is written as it.

Pure. JSON > form > multipart > text > XML > bytes where nobody chooses; the caller may choose another one
that the description offers. Required and internal properties that have a default are always sent.
"""

from typing import Any, Final

from actions.arguments import ABSENT, Problems
from actions.bodies.defaults import defaults_of, filled
from actions.bodies.files import is_binary
from actions.bodies.forms import form_writer
from actions.bodies.media import concrete, covers, essence, is_range, kind_of, mended
from actions.bodies.multipart import multipart_writer
from actions.bodies.plain import bytes_writer, json_writer, text_writer
from actions.bodies.schemas import properties
from actions.bodies.writing import Payload, Write
from actions.bodies.xml import xml_writer
from actions.specs.model import PREFERENCE, Body, Media, MediaKind
from actions.specs.references import Registry

__all__ = ["BodyWriter", "Payload", "body_writer", "compile_media"]

_FILLED: Final = frozenset({"json", "form", "multipart", "xml"})
_MAX_CHOSEN: Final = 50
"""How many types that callers chose are kept compiled for one operation."""


class BodyWriter:
    """Writes the body of one operation; as the preferred media type, or as one that the caller chose."""

    def __init__(self, body: Body, registry: Registry) -> None:
        self._required = body.required
        self._media = body.media
        self._registry = registry
        self._chosen: dict[str, _MediaWriter] = {}
        self._preferred = _MediaWriter(_preferred(body.media, registry), registry)
        self.content_type = self._preferred.content_type

    def write(self, value: Any, problems: Problems, content_type: str = "") -> Payload | None:
        """Return the bytes and their type, None when there is no body; what is wrong goes to the problems.

        `content_type` is one that it `offers`, "" for the preferred one.
        """
        writer = self._choose(content_type) if content_type else self._preferred
        if value is ABSENT or (value is None and not self._required):
            if not self._required:
                return None
            value = writer.instead
            if value is ABSENT:
                problems.append(("/body", "body is required"))
                return None
        return writer.write(value, problems)

    def offers(self, content_type: str) -> bool:
        """Say whether a caller may choose this type: it is described, or within a described range."""
        return not is_range(content_type) and any(covers(one.type, content_type) for one in self._media)

    @property
    def offered(self) -> list[str]:
        """The types and ranges that are described."""
        return [mended(one.type) for one in self._media]

    def _choose(self, content_type: str) -> "_MediaWriter":
        known = self._chosen.get(content_type)
        if known is not None:
            return known
        media = next((one for one in self._media if essence(one.type) == essence(content_type)), None)
        media = media or next(one for one in self._media if covers(one.type, content_type))
        chosen = Media(type=content_type, schema=media.schema, encoding=media.encoding)
        made = _MediaWriter(chosen, self._registry)
        if len(self._chosen) < _MAX_CHOSEN:
            self._chosen[content_type] = made
        return made


class _MediaWriter:
    """Writes values as one media type. `instead` is what is sent when nothing was given, or ABSENT."""

    def __init__(self, media: Media, registry: Registry) -> None:
        kind = _kind(media, registry)
        self.content_type = concrete(media.type, kind)
        self._write = compile_media(media, registry)
        defaults = defaults_of(registry)
        self._tree = defaults.tree(media.schema) if kind in _FILLED else {}
        self.instead = defaults.of(media.schema) if self._tree else ABSENT

    def write(self, value: Any, problems: Problems) -> Payload | None:
        """Return the bytes and their type; None, and problems, where the value does not fit."""
        try:
            if self._tree:
                value = filled(value, self._tree)
            return self._write(value, problems, "/body")
        except RecursionError:
            problems.append(("/body", "body is nested too deep"))
            return None


def body_writer(body: Body, registry: Registry) -> BodyWriter | None:
    """Return the writer of a body, None where the description names no media type."""
    return BodyWriter(body, registry) if body.media else None


def compile_media(media: Media, registry: Registry) -> Write:
    """Return the writer of values as one media type."""
    kind = _kind(media, registry)
    content_type = concrete(media.type, kind)
    if kind == "json":
        return json_writer(content_type)
    if kind == "form":
        return form_writer(media, content_type, registry)
    if kind == "multipart":
        return multipart_writer(media, content_type, registry, lambda part: compile_media(part, registry))
    if kind == "xml":
        return xml_writer(media, content_type, registry)
    return (text_writer if kind == "text" else bytes_writer)(media, content_type, registry)


def _kind(media: Media, registry: Registry) -> MediaKind:
    """Return how a body is written; one of any type that is described as bytes is bytes, not JSON."""
    kind = kind_of(media.type)
    return (
        "binary"
        if kind == "json" and is_range(media.type) and is_binary(registry.schema(media.schema))
        else kind
    )


def _preferred(media: tuple[Media, ...], registry: Registry) -> Media:
    """Return what is sent when nobody chooses: no form where it has files and another type can carry them."""
    first = min(media, key=lambda one: PREFERENCE.index(kind_of(one.type)))  # broken names count as meant
    if kind_of(first.type) == "form" and any(
        is_binary(registry.schema(one)) for one in properties(first.schema, registry).values()
    ):
        return next((one for one in media if kind_of(one.type) == "multipart"), first)
    return first

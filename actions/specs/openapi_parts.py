"""The parts of an operation of OpenAPI 3: parameters, body, answers.

A Draft reads them for one operation or webhook and keeps what is wrong with it: `problems` refuse it,
`degraded` says what of it was left out.
"""

from collections.abc import Mapping
from typing import Any, Final

from actions.specs.events import escape
from actions.specs.model import (
    LOCATIONS,
    Body,
    Location,
    Media,
    Parameter,
    Response,
    Schema,
    Style,
)
from actions.specs.paths import MEDIA_TYPE, Merged, fit_path, is_own_header, sendable
from actions.specs.reading import Sketch, extras, preferred, text
from actions.specs.references import Unresolved, inside
from actions.specs.restoring import restored

_STYLES: Final[dict[Location, tuple[Style, ...]]] = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}

_NEW: Final = frozenset(
    [
        *("itemSchema", "itemEncoding", "prefixEncoding", "mediaTypes"),
        *("defaultMapping", "nodeType", "deviceAuthorization", "oauth2MetadataUrl"),
    ]
)
"""Words of OpenAPI 3.2 that change nothing of what is read."""


class Draft(Sketch):
    """What stands in an operation or webhook of OpenAPI 3, part by part."""

    def parameters(
        self, path: str, item: Mapping[str, Any], value: Mapping[str, Any]
    ) -> tuple[Parameter, ...]:
        """Read the parameters of a path item and of what stands on it; the latter win."""
        merged: Merged = {}
        item_pointer = self.pointer.rpartition("/")[0].removesuffix("/additionalOperations")
        for holder, pointer in ((item, item_pointer), (value, self.pointer)):
            listed = self.reading.behind(holder.get("parameters"))
            if listed is not None and not isinstance(listed, list):
                self.refuse("`parameters` is not an array")
                continue
            here: set[tuple[str, str]] = set()
            for index, entry in enumerate(listed or ()):
                at = f"{pointer}/parameters/{index}"
                one = self._parameter(entry, at)
                if one is None:
                    continue
                key = one.name, one.location
                if key in here:
                    reason = (
                        f"the parameter {one.name} in {one.location} stands here twice; the last one counts"
                    )
                    self.degrade("duplicate-parameter", reason, at)
                here.add(key)
                merged[key] = one
        fit_path(self, path, merged)
        return tuple(merged.values())

    def _parameter(self, entry: Any, pointer: str) -> Parameter | None:
        try:
            value = self.reading.registry.follow(entry)
        except Unresolved as unknown:
            self.degrade("parameter", f"a parameter {unknown}; left out", pointer)
            return None
        if not isinstance(value, dict):
            self.degrade("parameter", "a parameter is not an object; left out", pointer)
            return None
        name, place = text(value.get("name")), text(value.get("in"))
        location = next((one for one in LOCATIONS if one == place), None)
        if not name or location is None:
            message = f"the parameter {name[:80]!r} in {place[:40]!r} is no parameter of OpenAPI 3; left out"
            if place == "querystring":
                message = (
                    f"the parameter {name[:80]!r} stands for the whole query string (OpenAPI 3.2); left out"
                )
            self.degrade("parameter", message, pointer)
            if value.get("required") is True:
                self.refuse(f"the required parameter {name[:80]!r} in {place[:40]!r} cannot be sent")
            return None
        if location == "header" and is_own_header(name):
            return None
        required = value.get("required") is True
        if not sendable(self, name, location, pointer, required=required):
            return None
        default: Style = _STYLES[location][0]
        style = value.get("style", default)
        if style not in _STYLES[location]:
            reason = f"the style {text(style)[:40]!r} does not fit {name} in {location}; sent as {default}"
            self.degrade("parameter-style", reason, pointer)
            style = default
        content = value.get("content")
        content_type, media = (
            next(iter(content.items())) if isinstance(content, dict) and content else ("", value)
        )
        explode = value.get("explode")
        empty = {"allowEmptyValue": value["allowEmptyValue"]} if "allowEmptyValue" in value else {}
        made = Parameter(
            name=name,
            location=location,
            required=value.get("required") is True or location == "path",
            schema=_schema(media.get("schema") if isinstance(media, dict) else None),
            style=style,
            explode=explode if isinstance(explode, bool) else style == "form",
            allow_reserved=value.get("allowReserved") is True,
            content_type=content_type,
            twice_encoded=value.get("x-ms-url-encoding") == "double",
            deprecated=value.get("deprecated") is True,
            description=_description(entry, value),
            extras={**extras(value), **empty},
        )
        return restored(self.reading, made, value, pointer)

    def body(self, value: Any) -> Body | None:
        """Read a `requestBody`."""
        if value is None:
            return None
        found = self.follow(value, "the request body")
        if found is None:
            return None
        media = self._content(found.get("content"), f"{self.pointer}/requestBody/content")
        if not media:
            self.degrade("no-content", "the request body names no media type; left out", self.pointer)
            return None
        made = Body(
            media=preferred(media),
            required=found.get("required") is True,
            description=_description(value, found),
            extras=extras(found),
        )
        return restored(self.reading, made, found, f"{self.pointer}/requestBody")

    def _content(self, value: Any, pointer: str) -> list[Media]:
        content = []
        for name, entry in self.reading.mapping(value, pointer).items():
            if not MEDIA_TYPE.fullmatch(name.strip()):
                self.degrade("content", f"{name[:80]!r} is no media type; left out", pointer)
                continue
            try:
                found = self.reading.registry.follow(entry)
            except Unresolved as reason:
                self.degrade("content", f"{name} {reason}", pointer)
                found = {}
            media = found if isinstance(found, dict) else {}
            encoding, examples = media.get("encoding"), media.get("examples")
            named = examples if isinstance(examples, dict) else {}
            if "example" in media:
                named = {"example": {"value": media["example"]}, **named}
            content.append(
                Media(
                    type=name.strip(),
                    schema=_schema(media.get("schema")),
                    encoding=encoding if isinstance(encoding, dict) else {},
                    examples=named,
                )
            )
        return content

    def responses(self, value: Any) -> dict[str, Response]:
        """Read `responses`, by status as written."""
        responses = {}
        for status, at, response in self.each_response(value):
            headers = self.reading.mapping(response.get("headers"), f"{at}/headers")
            made = Response(
                media=preferred(self._content(response.get("content"), f"{at}/content")),
                headers={name: self._header(header) for name, header in headers.items()},
                description=text(response.get("description")),
                extras=extras(response),
            )
            responses[status] = restored(self.reading, made, response, at)
        return responses

    def _header(self, value: Any) -> Schema:
        return _schema(self.reading.registry.schema(value).get("schema"))


def _description(referring: Any, found: Mapping[str, Any]) -> str:
    """Return what describes a part: what stands beside its reference comes before its own (3.1)."""
    return text(referring.get("description") or found.get("description"))


def new_words(value: Any) -> dict[str, tuple[str, int]]:
    """Return what of OpenAPI 3.2 a document uses that is not read: the first place of each, and the count."""
    found: dict[str, tuple[str, int]] = {}
    stack: list[tuple[str, Any, bool]] = [("", value, False)]
    while stack:
        pointer, node, names = stack.pop()
        for word in _NEW & node.keys() if isinstance(node, dict) and not names else ():
            first, count = found.get(word, (f"{pointer}/{word}", 0))
            found[word] = first, count + 1
        stack.extend(
            (f"{pointer}/{escape(key)}", child, flag) for key, child, flag in inside(node, names=names)
        )
    return found


def _schema(value: Any) -> Schema:
    return value if isinstance(value, dict | bool) else {}

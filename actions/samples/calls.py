"""Makes the arguments of whole operations: what every caller has to give, or everything that can be given.

Pure. What goes into a path, a header or a delimited list is made so that it survives there; the serializer
decides how it is written.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from actions.samples.parts import Cut
from actions.samples.values import Sampler
from actions.specs.model import NEVER_SET, Media, Operation, Parameter, Spec

Arguments = dict[str, Any]

_PATH_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f/\\%;]")
_HEADER_FIT: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_COOKIE_FIT: Final = re.compile(r"[!#-+\--:<-\[\]-~]+")
_QUERY_UNFIT: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_DELIMITERS: Final = re.compile(r"[,|;=&.\s\[\]]")
"""What a delimited value cannot hold, whatever its style: made values need none of them."""

_HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "accept": ("application/json", "*/*"),
    "accept-language": ("en", "en-US"),
    "accept-encoding": ("identity",),
    "date": ("Fri, 17 May 2024 09:30:00 GMT",),
    "if-match": ('"sample"', "*"),
    "if-none-match": ('"sample"',),
    "if-modified-since": ("Fri, 17 May 2024 09:30:00 GMT",),
    "if-unmodified-since": ("Fri, 17 May 2024 09:30:00 GMT",),
    "range": ("bytes=0-99",),
    "content-encoding": ("identity",),
    "content-md5": ("XrY7u+Ae7tCTyyK7j1rNww==",),
}
"""What headers of HTTP itself may look like, where the description does not say."""


class Calls:
    """Makes arguments for the operations of one description."""

    def __init__(self, spec: Spec, *, whole: bool = False) -> None:
        """`whole`: give what is optional too, as far as there is room."""
        self._spec = spec
        self._whole = whole
        self._shown = Sampler(spec, whole=whole)
        self._made = Sampler(spec, whole=whole, examples=False)
        self._files = Sampler(spec, whole=whole, files=True)

    def arguments(self, operation: Operation) -> Arguments:
        """Return the arguments of a call: all that is required, and the body.

        What cannot be made is left out, which whoever gets the call will say.
        """
        made: Arguments = {}
        spread: set[str] = set()  # names in the query: those of optional objects must not meet others
        media = operation.body.media[0] if operation.body and operation.body.media else None
        for one in operation.parameters:
            if not _is_given(one, operation) or not (one.required or self._whole):
                continue
            try:
                value = self._parameter(one, operation, media)
            except Cut:
                continue
            if not one.required and (_is_lost(value, one) or not spread.isdisjoint(_spread(value, one))):
                continue
            spread.update(_spread(value, one))
            group = made.setdefault(one.location, {}) if operation.grouped else made
            group[one.name] = value
        if media is not None:
            body = self._body(media)
            if body is not None:
                made["body"] = body
        return made

    def _parameter(self, one: Parameter, operation: Operation, media: Media | None) -> Any:
        schema = self._spec.registry.schema(one.schema)
        name = one.name.lower()
        if one.location == "header" and name == "content-type":
            hints: tuple[str, ...] = (media.type if media else "application/json", "application/json")
        elif one.location == "header" and name == "accept":
            hints = (*_answered(operation), *_HEADERS["accept"])
        else:
            hints = _HEADERS.get(name, ()) if one.location == "header" else ()
        for value in hints:
            if self._shown.fitting.fits(value, schema):
                return value
        candidates = self._candidates(one)
        first = next(candidates)
        if first is None:  # null is nothing to send
            raise Cut
        return first if _survives(first, one) else next((v for v in candidates if _survives(v, one)), first)

    def _candidates(self, one: Parameter) -> Iterator[Any]:
        """Yield values, those that the description shows first. Raises Cut where none can be made."""
        found = False
        for sampler, variant in ((self._shown, 0), (self._made, 0), (self._made, 1), (self._made, 2)):
            try:
                value = sampler.value(one.schema, variant=variant, least=1)
            except Cut:
                continue
            found = True
            yield value
        if not found:
            yield self._made.value(one.schema)

    def _body(self, media: Media) -> Any:
        """Return a body as the arguments hold it, None where none can be made."""
        kind = media.kind
        if kind == "binary":
            return {"text": "sample", "filename": "sample.bin"}
        if kind == "xml" and self._spec.registry.schema(media.schema).get("type") == "string":
            return "<sample/>"  # a text is the whole document
        sampler = self._files if kind in ("multipart", "xml") else self._shown
        for value in _examples(media, self._spec):
            if (
                kind in ("json", "form")
                and sampler.fitting.fits(value, media.schema)
                and value not in ({}, [], "")
            ):
                return value
        for least in (1, 0):
            try:
                value = sampler.value(media.schema, least=least)
            except Cut:
                continue
            return _shaped(value, media)
        return None


def arguments(spec: Spec, operation: Operation, *, whole: bool = False) -> Arguments:
    """Return the arguments of one call; keep a `Calls` to make many."""
    return Calls(spec, whole=whole).arguments(operation)


def _is_given(one: Parameter, operation: Operation) -> bool:
    """Say whether callers give this parameter: not the transport, the login, or whoever keeps the key."""
    return one.location != "header" or (
        one.name.lower() not in NEVER_SET and one.name != operation.key_header
    )


def _answered(operation: Operation) -> Iterator[str]:
    for response in operation.responses.values():
        yield from (media.type for media in response.media)


def _examples(media: Media, spec: Spec) -> Iterator[Any]:
    for entry in media.examples.values():
        example = spec.registry.schema(entry)
        if "value" in example:
            yield example["value"]


def _shaped(value: Any, media: Media) -> Any:
    """Return a value as its kind of body can carry it."""
    if media.kind in ("form", "multipart") and not isinstance(value, dict):
        return {"sample": "sample"} if value is None or isinstance(value, str) else value
    if media.kind == "text" and isinstance(value, dict | list):
        return json.dumps(value)
    return value


def _spread(value: Any, one: Parameter) -> set[str]:
    """Return the names under which a parameter stands in the query."""
    if one.location != "query":
        return set()
    apart = isinstance(value, dict) and one.style == "form" and one.explode and not one.content_type
    return set(value) if apart else {one.name}


def _is_lost(value: Any, one: Parameter) -> bool:
    """Say whether a value has parts within parts where the style has no way to write them."""
    if one.location == "query" or one.content_type or not isinstance(value, dict | list):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return any(isinstance(part, dict | list) for part in parts)


def _survives(value: Any, one: Parameter) -> bool:
    """Say whether a value can be written where the parameter stands, and read again."""
    if value is None or value == "":
        return False
    if isinstance(value, dict | list):
        if not value:
            return False
        if one.content_type:
            return True
        leaves = [*value, *value.values()] if isinstance(value, dict) else value
        return all(
            isinstance(leaf, int | float) or (isinstance(leaf, str) and leaf and not _DELIMITERS.search(leaf))
            for leaf in leaves
        )
    return _scalar_survives(str(value), one.location)


def _scalar_survives(text: str, location: str) -> bool:
    if location == "path":
        return not _PATH_UNFIT.search(text) and text.strip(".") != ""
    if location == "header":
        return bool(_HEADER_FIT.fullmatch(text))
    if location == "cookie":
        return bool(_COOKIE_FIT.fullmatch(text))
    return not _QUERY_UNFIT.search(text)

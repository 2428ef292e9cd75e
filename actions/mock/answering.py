"""What a mock answers: what the description shows for the operation, or a value made up by its schema.

Pure. A good answer has the lowest 2xx status declared, the media type that the request asks for, and the
declared headers; a bad one is a problem (RFC 9457) that names everything that was wrong.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from actions.mock import xml
from actions.mock.shapes import Shapes
from actions.samples import Cut, Sampler
from actions.specs.model import Media, Operation, Response, Spec
from actions.specs.references import Unresolved

_TITLES: Final[Mapping[int, str]] = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    431: "Request Header Fields Too Large",
}
_SUCCESS: Final = re.compile(r"2[0-9][0-9]")
_WILD: Final = re.compile(r"2[xX]{2}")
_BODILESS: Final = frozenset({204, 205, 304})
_OWN_HEADERS: Final = frozenset({"content-type", "content-length", "transfer-encoding", "connection", "date"})
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNFIT: Final = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
MOST_KNOWN: Final = 10_000
"""So many answers are kept ready, by operation and what is accepted."""
_encode: Final = msgspec.json.Encoder().encode

Headers = tuple[tuple[str, str], ...]


class MockAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What goes back. Header names are lower case; Content-Length and Date are the server's."""

    status: int
    headers: Headers = ()
    body: bytes = b""


class Answering:
    """Makes the answers of one description; those to a sound request are made once per operation."""

    def __init__(self, spec: Spec, shapes: Shapes, status: int | None) -> None:
        self._spec = spec
        self._shapes = shapes
        self._status = status
        # Also what is optional: a rule tried against the mock may well use it in its next step.
        self._sampler = Sampler(spec, way="answer", whole=True)
        self._known: dict[tuple[str, str], MockAnswer] = {}

    def answer(self, operation: Operation, accept: str) -> MockAnswer:
        """Return the answer to a sound request; `accept` is its header of that name."""
        key = (operation.id, accept)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MOST_KNOWN:  # the header is the client's to choose
                self._known.clear()
            known = self._known[key] = self._make(operation, accept)
        return known

    def problem(self, status: int, texts: Sequence[str], headers: Headers = ()) -> MockAnswer:
        """Return a problem that names everything that is wrong."""
        body = {"title": _TITLES.get(status, "Error"), "status": status, "detail": "; ".join(texts)[:8_000]}
        return MockAnswer(
            status=status,
            headers=(("content-type", "application/problem+json"), *headers),
            body=_encode({**body, "errors": list(texts)}),
        )

    def _make(self, operation: Operation, accept: str) -> MockAnswer:
        status, response = self._chosen(operation)
        headers = self._headers(response)
        media = _acceptable(response.media, accept)
        if status in _BODILESS or media is None:
            return MockAnswer(status=status, headers=headers)
        content_type, body = self._written(media)
        return MockAnswer(status=status, headers=(("content-type", content_type), *headers), body=body)

    def _chosen(self, operation: Operation) -> tuple[int, Response]:
        responses = operation.responses
        if self._status is not None:
            wild = f"{self._status // 100}XX"
            names = (str(self._status), wild, wild.lower(), "default")
            found = next((responses[name] for name in names if name in responses), Response())
            return self._status, found
        good = sorted(name for name in responses if _SUCCESS.fullmatch(name))
        if good:
            return int(good[0]), responses[good[0]]
        wild = next((name for name in responses if _WILD.fullmatch(name)), "default")
        return 200, responses.get(wild, Response())

    def _headers(self, response: Response) -> Headers:
        made = []
        for name, schema in response.headers.items():
            lower = name.lower()
            if lower in _OWN_HEADERS or not _TOKEN.fullmatch(name):
                continue
            value = self._sample(schema)
            texts = value if isinstance(value, list) else [value]
            text = ", ".join(_text(one) for one in texts if not isinstance(one, dict | list))
            made.append((lower, _UNFIT.sub("?", text)))
        return tuple(made)

    def _written(self, media: Media) -> tuple[str, bytes]:
        """Return a media type without wildcards, and a body of it."""
        value = self._shown(media)
        kind = media.kind
        name = media.type if media.type and "*" not in media.type else ""
        name = _UNFIT.sub("", name)
        if kind == "xml" and not isinstance(value, str):
            view = self._shapes.view(media.schema)
            return name or "application/xml", xml.write(value, view, _name(media.schema))
        if kind in ("text", "xml"):
            return name or "text/plain", _text(value).encode("utf-8", "replace")
        if kind == "form" and isinstance(value, dict):
            return name, urlencode({key: _text(one) for key, one in value.items()}).encode()
        if kind in ("binary", "multipart", "form"):
            return name or "application/octet-stream", _bytes(value)
        return name or "application/json", _encode(value)

    def _shown(self, media: Media) -> Any:
        """Return the first example of a media type, else a value by its schema."""
        for example in media.examples.values():
            try:
                found = self._spec.registry.follow(example)
            except Unresolved:
                continue
            if isinstance(found, dict) and ("value" in found or "dataValue" in found):
                return found.get("value", found.get("dataValue"))
        return self._sample(media.schema)

    def _sample(self, schema: Any) -> Any:
        try:
            return self._sampler.value(schema)
        except Cut:
            return None


def _acceptable(declared: Sequence[Media], accept: str) -> Media | None:
    """Return the first declared media type that the request takes, else the first."""
    wanted = [one.partition(";")[0].strip().lower() for one in accept.split(",")] if accept else []
    for media in declared:
        name = media.type.partition(";")[0].strip().lower()
        family = name.partition("/")[0]
        if not wanted or any(one in (name, f"{family}/*", "*/*") for one in wanted):
            return media
    return declared[0] if declared else None


def _name(schema: Any) -> str:
    ref = schema.get("$ref") if isinstance(schema, dict) else None
    return ref.rpartition("/")[2] if isinstance(ref, str) else "root"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return _encode(value).decode()


def _bytes(value: Any) -> bytes:
    if isinstance(value, dict) and isinstance(value.get("base64"), str):
        try:
            return base64.b64decode(value["base64"])
        except (binascii.Error, ValueError):
            return b""
    return _text(value).encode("utf-8", "replace")

"""Bodies that are one value: JSON, lines of JSON, text and bytes.

Pure. JSON tokens (`msgspec.Raw`) are copied as they came, so that `1.10` and integers of twenty digits arrive
unchanged. A list or an object under a type of text or bytes that is described as one travels as JSON text.
"""

from typing import Any

from actions.arguments import MAX_PROBLEMS, Problems, Unfit, as_json, leaf, not_json, opened, utf8
from actions.bodies.files import is_blob, read_blob
from actions.bodies.media import charset, covers, essence, framing
from actions.bodies.schemas import types
from actions.bodies.writing import Payload, Write
from actions.specs.model import Media
from actions.specs.references import Registry


def json_writer(content_type: str) -> Write:
    """Return the writer of JSON; of one JSON text for each member where the type wants that."""
    before, after = framing(content_type)

    def write(value: Any, problems: Problems, pointer: str) -> Payload | None:
        try:
            if not after:
                return as_json(value), content_type
            known = opened(value)
            members = known if isinstance(known, list | tuple) else [known]
            return b"".join(before + as_json(one) + after for one in members), content_type
        except Unfit as reason:
            places = [(pointer + place, text) for place, text in not_json(value)][:MAX_PROBLEMS]
            problems.extend(
                (place, f"{place[1:]} {text}") for place, text in places or [(pointer, str(reason))]
            )
            return None

    return write


def text_writer(media: Media, content_type: str, registry: Registry) -> Write:
    """Return the writer of text."""
    encoding = charset(content_type)
    structured = _is_structured(media, registry)

    def write(value: Any, problems: Problems, pointer: str) -> Payload | None:
        try:
            known = opened(value)
            if isinstance(known, bytes):
                return known, content_type
            if is_blob(known, {}) and not structured:
                return _blob(known, content_type)
            text = _text(known, content_type, structured=structured)
        except Unfit as reason:
            problems.append((pointer, f"{pointer[1:]} {reason}"))
            return None
        try:
            return text.encode(encoding or "utf-8"), content_type
        except UnicodeEncodeError:
            lacking = f"has characters that {encoding} lacks" if encoding else "has half a surrogate pair"
            problems.append((pointer, f"{pointer[1:]} {lacking}"))
            return None

    return write


def bytes_writer(media: Media, content_type: str, registry: Registry) -> Write:
    """Return the writer of bytes: text, or an object that stands for a file."""
    schema = registry.schema(media.schema)
    structured = _is_structured(media, registry)

    def write(value: Any, problems: Problems, pointer: str) -> Payload | None:
        try:
            known = opened(value)
            if is_blob(known, schema):
                return _blob(known, content_type, media.type)
            if isinstance(known, dict | list | tuple):
                return utf8(_text(known, content_type, structured=structured)), content_type
            return read_blob(known).data, content_type
        except Unfit as reason:
            problems.append((pointer, f"{pointer[1:]} {reason}"))
            return None

    return write


def _blob(value: Any, content_type: str, allowed: str = "") -> Payload:
    """Return bytes with their own type, where the description allows it."""
    blob = read_blob(value)
    if blob.type and not covers(allowed or content_type, blob.type):
        raise Unfit(f"is {essence(blob.type)}, but must be {essence(allowed or content_type)}")
    return blob.data, blob.type or content_type


def _is_structured(media: Media, registry: Registry) -> bool:
    """Say whether a value is described as a list or an object, and not as text too."""
    named = types(media.schema, registry)
    return bool(named & {"object", "array"}) and "string" not in named


def _text(value: Any, content_type: str, *, structured: bool) -> str:
    if isinstance(value, dict | list | tuple):
        if not structured:
            raise Unfit(f"must be text: it is sent as {content_type}")
        return as_json(value).decode()
    return leaf(value) or ""

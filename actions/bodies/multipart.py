"""Bodies of several parts: `multipart/form-data`, and `multipart/mixed` or `related` as sequences.

Pure. The boundary is a hash of the parts: the same arguments make the same bytes, and it never stands inside.
Names are escaped as browsers do it (WHATWG HTML, multipart/form-data encoding algorithm).
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from actions.arguments import Problems, Unfit, escaped, leaf, opened, utf8
from actions.bodies.files import MAX_BYTES, Blob, is_binary, is_blob, read_blob
from actions.bodies.forms import STYLES
from actions.bodies.media import (
    concrete,
    covers,
    essence,
    kind_of,
    parameters,
    with_parameters,
)
from actions.bodies.plain import json_writer
from actions.bodies.schemas import items, properties
from actions.bodies.writing import Compile, Payload, Write
from actions.specs.model import Media
from actions.specs.references import Registry
from actions.styles import DELIMITERS, deep, inner

MAX_PARTS: Final = 10_000
"""How many parts one body may have."""

_json: Final = json_writer("application/json")
_BREAKS: Final = {"\n": "%0A", "\r": "%0D", '"': "%22"}
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FIELD: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_OURS: Final = frozenset(
    {"content-type", "content-disposition", "content-length", "content-transfer-encoding"}
)


class Part(NamedTuple):
    """One part. `type` is "" where nothing is said of it, which means plain text."""

    name: str | None
    data: bytes
    type: str = ""
    filename: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class _Field(NamedTuple):
    """What the description says of one part. `types` are those allowed, none where it does not say.

    A type wins over a style, which before 3.1 meant nothing here.
    """

    schema: Mapping[str, Any]
    types: tuple[str, ...] = ()
    style: str = ""
    explode: bool = True
    headers: Mapping[str, Any] = {}


def multipart_writer(media: Media, content_type: str, registry: Registry, compile_part: Compile) -> Write:
    """Return the writer of a body of several parts."""
    parts = _Parts(media, registry, compile_part)
    kind = essence(content_type)
    kept = [(key, value) for key, value in parameters(content_type) if key != "boundary"]
    is_form = kind == "multipart/form-data"

    def write(value: Any, problems: Problems, pointer: str) -> Payload | None:
        known = opened(value)
        before = len(problems)
        if isinstance(known, Mapping) and not is_blob(known, registry.schema(media.schema)):
            made = parts.named(known, problems, pointer)
        elif is_form and not isinstance(known, str | bytes | dict):
            made = []
            problems.append((pointer, f"{pointer[1:]} must be an object: it is sent as {kind}"))
        elif is_form:
            made = parts.of("file", known, parts.field("file"), problems, pointer)
        else:
            made = parts.sequence(known if isinstance(known, list | tuple) else [known], problems, pointer)
        if len(made) > MAX_PARTS or sum(len(part.data) for part in made) > MAX_BYTES:
            problems.append(
                (pointer, f"{pointer[1:]} is larger than {MAX_BYTES >> 20} MiB or {MAX_PARTS} parts")
            )
        if len(problems) > before:
            return None
        data, boundary = assembled(made)
        related = (
            [("type", essence(made[0].type or "text/plain"))] if kind == "multipart/related" and made else []
        )
        extra = [pair for pair in related if pair[0] not in dict(kept)]
        return data, with_parameters(kind, [*kept, *extra, ("boundary", boundary)])

    return write


class _Parts:
    """Makes the parts of one described body."""

    def __init__(self, media: Media, registry: Registry, compile_part: Compile) -> None:
        self._media = media
        self._registry = registry
        self._compile = compile_part
        self._fields: dict[str, _Field] = {}
        self._declared = properties(media.schema, registry)

    def field(self, name: str) -> _Field:
        """Return what is said of a part by its name."""
        known = self._fields.get(name)
        if known is None:
            known = self._read(name)
            if name in self._declared or name in self._media.encoding:  # callers cannot make this grow
                self._fields[name] = known
        return known

    def _read(self, name: str) -> _Field:
        schema = self._registry.schema(self._declared.get(name, {}))
        encoding = self._media.encoding.get(name)
        if not isinstance(encoding, Mapping):
            encoding = {}
        listed = encoding.get("contentType", schema.get("contentMediaType"))
        types = tuple(one.strip() for one in listed.split(",")) if isinstance(listed, str) else ()
        types = tuple(one for one in types if one)
        style, explode, headers = encoding.get("style"), encoding.get("explode"), encoding.get("headers")
        if types or not (style in STYLES or isinstance(explode, bool)):
            style = ""
        return _Field(
            schema,
            types,
            style if style in STYLES or style == "" else "form",
            explode if isinstance(explode, bool) else style in ("form", None),
            headers if isinstance(headers, Mapping) else {},
        )

    def named(self, value: Mapping[str, Any], problems: Problems, pointer: str) -> list[Part]:
        """Return the parts of an object: one for each property, several for a list."""
        made: list[Part] = []
        for name, raw in value.items():
            member = opened(raw)
            if member is None:
                continue
            place = f"{pointer}/{escaped(str(name))}"
            if _CONTROL.search(str(name)):
                problems.append((place, f"{place[1:]} has control characters in its name"))
                continue
            made.extend(self.of(str(name), member, self.field(name), problems, place))
        return made

    def of(self, name: str, value: Any, field: _Field, problems: Problems, pointer: str) -> list[Part]:
        """Return the parts of one property."""
        if field.style and not is_blob(value, field.schema):
            return self._styled(name, value, field, problems, pointer)
        whole = bool(field.types) and kind_of(field.types[0]) not in {"text", "binary"}
        if not isinstance(value, list | tuple) or whole:
            return self._one(name, value, field, problems, pointer)
        inner_field = field._replace(schema=self._registry.schema(items(field.schema, self._registry)))
        made: list[Part] = []
        for index, raw in enumerate(value):
            member = opened(raw)
            if member is not None:
                made.extend(self._one(name, member, inner_field, problems, f"{pointer}/{index}"))
        return made

    def sequence(self, values: Iterable[Any], problems: Problems, pointer: str) -> list[Part]:
        """Return the parts of a list, which have no names."""
        schema = self._registry.schema(items(self._media.schema, self._registry))
        made: list[Part] = []
        for index, raw in enumerate(values):
            made.extend(self._one(None, opened(raw), _Field(schema), problems, f"{pointer}/{index}"))
        return made

    def _styled(self, name: str, value: Any, field: _Field, problems: Problems, pointer: str) -> list[Part]:
        """Return the parts of a property with a style, as RFC 6570 has it, with nothing encoded."""
        try:
            return [Part(key, utf8(text)) for key, text in _pairs(name, value, field)]
        except Unfit as reason:
            problems.append((pointer, f"{pointer[1:]} {reason}"))
            return []

    def _one(
        self, name: str | None, value: Any, field: _Field, problems: Problems, pointer: str
    ) -> list[Part]:
        try:
            headers = dict(_headers(field.headers, self._registry))
            if is_blob(value, field.schema) or (
                is_binary(field.schema) and not isinstance(value, dict | list | tuple)
            ):
                return [_file(name, read_blob(value), field, headers)]
            kept = _complete(headers)
            made = self._written(value, field, problems, pointer)
        except Unfit as reason:
            problems.append((pointer, f"{pointer[1:]} {reason}"))
            return []
        return [Part(name, *made, "", kept)] if made else []

    def _written(self, value: Any, field: _Field, problems: Problems, pointer: str) -> Payload | None:
        """Return a part that is no file, with its type."""
        if field.types:
            chosen = field.types[0]
            if isinstance(value, dict | list | tuple):
                chosen = next((one for one in field.types if kind_of(one) != "text"), chosen)
            return self._compile(Media(type=chosen, schema=field.schema))(value, problems, pointer)
        if isinstance(value, dict | list | tuple):
            return _json(value, problems, pointer)
        return utf8(leaf(value) or ""), ""


def _pairs(name: str, value: Any, field: _Field) -> list[tuple[str, str]]:
    if field.style == "deepObject":
        return deep(name, value, lambda step: f"[{step}]")
    if isinstance(value, dict):
        pairs = [
            (str(key), text)
            for key, text in ((key, inner(one)) for key, one in value.items())
            if text is not None
        ]
        joined = DELIMITERS[field.style].join(text for pair in pairs for text in pair)
        return pairs if field.explode else [(name, joined)]
    if isinstance(value, list | tuple):
        texts = [text for text in map(inner, value) if text is not None]
        return (
            [(name, text) for text in texts]
            if field.explode
            else [(name, DELIMITERS[field.style].join(texts))]
        )
    return [(name, leaf(value) or "")]


def _file(name: str | None, blob: Blob, field: _Field, headers: dict[str, str | None]) -> Part:
    """Return the part of a file. Without a name it gets the part's: many servers know files by it."""
    if _CONTROL.search(blob.filename):
        raise Unfit("has control characters in its filename")
    if field.types and blob.type and not any(covers(one, blob.type) for one in field.types):
        raise Unfit(f"is {essence(blob.type)}, but must be {', '.join(field.types)}")
    kind = blob.type or (concrete(field.types[0], "binary") if field.types else "application/octet-stream")
    given = dict(headers)
    for key, value in blob.headers.items():
        text = leaf(value)
        same = next((one for one in given if one.lower() == str(key).lower()), str(key))
        given[same] = text
        if not _FIELD.fullmatch(same) or same.lower() in _OURS or not _VALUE.fullmatch(text or ""):
            raise Unfit(f"cannot have the header {str(key)[:60]!r}")
    return Part(name, blob.data, kind, blob.filename or name or "", _complete(given))


def _complete(headers: Mapping[str, str | None]) -> tuple[tuple[str, str], ...]:
    """Return headers that all have a value. Raises Unfit for the first that has none."""
    for key, text in headers.items():
        if text is None:
            raise Unfit(f"needs the header {key}")
    return tuple((key, text) for key, text in headers.items() if text is not None)


def _headers(declared: Mapping[str, Any], registry: Registry) -> Iterable[tuple[str, str | None]]:
    """Yield the headers of a part that the description has a value for; None for one that is wanted."""
    for name, raw in declared.items():
        header = registry.schema(raw)
        schema = registry.schema(header.get("schema", header))
        enum = schema.get("enum")
        only = enum[0] if isinstance(enum, list) and len(enum) == 1 else None
        value = schema.get("default", schema.get("const", only))
        if not _FIELD.fullmatch(name) or name.lower() in _OURS:
            continue
        text = inner(value) or ""
        sound = value is not None and _VALUE.fullmatch(text) is not None
        if sound or header.get("required") is True:
            yield name, text if sound else None


def assembled(parts: list[Part]) -> tuple[bytes, str]:
    """Return the body and its boundary, which nobody can put inside: it would have to hold its own hash."""
    blocks = [_block(part) for part in parts]
    hash_ = hashlib.blake2b(digest_size=16)
    for block in blocks:
        hash_.update(len(block).to_bytes(8, "big"))
        hash_.update(block)
    boundary = hash_.hexdigest()
    line = f"--{boundary}".encode()
    whole = b"".join(line + b"\r\n" + block + b"\r\n" for block in blocks)
    return whole + line + b"--\r\n", boundary


def _block(part: Part) -> bytes:
    lines = []
    if part.name is not None:
        disposition = f'Content-Disposition: form-data; name="{_quoted(part.name)}"'
        if part.filename:
            disposition += f'; filename="{_quoted(part.filename)}"'
        lines.append(disposition)
    elif part.filename:
        lines.append(f'Content-Disposition: attachment; filename="{_quoted(part.filename)}"')
    if part.type:
        lines.append(f"Content-Type: {part.type}")
    lines.extend(f"{name}: {value}" for name, value in part.headers)
    head = "".join(f"{line}\r\n" for line in lines)
    return utf8(head) + b"\r\n" + part.data


def _quoted(text: str) -> str:
    return "".join(_BREAKS.get(char, char) for char in text)

"""Reads the body of a request back to a value, by its media type and the schema declared for it.

Which media type it is was decided before; here its bytes are read, or refused with the reason. What travels
as text gets its types from the schema. Nothing here shares code with what writes requests.
"""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from actions.mock import multipart, xml
from actions.mock.matching import pairs
from actions.mock.parameters import Fields, Unreadable, Ways, from_json
from actions.mock.shapes import Shapes, View
from actions.specs.model import Media, MediaKind, Parameter, Style, media_kind

_MAX_FIELDS: Final = 10_000
_LINES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)
_CHARSETS: Final = frozenset(
    {
        "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "windows-1252", "utf-16", "utf-16le",
        "utf-16be",
    }
)  # fmt: skip
"""Some of the codecs that Python knows take far longer than their text is long."""
_NAME: Final = re.compile(r".*/(?:schemas|definitions|\$defs)/([^/]+)")
_STYLES: Final[Mapping[Any, Style]] = {
    "form": "form",
    "spaceDelimited": "spaceDelimited",
    "tabDelimited": "tabDelimited",
    "pipeDelimited": "pipeDelimited",
    "deepObject": "deepObject",
}


class BodyReader:
    """Reads the bodies that one description declares."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes

    def read(self, media: Media, content_type: str, body: bytes) -> list[Any]:
        """Return the values that a body can be, most likely first. Raises Unreadable."""
        view = self._shapes.view(media.schema)
        essence = content_type.partition(";")[0].strip().lower()
        if essence in _LINES:
            lines = _lines(body)
            return [lines, *lines[:1], _text(content_type, body)]
        return self._READERS[media_kind(content_type)](self, media, content_type, body, view)

    def _json(self, _: Media, content_type: str, body: bytes, __: View) -> list[Any]:
        charset = multipart.header_parameters(content_type).get("charset", "utf-8").lower()
        if charset not in ("utf-8", "utf8", "us-ascii"):
            raise Unreadable(f"is JSON in {charset[:40]}, but JSON is UTF-8")
        return [_json(body)]

    def _text(self, _: Media, content_type: str, body: bytes, view: View) -> list[Any]:
        return Ways(_text(content_type, body)).values(view)

    def _binary(self, _: Media, content_type: str, body: bytes, __: View) -> list[Any]:
        return [_file(content_type, body, None)]

    def _xml(self, media: Media, content_type: str, body: bytes, view: View) -> list[Any]:
        if view.types and view.types <= {"string", "null"}:
            _require_xml(body)
            return [_text(content_type, body)]
        ref = media.schema.get("$ref") if isinstance(media.schema, dict) else None
        named = _NAME.fullmatch(ref) if isinstance(ref, str) else None
        try:
            tree = xml.read(body, view, named[1] if named else "")
        except xml.BadXML as reason:
            raise Unreadable(str(reason)) from reason
        return Ways(tree).values(view)

    def _form(self, media: Media, _: str, body: bytes, view: View) -> list[Any]:
        try:
            text = body.decode("ascii")
        except UnicodeDecodeError as error:
            raise Unreadable("is a form, but has characters that are not percent-encoded") from error
        given = pairs(text)
        if len(given) > _MAX_FIELDS:
            raise Unreadable(f"has more than {_MAX_FIELDS} fields")
        if not (view.takes_object or view.names) and view.types:
            return Ways(text).values(view)  # the whole form, as somebody encoded it
        return self._fields(Fields(given), media, view)

    def _fields(self, fields: Fields, media: Media, view: View) -> list[Any]:
        """Read the fields of a form; last, with what was required and could not leave a trace."""
        made: list[dict[str, Any]] = [{}, {}]
        spread: list[str] = []
        nothing: dict[str, Any] = {}
        for name in view.names:
            member = view.member(name)
            field = _as_parameter(name, media.encoding.get(name), member)
            if not fields.has(name) and fields.spreads(field, member):
                spread.append(name)
            else:
                _add(made, name, self._field(fields, field, member), member)
            if name in view.required and fields.may_vanish(field, member):
                nothing[name] = {}
        for name in fields.left() if not spread else ():
            _add(made, name, fields.read_open(name, view.member(name)), view.member(name))
        for name in spread:
            ways = fields.read_spread(view.member(name), rest=name == spread[-1])
            _add(made, name, ways, view.member(name))
        return [*made, *({**nothing, **one} for one in made if nothing.keys() - one.keys())]

    def _field(self, fields: Fields, field: Parameter, member: View) -> Ways | None:
        if field.content_type and member.takes_list:
            # Each member is JSON, or the whole list is.
            texts = fields.take(field.name)
            read = [from_json(fields.decode(text)).trees[0] for text in texts]
            whole = read[0] if len(read) == 1 and isinstance(read[0], list) else read
            return Ways(whole, final=True) if texts else None
        return fields.read(field, member)

    def _multipart(self, media: Media, content_type: str, body: bytes, view: View) -> list[Any]:
        try:
            parts = multipart.split(content_type, body)
        except multipart.BadMultipart as reason:
            raise Unreadable(str(reason)) from reason
        is_form = content_type.strip().lower().startswith("multipart/form-data")
        if is_form and any(not part.name for part in parts):
            raise Unreadable("has a part without a name in its Content-Disposition")
        if not all(part.name for part in parts):
            return [[_part(part, view.item(), None)[0] for part in parts]]
        if view.is_binary and not view.takes_object and len(parts) == 1:
            return [_file(parts[0].content_type, parts[0].content, parts[0].filename)]
        made, parts = self._styled(parts, media, view)
        for part in parts:
            member = view.member(part.name)
            item = member.item() if member.takes_only_lists else member
            encoding = media.encoding.get(part.name)
            values = _both(_part(part, item, encoding if isinstance(encoding, dict) else None))
            for one, value in zip(made, values, strict=True):
                _put(one, part.name, value, member, is_item=item is not member)
        return list(made)

    def _styled(
        self, parts: list[multipart.Part], media: Media, view: View
    ) -> tuple[list[dict[str, Any]], list[multipart.Part]]:
        """Read the parts of properties that have a style; return the rest too. They are fields of a form."""
        made: list[dict[str, Any]] = [{}, {}]
        styled = [name for name, encoding in media.encoding.items() if _has_style(encoding)]
        if not styled:
            return made, parts
        spread = [
            name
            for name in styled
            if view.member(name).takes_object and all(part.name != name for part in parts)
        ]

        def is_one(part: multipart.Part) -> bool:
            if part.filename is not None or "content-type" in part.headers:
                return False
            base = part.name.partition("[")[0]
            return base in styled or (part.name not in view.names and bool(spread))

        # Nothing is encoded in a part; what a field of a form is split at stays as it is.
        given = [(part.name, quote(part.content, safe=",|")) for part in parts if is_one(part)]
        fields = Fields(given)
        for name in sorted(styled, key=spread.__contains__):
            member = view.member(name)
            field = _as_parameter(name, media.encoding[name], member)
            if not fields.has(name) and fields.spreads(field, member):
                _add(made, name, fields.read_spread(member, rest=name == spread[-1]), member)
            else:
                _add(made, name, fields.read(field, member), member)
        left = set(fields.left())
        return made, [part for part in parts if not is_one(part) or part.name in left]

    _READERS: Final[Mapping[MediaKind, Callable[["BodyReader", Media, str, bytes, View], list[Any]]]] = {
        "json": _json,
        "form": _form,
        "multipart": _multipart,
        "text": _text,
        "xml": _xml,
        "binary": _binary,
    }


def is_opaque(content_type: str, view: View) -> bool:
    """Say whether nothing can be said about a body but that it is there: no schema speaks of such bytes."""
    kind = media_kind(content_type)
    if kind == "binary":
        return content_type.partition(";")[0].strip().lower() not in _LINES
    return kind == "text" and not view.takes_scalar


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        told = f"is not JSON: {error}" if body.strip() else "is empty, which is not JSON"
        raise Unreadable(told) from error


def _lines(body: bytes) -> list[Any]:
    return [_json(line) for line in body.splitlines() if line.strip()]


def _require_xml(body: bytes) -> None:
    """Look whether a body is XML at all. Raises Unreadable."""
    try:
        xml.parse(body)
    except xml.BadXML as reason:
        raise Unreadable(str(reason)) from reason


def _text(content_type: str, body: bytes) -> str:
    charset = multipart.header_parameters(content_type).get("charset", "utf-8").lower()[:40]
    if charset not in _CHARSETS:
        raise Unreadable(f"is in {charset}, which is not known")
    try:
        return body.decode(charset)
    except UnicodeError as error:
        raise Unreadable(f"is not {charset} text") from error


def _file(content_type: str, content: bytes, filename: str | None) -> dict[str, Any]:
    """Return the content of a file as arguments say it."""
    made: dict[str, Any] = {"base64": base64.b64encode(content).decode("ascii"), "type": content_type}
    return made if filename is None else {**made, "filename": filename}


def _as_parameter(name: str, encoding: Any, member: View) -> Parameter:
    """Return how a field of a form travels: by its encoding, else lists repeated and objects as JSON."""
    own = encoding if isinstance(encoding, dict) else {}
    style = _STYLES.get(own["style"]) if isinstance(own.get("style"), str) else None
    if style is not None or "explode" in own:
        explode = own.get("explode", style in (None, "form")) is True
        return Parameter(name=name, location="query", style=style or "form", explode=explode)
    declared = own.get("contentType")
    nested = member.takes_object or (member.takes_list and member.item().takes_object)
    is_json = isinstance(declared, str) and "json" in declared
    if is_json or (nested and not isinstance(declared, str)):
        return Parameter(name=name, location="query", style="form", content_type="application/json")
    return Parameter(name=name, location="query", style="form", explode=True)


def _has_style(encoding: Any) -> bool:
    """Say whether a part travels by a style; a media type for it wins."""
    return (
        isinstance(encoding, dict)
        and not encoding.get("contentType")
        and bool({"style", "explode"} & encoding.keys())
    )


def _part(part: multipart.Part, view: View, encoding: Mapping[str, Any] | None) -> list[Any]:
    """Return the values that one part can be."""
    declared = encoding.get("contentType") if encoding else None
    if isinstance(declared, str) and declared.strip() and not _is_among(part.content_type, declared):
        raise Unreadable(
            f"has the part {part.name[:80]} as {part.content_type[:80]}, not as {declared[:120]}"
        )
    if part.headers.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
        raise Unreadable(f"has the part {part.name[:80]} with a Content-Transfer-Encoding, which is not read")
    kind = media_kind(part.content_type)
    if view.is_binary or kind == "binary" or part.filename is not None:
        made = _file(part.content_type, part.content, part.filename)
        # Plain text may be sent as a file; whether it is one only the description can say.
        return [made] if view.is_binary or "string" not in view.types else [_as_text(part), made]
    nested = view.takes_object or view.takes_list
    if kind == "json" or (nested and not view.takes_scalar and "content-type" not in part.headers):
        return [_json(part.content)]
    return Ways(_text(part.content_type, part.content)).values(view)


def _as_text(part: multipart.Part) -> str:
    try:
        return part.content.decode()
    except UnicodeDecodeError:
        return part.content.decode("latin-1")


def _is_among(content_type: str, declared: str) -> bool:
    essence = content_type.partition(";")[0].strip().lower()
    for one in declared.split(","):
        name = one.partition(";")[0].strip().lower()
        if name in (essence, "*/*") or (name.endswith("/*") and essence.startswith(name[:-1])):
            return True
    return False


def _put(made: dict[str, Any], name: str, value: Any, member: View, *, is_item: bool) -> None:
    """Add a part: another one of a list, or the only one of its name."""
    if is_item and not (isinstance(value, list) and name not in made and not member.item().takes_list):
        made.setdefault(name, []).append(value)
    elif name not in made:
        made[name] = value
    elif member.types and not member.takes_list:
        raise Unreadable(f"has several parts {name[:80]}, but it is not a list")
    else:
        known = made[name]
        made[name] = [*known, value] if isinstance(known, list) else [known, value]


def _add(made: list[dict[str, Any]], name: str, ways: Ways | None, view: View) -> None:
    if ways is not None:
        for one, value in zip(made, _both(ways.values(view)), strict=True):
            one[name] = value


def _both(values: list[Any]) -> tuple[Any, Any]:
    """Return the first two ways; the only one twice."""
    return values[0], values[1] if len(values) > 1 else values[0]

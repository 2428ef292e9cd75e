"""Makes values of the bodies of calls, and the one body of an operation of all its calls' bodies.

Known variables are filled in as text, before anything is parsed, as Postman does it. In JSON, a variable that
is not known and stands outside of quotes becomes text that is the variable. What is no JSON even then is kept
as text for people and is no argument.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from actions.specs.events import escape
from actions.specs.load import load
from actions.specs.model import Body, Media, media_kind
from actions.specs.postman.calls import Call, Pair, Payload
from actions.specs.postman.shapes import Shape
from actions.specs.postman.variables import LONE, PLACEHOLDER, Variables
from actions.specs.reading import preferred

_FORM, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_NO_BODY: Final = frozenset({"GET", "HEAD", "COPY", "PURGE", "UNLOCK"})
_LANGUAGES: Final = {
    "json": "application/json",
    "xml": "application/xml",
    "html": "text/html",
    "text": "text/plain",
    "javascript": "text/javascript",
    "graphql": "application/json",
}
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+*-]+/[A-Za-z0-9!#$&^_.+*-]+")
_STRING: Final = r'"(?:[^"\\]|\\[\s\S])*+"?'
"""A string of JSON; one that does not end goes to the end of the text, so that it is looked at once."""
_BARE: Final = "\ue002"
"""Stands before a hole outside of quotes while a text is parsed."""
_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")
_STRING_OR_HOLE: Final = re.compile(rf"{_STRING}|{{{{[^{{}}]*}}}}")
_STRING_OR_WORDS: Final = re.compile(rf"{_STRING}|<<?[^<>{{}}\"\n]{{1,80}}>>?")
_ESCAPED_QUOTES: Final = re.compile(r'[\\"]')
_HINT: Final = re.compile(r"<(string|long|integer|int|number|float|double|boolean|dateTime|date|uuid|any)>")
_MAX_DEPTH: Final = 100
_MAX_LENIENT: Final = 200_000
MAX_EXAMPLES: Final = 5
"""How many samples a media type shows; the presets have them all."""

HINTS: Final[dict[str, tuple[dict[str, Any], Any]]] = {
    "string": ({"type": "string"}, "string"),
    "any": ({}, "any"),
    "long": ({"type": "integer"}, 1),
    "integer": ({"type": "integer"}, 1),
    "int": ({"type": "integer"}, 1),
    "number": ({"type": "number"}, 1.5),
    "float": ({"type": "number"}, 1.5),
    "double": ({"type": "number"}, 1.5),
    "boolean": ({"type": "boolean"}, True),
    "dateTime": ({"type": "string", "format": "date-time"}, "2000-01-01T00:00:00Z"),
    "date": ({"type": "string", "format": "date"}, "2000-01-01"),
    "uuid": ({"type": "string", "format": "uuid"}, "00000000-0000-4000-8000-000000000000"),
}
"""What `<long>` and its like mean, which Postman writes where it made a collection of a description."""

ABSENT: Final[Any] = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The body of one call. `value` is ABSENT where it cannot be said as an argument; `problem` says why.

    `type` is "" where nothing tells the media type: it is that of the others then. `files` are the fields
    that are files, with the names that they have in the collection; "" is the whole body. `optional`: it is
    a file that nobody has chosen, so that Postman itself sends nothing. `bare` are the pointers into the
    value of variables that stood outside of quotes: what they hold is JSON, not text.
    """

    type: str
    value: Any = ABSENT
    text: str = ""
    fields: tuple[Pair, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    optional: bool = False
    bare: tuple[str, ...] = ()


def essence(media_type: str) -> str:
    """Return a media type without its parameters."""
    return media_type.partition(";")[0].strip().lower()


def hinted(value: str | None) -> tuple[dict[str, Any], Any] | None:
    """Return schema and sample for a value that only names its type."""
    match = _HINT.fullmatch(value.strip()) if value and value[:1] == "<" else None
    return HINTS[match.group(1)] if match else None


class Bodies:
    """Reads the bodies of a collection, each text once."""

    def __init__(self) -> None:
        self._json: dict[str, tuple[Any, str, tuple[str, ...]]] = {}

    def sent(self, call: Call, method: str, variables: Variables) -> Sent | None:
        """Return the body of a call, None when it sends none."""
        payload = call.payload
        if payload is None or not payload.mode or (call.pruned and method in _NO_BODY):
            return None
        declared = _declared(call, variables)
        if payload.mode == "raw":
            return self._raw(payload, declared, variables)
        if payload.mode == "graphql":
            return self._graphql(payload, variables)
        if payload.mode == "file":
            return _file(payload, declared or "application/octet-stream")
        if not payload.fields:
            return None
        form = payload.mode == "urlencoded" and media_kind(declared or _FORM) != "multipart"
        return _fields(payload.fields, _FORM if form else _MULTIPART, variables)

    def _raw(self, payload: Payload, declared: str, variables: Variables) -> Sent | None:
        if not payload.text.strip():
            return None
        filled = variables.fill(payload.text)
        type_ = declared or _LANGUAGES.get(payload.language.lower(), "") or _sniffed(filled)
        kind = media_kind(type_) if type_ else ""
        if kind == "form":
            return _fields(_typed_form(filled), type_, variables)
        if kind == "multipart":
            return Sent(type=type_, text=payload.text, problem=f"a body of {type_} is written as one text")
        if kind not in ("json", ""):
            return Sent(type=type_, value=filled, text=payload.text)
        value, problem, bare = self._value(filled)
        if problem and filled != payload.text:  # a value that is no JSON may stand outside of quotes
            value, problem, bare = self._value(variables.fill(_quoted(payload.text, _STRING_OR_HOLE)))
        if problem and not declared and not payload.language:
            return Sent(type="text/plain", value=filled, text=payload.text)
        return Sent(type=type_, value=value, text=payload.text, problem=problem, bare=bare)

    def _value(self, text: str) -> tuple[Any, str, tuple[str, ...]]:
        if text not in self._json:
            self._json[text] = _parsed(text)
        return self._json[text]

    def _graphql(self, payload: Payload, variables: Variables) -> Sent:
        value: dict[str, Any] = {"query": variables.fill(payload.text)}
        given = payload.variables
        if isinstance(given, str) and given.strip():
            given, *_ = self._value(variables.fill(given))
        if isinstance(given, dict) and given:
            value["variables"] = given
        if payload.operation:
            value["operationName"] = payload.operation
        return Sent(type="application/json", value=value, text=payload.text)


def _declared(call: Call, variables: Variables) -> str:
    """Return the media type that the Content-Type header names, without what only the wire needs."""
    for one in call.headers:
        if one.name.lower() == "content-type" and not one.disabled:
            text = variables.fill(one.value or "").strip()
            essence = text.partition(";")[0].strip()
            if _MEDIA_TYPE.fullmatch(essence):
                return essence if media_kind(essence) in ("multipart", "form", "json") else text
    return ""


def _sniffed(text: str) -> str:
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith("{{"):
        return "" if PLACEHOLDER.fullmatch(start.strip()) else "text/plain"
    if start[:1] in ("{", "["):
        return "application/json"
    if start[:1] == "<" and not _HINT.match(start):
        return "text/xml" if "Envelope" in start[:500] else "application/xml"
    return "application/json" if start[:1] == '"' else "text/plain"


def _parsed(text: str) -> tuple[Any, str, tuple[str, ...]]:
    """Return the JSON value of a text, or ABSENT and why it is none; and its bare holes."""
    whole = _quoted(text, _STRING_OR_HOLE) if "{{" in text else text
    try:
        value = decoded(whole)
    except (ValueError, RecursionError) as reason:
        if "<" in whole:
            whole = _quoted(whole, _STRING_OR_WORDS)  # `<your id>` stands where somebody has to write a value
        value = _leniently(whole)
        if value is ABSENT:
            return ABSENT, f"the body is no JSON: {reason}", ()
    bare: list[str] = []
    if _BARE in whole:
        value = _unmarked(value, "", bare)
    return (_exemplary(value) if _HINT.search(whole) else value), "", tuple(bare)


def _unmarked(value: Any, pointer: str, bare: list[str]) -> Any:
    """Return a value without the marks of its holes; note where those that are a whole value stand."""
    if isinstance(value, str):
        text = value.replace(_BARE, "")
        if text != value and LONE.fullmatch(text):
            bare.append(pointer)
        return text
    if isinstance(value, list):
        return [_unmarked(one, f"{pointer}/{index}", bare) for index, one in enumerate(value)]
    if isinstance(value, dict):
        return {
            name.replace(_BARE, ""): _unmarked(one, f"{pointer}/{escape(name)}", bare)
            for name, one in value.items()
        }
    return value


def decoded(text: str) -> Any:
    """Return the value of JSON that can be walked by recursion and written again. Raises ValueError."""
    value = json.loads(text, parse_constant=_no_number)
    if _too_deep(value):
        raise ValueError("it is nested too deep")
    if _HALF.search(text):
        msgspec.json.encode(value)  # half a surrogate pair is no text; UnicodeEncodeError is a ValueError
    return value


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            child
            for parent in level
            for child in (
                parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ()
            )
        ]
        if not level:
            return False
    return True


def _leniently(text: str) -> Any:
    if len(text) > _MAX_LENIENT or text.lstrip()[:1] not in ("{", "["):
        return ABSENT
    document = load("", text.encode("utf-8", "replace"))
    broken = any(one.severity == "error" for one in document.findings) or _too_deep(document.value)
    return ABSENT if broken or document.syntax != "json" else document.value


def _quoted(text: str, holes: re.Pattern[str]) -> str:
    """Return JSON in which every hole outside of quotes stands in quotes."""

    def quote(match: re.Match[str]) -> str:
        found = match.group()
        mark = _BARE if found[0] == "{" else ""
        return found if found[0] == '"' else f'"{mark}{_ESCAPED_QUOTES.sub(_escape, found)}"'

    return holes.sub(quote, text)


def _escape(match: re.Match[str]) -> str:
    return "\\" + match.group()


def _exemplary(value: Any) -> Any:
    """Return a value with samples in the places of type names like `<long>`."""
    if isinstance(value, str):
        hint = hinted(value)
        return hint[1] if hint else value
    if isinstance(value, list):
        return [_exemplary(one) for one in value]
    if isinstance(value, dict):
        return {name: _exemplary(one) for name, one in value.items()}
    return value


def _file(payload: Payload, type_: str) -> Sent:
    if payload.text:
        return Sent(type=type_, value=payload.text, text=payload.text)
    files = {one.name: one.value or "" for one in payload.fields}
    return Sent(type=type_, files=files or {"": ""}, optional=not files)


def _typed_form(text: str) -> tuple[Pair, ...]:
    try:
        parts = parse_qsl(text, keep_blank_values=True, max_num_fields=1_000)
    except ValueError:
        return ()
    return tuple(Pair(name=name, value=value) for name, value in parts if name)


def _fields(given: Sequence[Pair], type_: str, variables: Variables) -> Sent:
    value: dict[str, Any] = {}
    files: dict[str, str] = {}
    for one in given:
        if one.disabled:
            continue
        if one.file:
            files[one.name] = one.value or ""
            continue
        hint = hinted(one.value)
        text = hint[1] if hint else variables.fill(one.value or "")
        if one.name not in value:
            value[one.name] = text
        elif isinstance(value[one.name], list):
            value[one.name].append(text)
        else:
            value[one.name] = [value[one.name], text]
    return Sent(type=type_, value=value, fields=tuple(given), files=files)


# The body of an operation


def merged(given: Sequence[tuple[str, Sent | None]]) -> Body | None:
    """Return the body of the calls of one operation, by the names of their presets; None without any.

    Of media types that are equally good, that of most calls is sent.
    """
    sent = [(name, one) for name, one in given if one is not None]
    if not sent:
        return None
    counts = Counter(one.type for _, one in sent if one.type)
    types: dict[str, str] = {}
    for type_, _ in counts.most_common():
        types.setdefault(essence(type_), type_)  # `text/xml` and `text/xml; charset=utf-8` are one
    types = types or {"application/json": "application/json"}
    main = next(iter(types))
    media = []
    for short, type_ in types.items():
        of_type = [(name, one) for name, one in sent if (essence(one.type) or main) == short]
        media.append(_media(type_, of_type))
    return Body(
        media=preferred(media),
        required=len([one for _, one in sent if not one.optional]) == len(given),
        extras={"x-inferred-from": len(sent)},
    )


def _media(type_: str, sent: list[tuple[str, Sent]]) -> Media:
    kind = media_kind(type_)
    shown: dict[str, Any] = {}
    different: list[Any] = []
    for name, one in sent:
        if one.value is not ABSENT and len(shown) < MAX_EXAMPLES and one.value not in different:
            different.append(one.value)
            shown[name] = {"value": one.value}
    if kind in ("form", "multipart"):
        schema, encoding = _form_schema([one for _, one in sent])
        return Media(type=type_, schema=schema, encoding=encoding, examples=shown)
    if kind == "json":
        shape, seen = Shape(), set[int]()
        for _, one in sent:
            if one.value is not ABSENT and id(one.value) not in seen:
                seen.add(id(one.value))
                shape.add(one.value)
        schema = shape.schema()
    elif kind == "binary":
        schema = {"type": "string", "format": "binary"}
    else:
        schema = {"type": "string"}
    return Media(type=type_, schema=with_examples(schema, different), examples=shown)


def with_examples(schema: dict[str, Any], values: Iterable[Any]) -> dict[str, Any]:
    """Return a schema that shows the first of its samples."""
    first = next(iter(values), ABSENT)
    return schema if first is ABSENT else {**schema, "examples": [first]}


def _form_schema(sent: list[Sent]) -> tuple[dict[str, Any], dict[str, Any]]:
    properties: dict[str, Any] = {}
    encoding: dict[str, Any] = {}
    for one in (pair for body in sent for pair in body.fields):
        if one.name not in properties:
            hint = hinted(one.value)
            known: dict[str, Any] = {"type": "string"} if hint is None else dict(hint[0])
            if one.file:
                known = {"type": "string", "format": "binary"}
            elif one.value and hint is None and not PLACEHOLDER.search(one.value):
                known["examples"] = [one.value]
            properties[one.name] = {**known, "description": one.description} if one.description else known
        if one.content_type:
            encoding[one.name] = {"contentType": one.content_type}
    for body in sent:
        for name, value in body.value.items() if isinstance(body.value, dict) else ():
            if isinstance(value, list) and properties.get(name, {}).get("type") != "array":
                properties[name] = {"type": "array", "items": {"type": "string"}}
    always = [
        name
        for name in properties
        if len(sent) > 1
        and all(name in one.value or name in one.files for one in sent if isinstance(one.value, dict))
    ]
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return (schema | {"required": always} if always else schema), encoding

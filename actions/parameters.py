"""One parameter, compiled: what may be given for it, and how it is written.

Pure. A path parameter never becomes more or less than its part of a segment, save where the description says
that it spans several; a header never ends early.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

from actions.arguments import ABSENT, Problems, Token, Unfit, as_json, escaped, leaf, opened
from actions.bodies import compile_media
from actions.bodies.defaults import is_internal
from actions.bodies.media import kind_of
from actions.specs.model import Media, Parameter
from actions.specs.references import Registry
from actions.styles import Write, writer

SAFE: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")
"""Needs no encoding and cannot be a dot segment."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HEADER: Final = re.compile(r"(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?")
"""What RFC 9110 allows in a field's value, in ASCII: backends disagree about the rest."""
_SEPARATORS: Final = re.compile(r"[/\\]")
_ENCODED: Final = re.compile(r"(%[0-9A-Fa-f]{2})")
_OVERLONG: Final = re.compile(r"%c0%ae|%e0%80%ae|%f0%80%80%ae", re.IGNORECASE)
# Without what would end the value or the query: & # + and the brackets are encoded all the same.
_RESERVED: Final = ":/?@!$'()*,;="
_COOKIE_NAME: Final = "!#$&'*+^`|"
# On the wire everything is text: "5" is as good an integer as 5, and as 5.0.
_SPELLINGS: Final = {
    "integer": re.compile(r"-?[0-9]+(?:\.0+)?"),
    "number": re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"),
    "boolean": re.compile(r"true|false"),
}
_EXACT: Final[dict[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    list: "array",
    dict: "object",
}
"""Types of values that need no second look where they are declared."""
_KINDS: Final[dict[type, str]] = {bool: "a boolean", dict: "an object", list: "a list"}
_WORDS: Final = {"array": "a list", "object": "an object", "integer": "an integer", "string": "text"}


class Input(NamedTuple):
    """One parameter, compiled. `types` is empty where any type will do."""

    name: str
    location: str
    pointer: str
    required: bool
    default: Any
    types: frozenset[str]
    write: Write
    in_path: bool = False  # stands in a segment
    spans: bool = False  # or in several

    def text(self, value: Any, problems: Problems) -> str | None:
        """Return the value as it is sent, None when it is not; what is wrong goes to the problems."""
        if value is ABSENT:
            value, types = self.default, frozenset[str]()  # as the description has it, whatever its type
        else:
            value, types = opened(value), self.types
        if value is ABSENT or value is None:
            # As in RFC 6570, null is nothing to send.
            if self.required:
                null = " and must not be null" if value is None else ""
                problems.append((self.pointer, f"{self.name} is required{null}"))
            return None
        try:
            if types and _EXACT.get(type(value)) not in types:
                value = _typed(value, types)
            text = self.write(value)
            if self.in_path:
                _check_path(value, text, spans=self.spans)
        except Unfit as reason:
            problems.append((self.pointer, f"{self.name} {reason}"))
            return None
        return text


def compile_parameter(
    one: Parameter, registry: Registry, *, group: str, filled: bool, spans: bool = False, asked: bool = False
) -> Input:
    """Compile a parameter that stands at `group` in the arguments.

    `filled`: somebody else sends it. `spans`: the path says that it may be several segments; `asked`: it
    stands in the query that is part of the path.
    """
    schema = registry.schema(one.schema)
    spans = one.location == "path" and (spans or one.extras.get("x-ms-skip-url-encoding") is True)
    always = one.required or is_internal(one.extras)
    return Input(
        name=one.name,
        location=one.location,
        pointer=f"{group}/{escaped(one.name)}",
        required=one.required and not filled,
        default=schema.get("default", ABSENT) if always else ABSENT,
        types=frozenset() if one.content_type else _types(schema),
        write=_writer(one, registry, spans=spans),
        in_path=one.location == "path" and not asked,
        spans=spans,
    )


def _typed(value: Any, types: frozenset[str]) -> Any:
    """Return the value, fitted where only its spelling differs. Raises Unfit for a plainly wrong type."""
    if _fits(value, types):
        whole = isinstance(value, float) and value.is_integer() and "number" not in types
        return int(value) if whole and "integer" in types else value
    wanted = " or ".join(sorted(_WORDS.get(name, f"a {name}") for name in types - {"null"}))
    shown = repr(value[:40]) if isinstance(value, str) else _KINDS.get(type(value), str(value)[:40])
    raise Unfit(f"must be {wanted or 'null'}, not {shown}")


def _fits(value: Any, types: frozenset[str]) -> bool:
    if isinstance(value, list | tuple | dict):
        return ("object" if isinstance(value, dict) else "array") in types
    if "string" in types:
        return True
    try:
        text = leaf(value) or ""
    except Unfit:
        return True  # the writer says so, in better words
    return any(_SPELLINGS[name].fullmatch(text) for name in types if name in _SPELLINGS)


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    declared = schema.get("type")
    names = [declared] if isinstance(declared, str) else declared if isinstance(declared, list) else []
    known = {"string", "number", "integer", "boolean", "array", "object", "null"}
    return frozenset(names) if all(isinstance(one, str) and one in known for one in names) else frozenset()


def _writer(one: Parameter, registry: Registry, *, spans: bool) -> Write:
    if one.location == "header":
        return _header(one, registry)
    encode = _encoder(one, spans=spans)
    if one.content_type:
        content = _content(one, registry)
        label = "" if one.location == "path" else f"{_label(one)}="
        return lambda value: label + encode(content(value))
    label = _label(one)
    write = writer(one.location, one.style, explode=one.explode, name=one.name, encode=encode, label=label)
    if one.location != "query" or one.style != "form":
        return write
    start = f"{label}="

    def scalar_first(value: Any) -> str:
        if type(value) is str:
            return start + (value if SAFE.fullmatch(value) else encode(value))
        return write(value)

    return scalar_first


def _header(one: Parameter, registry: Registry) -> Write:
    if one.content_type:
        content = _content(one, registry)
        json = kind_of(one.content_type) == "json"
        inner: Write = (lambda value: _ascii_json(content(value))) if json else content
    else:
        inner = _flat(writer("header", one.style, explode=one.explode, name=one.name, encode=str))

    def header(value: Any) -> str:
        text = inner(value)
        if not _HEADER.fullmatch(text):
            raise Unfit("has characters that a header cannot carry")
        return text

    return header


def _flat(write: Write) -> Write:
    """Return a writer that sends what has lists or objects inside as one JSON text."""

    def flat(value: Any) -> str:
        known = opened(value)
        if isinstance(known, list | tuple | dict):
            members = known.values() if isinstance(known, dict) else known
            if any(isinstance(opened(one), list | tuple | dict) for one in members):
                return _ascii_json(as_json(value).decode())
        return write(known)

    return flat


def _content(one: Parameter, registry: Registry) -> Write:
    """Return the writer of a parameter that travels as a media type."""
    if kind_of(one.content_type) == "json":
        return lambda value: as_json(value).decode()
    write = compile_media(Media(type=one.content_type, schema=one.schema), registry)

    def content(value: Any) -> str:
        problems: Problems = []
        made = write(value, problems, "/")
        if made is None:
            raise Unfit("; ".join(text.strip() for _, text in problems))
        try:
            return made[0].decode()
        except UnicodeDecodeError as error:
            raise Unfit("has bytes that are no text, which only a body can carry") from error

    return content


def _ascii_json(text: str) -> str:
    """Return JSON text in ASCII: what is not becomes escapes of UTF-16."""
    if text.isascii():
        return text
    units = text.encode("utf-16-be", "surrogatepass")
    pairs = (int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2))
    return "".join(chr(unit) if unit < 0x80 else f"\\u{unit:04x}" for unit in pairs)


def _label(one: Parameter) -> str:
    """Return the name as it is written: a cookie's is a token and stays, the others are encoded."""
    return quote(one.name, safe=_COOKIE_NAME if one.location == "cookie" else "$@:")


def _encoder(one: Parameter, *, spans: bool) -> Callable[[str], str]:
    if one.twice_encoded:
        return _encode_twice
    if spans:
        return _encode_segments
    if one.allow_reserved:
        return _encode_reserved if one.location == "query" else _encode_reserved_path
    return _encode


def _encode(text: str, safe: str = "") -> str:
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError as error:
        raise Unfit("has half a surrogate pair") from error


def _encode_twice(text: str) -> str:
    return quote(_encode(text), safe="")


def _encode_reserved(text: str, safe: str = _RESERVED) -> str:
    """Encode, but neither what is reserved nor what is encoded already (RFC 6570, reserved expansion)."""
    if "%" not in text:
        return _encode(text, safe)
    halves = enumerate(_ENCODED.split(text))
    return "".join(part if index % 2 else _encode(part, safe) for index, part in halves)


def _encode_reserved_path(text: str) -> str:
    return _encode_reserved(text, "@:!$'()*,;=&+")


def _encode_segments(text: str) -> str:
    return _encode(text, "/@:!$'()*,;=&+")


def _check_path(value: Any, text: str, *, spans: bool) -> None:
    if type(value) is str and SAFE.fullmatch(value):
        return
    if isinstance(value, str | Token) and has_dots(value):
        raise Unfit("would change the path: it has a dot segment")
    if not text:  # `;name` and `.` are how matrix and label write what is empty
        raise Unfit("is empty, but it is part of the path")
    if _CONTROL.search(unquote(text)):
        raise Unfit("has control characters, but it is part of the path")
    if spans and not all(text.split("/")):
        raise Unfit("has an empty segment, but it is part of the path")


def has_dots(text: str) -> bool:
    """Say whether text is, or has, a dot segment, now or after up to three rounds of percent-decoding."""
    for _ in range(4):
        if _OVERLONG.search(text):  # a dot in more bytes than it needs: old decoders take it for one
            return True
        for segment in _SEPARATORS.split(text if text.isascii() else unicodedata.normalize("NFKC", text)):
            # Some servers cut a segment at `;` or NUL before they look at its dots.
            if segment.partition(";")[0].partition("\0")[0].strip() in {".", ".."}:
                return True
        decoded = unquote(text)
        if decoded == text:
            return False
        text = decoded
    return False

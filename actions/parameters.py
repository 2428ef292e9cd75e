"""One parameter, compiled: what may be given for it, and how it is written.

Pure. A path parameter never becomes more or less than its part of a segment; a header never ends early.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

from actions.specs.model import Parameter
from actions.specs.references import Registry
from actions.styles import Token, Unfit, Write, as_json, leaf, opened, writer

ABSENT: Final = object()
"""Stands for an argument that was not given; null is something else."""

SAFE: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")
"""Needs no encoding and cannot be a dot segment."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_HEADER_UNFIT: Final = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_SEPARATORS: Final = re.compile(r"[/\\]")
# On the wire everything is text: "5" is as good an integer as 5, and as 5.0.
_SPELLINGS: Final = {
    "integer": re.compile(r"-?[0-9]+(?:\.0+)?"),
    "number": re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"),
    "boolean": re.compile(r"true|false"),
}
_KINDS: Final[dict[type, str]] = {bool: "a boolean", dict: "an object", list: "a list"}
_WORDS: Final = {"array": "a list", "object": "an object", "integer": "an integer", "string": "text"}

Problems = list[tuple[str, str]]
"""What is wrong with the arguments: JSON pointer into them, and text."""


class Input(NamedTuple):
    """One parameter, compiled. `types` is empty where any type will do."""

    name: str
    location: str
    pointer: str
    required: bool
    default: Any
    types: frozenset[str]
    write: Write

    def text(self, value: Any, problems: Problems) -> str | None:
        """Return the value as it is sent, None when it is not; what is wrong goes to the problems."""
        value = self.default if value is ABSENT else opened(value)
        if value is ABSENT or value is None:
            # As in RFC 6570, null is nothing to send.
            if self.required:
                null = " and must not be null" if value is None else ""
                problems.append((self.pointer, f"{self.name} is required{null}"))
            return None
        try:
            text = self.write(self._typed(value))
            if self.location == "path":
                _check_path(value, text)
        except Unfit as reason:
            problems.append((self.pointer, f"{self.name} {reason}"))
            return None
        return text

    def _typed(self, value: Any) -> Any:
        """Return the value, fitted where only its spelling differs. Raises Unfit for a plainly wrong type."""
        types = self.types
        if not types or (type(value) is str and "string" in types):
            return value
        if _fits(value, types):
            whole = isinstance(value, float) and value.is_integer() and "number" not in types
            return int(value) if whole and "integer" in types else value
        wanted = " or ".join(sorted(_WORDS.get(name, f"a {name}") for name in types - {"null"}))
        shown = repr(value[:40]) if isinstance(value, str) else _KINDS.get(type(value), str(value)[:40])
        raise Unfit(f"must be {wanted or 'null'}, not {shown}")


def compile_parameter(one: Parameter, registry: Registry, *, group: str, filled: bool) -> Input:
    """Compile a parameter that stands at `group` in the arguments; `filled`: somebody else sends it."""
    schema = registry.schema(one.schema)
    escaped = one.name.replace("~", "~0").replace("/", "~1")
    return Input(
        name=one.name,
        location=one.location,
        pointer=f"{group}/{escaped}",
        required=one.required and not filled,
        default=schema.get("default", ABSENT) if one.required else ABSENT,
        types=frozenset() if one.content_type else _types(schema),
        write=_writer(one),
    )


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


def _writer(one: Parameter) -> Write:
    if one.location == "header":
        inner = writer("header", "simple", explode=one.explode, name=one.name, encode=str)
        inner = _as_json if one.content_type else inner

        def header(value: Any) -> str:
            text = inner(value)
            if _HEADER_UNFIT.search(text):
                raise Unfit("has characters that a header cannot carry")
            return text

        return header
    encode = _encode_reserved if one.allow_reserved else _encode
    if one.twice_encoded:
        encode = _encode_twice
    if one.content_type:
        if one.location == "path":
            return lambda value: encode(_as_json(value))
        name = _encode_name(one.name)
        return lambda value: f"{name}={encode(_as_json(value))}"
    write = writer(one.location, one.style, explode=one.explode, name=one.name, encode=encode)
    if one.location != "query" or one.style != "form":
        return write
    label = f"{_encode_name(one.name)}="

    def scalar_first(value: Any) -> str:
        if type(value) is str:
            return label + (value if SAFE.fullmatch(value) else encode(value))
        return write(value)

    return scalar_first


def _as_json(value: Any) -> str:
    return as_json(value).decode()


def _encode(text: str, safe: str = "") -> str:
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError as error:
        raise Unfit("has half a surrogate pair") from error


def _encode_twice(text: str) -> str:
    return quote(_encode(text), safe="")


def _encode_reserved(text: str) -> str:
    # Without what would end the value or the query: & # + and the brackets are encoded all the same.
    return _encode(text, ":/?@!$'()*,;=")


def _encode_name(text: str) -> str:
    return quote(text, safe="$@:")


def _check_path(value: Any, text: str) -> None:
    if type(value) is str and SAFE.fullmatch(value):
        return
    if isinstance(value, str | Token) and has_dots(value):
        raise Unfit("would change the path: it has a dot segment")
    if not text or value == "":
        raise Unfit("is empty, but it is part of the path")
    if _CONTROL.search(unquote(text)):
        raise Unfit("has control characters, but it is part of the path")


def has_dots(text: str) -> bool:
    """Say whether text is, or has, a dot segment, now or after up to three rounds of percent-decoding."""
    for _ in range(4):
        for segment in _SEPARATORS.split(text):
            # Some servers cut a segment at `;` or NUL before they look at its dots.
            if segment.partition(";")[0].partition("\0")[0].strip() in {".", ".."}:
                return True
        decoded = unquote(text)
        if decoded == text:
            return False
        text = decoded
    return False

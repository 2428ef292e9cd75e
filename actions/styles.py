"""How a value is written as a parameter: the style table of OpenAPI, as one table and one expansion.

Pure text. Nothing here knows where the text goes; whoever uses it says how characters are encoded. A
`msgspec.Raw` is a JSON token whose text is sent as it came (`1.10` stays `1.10`).
"""

import json
import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from actions.specs.model import Style

Encode = Callable[[str], str]
Write = Callable[[Any], str]


_encode_json: Final = msgspec.json.Encoder().encode


class Unfit(ValueError):
    """The value cannot be written in this place; the text goes on after the name of the input."""


class Token(str):
    """The text of a JSON number or boolean, as it came."""

    __slots__ = ()


class _Shape(NamedTuple):
    """One line of the table: what comes first, what stands between, and whether names are written."""

    start: str
    between: str  # the parts of an exploded value
    flat: str  # the parts of a value that is not exploded
    named: bool


SHAPES: Final[dict[tuple[str, Style], _Shape]] = {
    ("path", "simple"): _Shape("", ",", ",", named=False),
    ("path", "label"): _Shape(".", ".", ",", named=False),
    ("path", "matrix"): _Shape(";", ";", ",", named=True),
    ("query", "form"): _Shape("", "&", ",", named=True),
    ("query", "spaceDelimited"): _Shape("", "&", "%20", named=True),
    ("query", "tabDelimited"): _Shape("", "&", "%09", named=True),
    ("query", "pipeDelimited"): _Shape("", "&", "%7C", named=True),
    ("header", "simple"): _Shape("", ",", ",", named=False),
    ("cookie", "form"): _Shape("", "; ", ",", named=True),
}
"""RFC 6570, which versions 3.0.4 and 3.1.1 of the specification made the rule for all styles."""


def opened(value: Any) -> Any:
    """Return a Raw as text, Token, None, or a list or dict whose members may be Raw; others as they are."""
    if not isinstance(value, msgspec.Raw):
        return value
    token = bytes(value).strip()
    first = token[:1]
    if first == b"{":
        return msgspec.json.decode(token, type=dict[str, msgspec.Raw])
    if first == b"[":
        return msgspec.json.decode(token, type=list[msgspec.Raw])
    if first == b'"':
        return msgspec.json.decode(token, type=str)
    return None if token == b"null" else Token(token.decode("ascii"))


def leaf(value: Any) -> str | None:
    """Return the text of a scalar, None for null. Raises Unfit for anything else."""
    value = opened(value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = json.dumps(value)
        if text.lstrip("-") in {"NaN", "Infinity"}:
            raise Unfit("is not a number that JSON has")
        return text
    if isinstance(value, list | tuple | dict):
        raise Unfit("has a list or an object inside, which this style cannot carry")
    raise Unfit(f"is of a kind that JSON does not have ({type(value).__name__})")


def as_json(value: Any) -> bytes:
    """Return a value as JSON, tokens as they came. Raises Unfit for what JSON cannot say."""
    try:
        text = _encode_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unfit(f"cannot be written as JSON: {error}") from error
    if b"null" in text:
        _refuse_nan(value)  # msgspec writes NaN and the infinities as null
    return text


def _refuse_nan(value: Any) -> None:
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, float) and not math.isfinite(one):
            raise Unfit(f"has the number {one}, which JSON does not have")
        if isinstance(one, dict):
            stack.extend(one.values())
        elif isinstance(one, list | tuple):
            stack.extend(one)


def writer(location: str, style: Style, *, explode: bool, name: str, encode: Encode) -> Write:
    """Return the function that writes values of one parameter; `name` is written encoded.

    The function returns "" for what leaves no trace (an empty list, exploded) and raises Unfit.
    """
    named = encode(name)
    if style == "deepObject":
        return lambda value: "&".join(_deep(named, opened(value), encode))
    shape = SHAPES[location, style]
    label = f"{named}=" if shape.named else ""

    def write(value: Any) -> str:
        value = opened(value)
        if isinstance(value, list | tuple):
            texts = [encode(text) for text in map(leaf, value) if text is not None]
            if not explode:
                return shape.start + label + shape.flat.join(texts)
            return shape.start + shape.between.join(label + text for text in texts) if texts else ""
        if isinstance(value, dict):
            members = [(encode(key), leaf(member)) for key, member in value.items()]
            pairs = [(key, encode(text)) for key, text in members if text is not None]
            if not explode:
                return shape.start + label + shape.flat.join(text for pair in pairs for text in pair)
            return shape.start + shape.between.join(f"{key}={text}" for key, text in pairs) if pairs else ""
        text = encode(leaf(value) or "")
        # RFC 6570: a matrix parameter with an empty value is written without the equals sign.
        return shape.start + (label + text if text or style != "matrix" else named)

    return write


def _deep(prefix: str, value: Any, encode: Encode) -> list[str]:
    """Return `name[key]=text` for all of an object; lists inside are numbered."""
    if isinstance(value, dict | list | tuple):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        return [
            pair
            for key, member in members
            for pair in _deep(f"{prefix}%5B{encode(str(key))}%5D", opened(member), encode)
        ]
    text = leaf(value)
    return [] if text is None else [f"{prefix}={encode(text)}"]

"""Values of arguments, whichever way they come: Python's own, or a JSON token nobody has read yet.

Pure. A `msgspec.Raw` is a JSON token whose text is sent as it came (`1.10` stays `1.10`, integers keep their
twenty digits). Nothing here knows where a value goes.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

ABSENT: Final = object()
"""Stands for an argument that was not given; null is something else."""

Problems = list[tuple[str, str]]
"""What is wrong with the arguments: JSON pointer into them, and text."""

MAX_PROBLEMS: Final = 100
"""How many problems of one body are listed."""

_encode_json: Final = msgspec.json.Encoder().encode
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


class Unfit(ValueError):
    """The value cannot be written in this place; the text goes on after the name of the input."""


class Token(str):
    """The text of a JSON number or boolean, as it came."""

    __slots__ = ()


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
        raise Unfit("has a list or an object inside, which cannot be carried here")
    raise Unfit(f"is of a kind that JSON does not have ({type(value).__name__})")


def as_json(value: Any) -> bytes:
    """Return a value as JSON, tokens as they came. Raises Unfit for what JSON cannot say."""
    try:
        text = _encode_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        for _, reason in not_json(value):
            raise Unfit(reason) from error
        raise Unfit(f"cannot be written as JSON: {error}") from error
    if b"null" in text:  # msgspec writes NaN and the infinities as null
        for _, reason in not_json(value):
            raise Unfit(reason)
    return text


def not_json(value: Any) -> Iterator[tuple[str, str]]:
    """Yield pointer and reason of everything inside a value that JSON cannot say."""
    stack: list[tuple[str, Any]] = [("", value)]
    while stack:
        pointer, one = stack.pop()
        if isinstance(one, float) and not math.isfinite(one):
            yield pointer, f"has the number {one}, which JSON does not have"
        elif isinstance(one, str) and not one.isascii() and _SURROGATE.search(one):
            yield pointer, "cannot be written as JSON: it has half a surrogate pair"
        elif isinstance(one, Mapping):
            stack.extend((f"{pointer}/{escaped(str(key))}", member) for key, member in one.items())
        elif isinstance(one, list | tuple):
            stack.extend((f"{pointer}/{index}", member) for index, member in enumerate(one))
        elif one is not None and not isinstance(one, str | int | float | msgspec.Raw):
            yield (
                pointer,
                f"cannot be written as JSON: it is of a kind that JSON lacks ({type(one).__name__})",
            )


def escaped(name: str) -> str:
    """Return a name as one step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def utf8(text: str) -> bytes:
    """Return text in UTF-8. Raises Unfit for half a surrogate pair, which no encoding has."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Unfit("has half a surrogate pair") from error

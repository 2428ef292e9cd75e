"""Makes what is said about a trouble storable, whatever stands in it: it must be told in any case. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec


def text(value: str) -> str:
    """Return a text with whatever is no character of Unicode (half a surrogate pair) written out."""
    return value.encode("utf-8", "backslashreplace").decode()


def encode(data: Mapping[str, Any]) -> bytes:
    """Return the JSON of an object; what JSON does not know stands there as Python shows it."""
    try:
        return msgspec.json.encode(data)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return msgspec.json.encode({text(str(name)): _plain(value) for name, value in data.items()})


def _plain(value: Any) -> Any:
    try:
        msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return text(value if isinstance(value, str) else repr(value))
    return value

"""Files and other bytes in arguments: how JSON says them.

Pure. A plain string is its own UTF-8 text; `{"base64": "…"}` and `{"text": "…"}` may name a file and a type.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from actions.arguments import Unfit, leaf, opened, utf8
from actions.bodies.media import TYPE, essence, kind_of

MAX_BYTES: Final = 64 << 20
"""How many bytes one body may have that is made of files."""

_CONTENT: Final = frozenset({"base64", "text"})
_KEYS: Final = _CONTENT | {"filename", "type", "headers"}


class Blob(NamedTuple):
    """Bytes, and what was said of them; "" and {} where nothing was."""

    data: bytes
    filename: str = ""
    type: str = ""
    headers: Mapping[str, Any] = {}


def is_blob(value: Any, schema: Mapping[str, Any]) -> bool:
    """Say whether an object stands for bytes; not where its schema has properties of these names."""
    if not isinstance(value, dict) or not value.keys() <= _KEYS or len(value.keys() & _CONTENT) != 1:
        return False
    declared = schema.get("properties")
    return not (isinstance(declared, dict) and declared.keys() & value.keys())


def is_binary(schema: Mapping[str, Any]) -> bool:
    """Say whether a schema describes bytes: a file, as every version of OpenAPI writes it."""
    if schema.get("type") == "file":
        return True
    if schema.get("format") in ("binary", "file"):  # a tuple: it may be a list
        return schema.get("type", "string") == "string" or isinstance(schema.get("type"), list)
    kind = schema.get("contentMediaType")
    return isinstance(kind, str) and "contentEncoding" not in schema and kind_of(kind) == "binary"


def read_blob(value: Any) -> Blob:
    """Return the bytes of text or of an object that `is_blob`. Raises Unfit."""
    if isinstance(value, bytes):
        return Blob(_bounded(value))
    if not isinstance(value, dict):
        return Blob(_bounded(utf8(leaf(value) or "")))
    given = {key: opened(member) for key, member in value.items()}
    for key in ("base64", "text", "filename", "type"):
        if key in given and not isinstance(given[key], str):
            raise Unfit(f"must have text as its {key}")
    headers = given.get("headers") or {}
    if not isinstance(headers, dict):
        raise Unfit("must have an object as its headers")
    kind = given.get("type", "").strip()
    if kind and (not TYPE.fullmatch(essence(kind)) or not kind.isprintable() or not kind.isascii()):
        raise Unfit(f"has {kind[:80]!r} as its type, which is no media type")
    data = utf8(given["text"]) if "text" in given else _decoded(given["base64"])
    return Blob(_bounded(data), given.get("filename", ""), kind, headers)


def _decoded(text: str) -> bytes:
    if len(text) > MAX_BYTES * 4 // 3 + 4:
        raise Unfit(f"is larger than {MAX_BYTES >> 20} MiB")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unfit("has a base64 that cannot be decoded") from error


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise Unfit(f"is larger than {MAX_BYTES >> 20} MiB")
    return data

"""How an idempotency key is written for one operation: as its header is described, else as the standard says.

Pure: the same key is always written in the same way.
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from actions.specs.model import Operation
from actions.specs.references import Registry
from actions.validation.texts import matches

KEY_HEADER: Final = "Idempotency-Key"
_LENGTH: Final = 34
"""Characters of our keys in quotes."""
_SHAPE: Final = "0123456789abcdef" * 2
"""A key as ours are made: a hash in hexadecimal."""


def key_writer(operation: Operation, header: str, registry: Registry) -> Callable[[str], str]:
    """Return what writes keys for a header.

    The standard header's is a structured field's string (draft-ietf-httpapi-idempotency-key-header, RFC 9651
    §3.3.3), unless its description leaves no room for that; vendors' own take it bare, or as a UUID.
    """
    declared = next(
        (one for one in operation.parameters if (one.location, one.name) == ("header", header)), None
    )
    schema = registry.schema(declared.schema) if declared is not None else {}
    if schema.get("format") == "uuid" or (not _fits(_SHAPE, schema) and _fits(as_uuid(_SHAPE), schema)):
        return as_uuid
    longest = schema.get("maxLength")
    narrow = "pattern" in schema or (isinstance(longest, int) and longest < _LENGTH)
    return sf_string if header.lower() == KEY_HEADER.lower() and not narrow else str


def _fits(text: str, schema: Mapping[str, Any]) -> bool:
    """Say whether a text has the length and the pattern that a header's schema asks for."""
    least, most, pattern = (schema.get(word) for word in ("minLength", "maxLength", "pattern"))
    return (
        not (isinstance(least, int) and len(text) < least)
        and not (isinstance(most, int) and len(text) > most)
        and not (isinstance(pattern, str) and not matches(pattern, text))
    )


def sf_string(text: str) -> str:
    """Return text as a structured field's string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def as_uuid(key: str) -> str:
    """Return a key as a UUID that looks random (version 4): some servers check that."""
    digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
    return str(uuid.UUID(bytes=digest, version=4))

"""The encoders extension: base64."""

import base64
import binascii
import re
from typing import Final

from service.rules.cel.budget import Budget
from service.rules.cel.errors import Fault
from service.rules.cel.functions import Function, Overload

_ALPHABET: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def _encode(budget: Budget, value: bytes) -> str:
    budget.spend(len(value) >> 5)
    return base64.b64encode(value).decode("ascii")


def _decode(budget: Budget, value: str) -> bytes:
    """Decode the standard alphabet, with its padding or without."""
    budget.spend(len(value) >> 5)
    if _ALPHABET.fullmatch(value) is None:
        raise Fault("the string is not base64")
    bare = value.rstrip("=")
    padded = bare + "=" * (-len(bare) % 4)
    if value not in (bare, padded):
        raise Fault("the string is not base64: its padding is wrong")
    try:
        return base64.b64decode(padded, validate=True)
    except binascii.Error:
        raise Fault("the string is not base64: its length is wrong") from None


FUNCTIONS: Final = (
    Function("base64.encode", (Overload((bytes,), str, _encode),)),
    Function("base64.decode", (Overload((str,), bytes, _decode),)),
)

"""Public ids: what the outside is shown instead of numbers. Pure."""

from typing import Final

from service.store.base import RunKey

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)


def message_id(number: int) -> str:
    """Return the public id of a message number."""
    return "msg_" + _base32(number)


def reject_id(number: int) -> str:
    """Return the public id of a reject number."""
    return "rej_" + _base32(number)


def delivery_id(key: RunKey) -> str:
    """Return the public id of a run: message, rule number, run number."""
    return f"dlv_{_base32(key.message)}-{key.rule}-{key.run}"


def parse_id(text: str, prefix: str) -> int | None:
    """Return the number behind a public id, None when it is none."""
    if not text.startswith(prefix):
        return None
    number = 0
    for sign in text[len(prefix) :]:
        digit = _ALPHABET.find(sign)
        if digit < 0:
            return None
        number = number << 5 | digit
    return number if len(text) > len(prefix) and number < 1 << 63 else None


def parse_delivery_id(text: str) -> RunKey | None:
    """Return the key behind a delivery's public id, None when it is none."""
    first, _, rest = text.partition("-")
    rule, _, run = rest.partition("-")
    number = parse_id(first, "dlv_")
    if number is None or not (rule.isascii() and rule.isdigit() and run.isascii() and run.isdigit()):
        return None
    return RunKey(number, int(rule[:18]), int(run[:18]))


def _base32(number: int) -> str:
    text = ""
    while number:
        text = _PAIRS[number & 1023] + text
        number >>= 10
    return text.lstrip("0").rjust(6, "0")

"""The schema that samples of a value have in common: what all are, and nothing that only one is. Pure.

A member is required where every sample of its object had it; a format is named where every text is of it.
What is deeper or more than the bounds is anything. No value of a sample stands in a schema.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

MAX_DEPTH: Final = 30
MAX_NAMES: Final = 1_000
MAX_ITEMS: Final = 1_000

_TYPES: Final[Mapping[type, str]] = {
    str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"
}  # fmt: skip
_FORMATS: Final = (
    ("uuid", re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)),
    (
        "date-time",
        re.compile(
            r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?"
            r"(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)"
        ),
    ),
    ("date", re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")),
    ("uri", re.compile(r"https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d+)?(?:[/?#][A-Za-z0-9._~:/?#@!$&'()*+,;=%-]*)?")),
)  # fmt: skip
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,14}")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,15}")


def schema_of(samples: Iterable[Any], depth: int = 0) -> dict[str, Any]:
    """Return what allows all of some JSON values; {} where nothing can be told."""
    values = list(samples)[:MAX_ITEMS]
    known = [one for one in values if one is not None]
    kinds = list(dict.fromkeys(_TYPES.get(type(one), "string") for one in known))
    if "number" in kinds and "integer" in kinds:
        kinds.remove("integer")
    if not kinds or depth > MAX_DEPTH:
        return {}
    made: dict[str, Any] = {"type": kinds[0]}
    if len(kinds) > 1 or len(known) < len(values):
        made["type"] = [*kinds, *["null"] * (len(known) < len(values))]
    if kinds == ["string"]:
        made |= _format(known)
    objects = [one for one in known if isinstance(one, dict)]
    if objects:
        made |= _object(objects, depth)
    inner = [item for one in known if isinstance(one, list) for item in one]
    items = schema_of(inner, depth + 1)
    return {**made, "items": items} if items else made


def of_text(text: str) -> Any:
    """Return what text stands for where everything is text: a number, a boolean, or itself."""
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _format(texts: list[str]) -> dict[str, str]:
    for name, pattern in _FORMATS:
        if all(pattern.fullmatch(one) for one in texts):
            return {"format": name} if "date" not in name or all(map(_is_day, texts)) else {}
    return {}


def _is_day(text: str) -> bool:
    """Tell whether text begins with a day that there is."""
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def _object(objects: list[dict[str, Any]], depth: int) -> dict[str, Any]:
    names = list(dict.fromkeys(name for one in objects for name in one))[:MAX_NAMES]
    properties = {name: schema_of((one[name] for one in objects if name in one), depth + 1) for name in names}
    required = [name for name in names if all(name in one for one in objects)]
    return {
        **({"properties": properties} if properties else {}),
        **({"required": required} if required else {}),
    }

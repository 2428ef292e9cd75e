"""Says of one text whether it matches a regular expression, or has a format. Pure and bounded.

For those who make or choose texts, and have no schema at hand. Expressions that look around are taken here;
what would take too long does not match.
"""

import functools
from typing import Final

import jsonschema_rs

FORMATS: Final = frozenset(
    {"date-time", "date", "time", "uuid", "email", "uri", "ipv4", "ipv6", "hostname", "duration"}
)
"""The formats that are known here."""

_BACKTRACKS: Final = 20_000
"""Steps back that a match may take: a fraction of a millisecond."""


def matches(pattern: str, text: str) -> bool:
    """Say whether a text matches; every text matches an expression that cannot be compiled."""
    compiled = _pattern(pattern)
    return compiled is None or compiled.is_valid(text)


def has_format(name: str, text: str) -> bool:
    """Say whether a text has a format; every text has one that is not among FORMATS."""
    return name not in FORMATS or _format(name).is_valid(text)


@functools.lru_cache(maxsize=4_096)
def _pattern(pattern: str) -> jsonschema_rs.Draft202012Validator | None:
    options = jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKS)
    try:
        return jsonschema_rs.Draft202012Validator({"pattern": pattern}, offline=True, pattern_options=options)
    except ValueError:
        return None


@functools.lru_cache(maxsize=64)
def _format(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"format": name}, offline=True, validate_formats=True)

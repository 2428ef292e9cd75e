"""Regular expressions by RE2 only: linear in the text, bounded in memory, never Python's own engine."""

from typing import Any, Final, Protocol

import re2

from service.rules.cel.budget import Budget
from service.rules.cel.errors import Fault
from service.rules.cel.library.conversions import encode, shorten

_MAX_PATTERN: Final = 1_000
_MAX_MEMORY: Final = 1 << 18  # of a compiled pattern and its caches
_REFUSED: Final = 20_000  # steps: RE2 has then worked as long as its memory allows


class Pattern(Protocol):
    """A compiled pattern, as much of it as is used here."""

    programsize: int

    def search(self, text: bytes) -> object:
        """Return a match, or None."""


def _options() -> Any:
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.never_capture = True
    options.log_errors = False
    return options


_OPTIONS: Final = _options()


def compile_pattern(budget: Budget, pattern: str) -> Pattern:
    """Compile an RE2 pattern; raise Fault when it is wrong or too large."""
    if len(pattern) > _MAX_PATTERN:
        raise Fault(f"the regular expression has {len(pattern)} characters, the most is {_MAX_PATTERN}")
    budget.spend(100 + 40 * len(pattern))
    try:
        compiled: Pattern = re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        budget.spend(_REFUSED)
        reason = error.args[0].decode("utf-8", "replace")
        raise Fault(f"{shorten(pattern)} is no RE2 regular expression: {reason}") from None
    except UnicodeEncodeError:
        raise Fault("the regular expression holds half of a surrogate pair") from None
    budget.spend(4 * compiled.programsize)
    return compiled


def search(budget: Budget, text: str, compiled: Pattern) -> bool:
    """Say whether the pattern is found anywhere in the text."""
    octets = encode(budget, text)
    # At worst RE2 looks at every instruction of the pattern for every byte, in about four nanoseconds.
    budget.spend(2 + (len(octets) * (compiled.programsize + 8) >> 6))
    return compiled.search(octets) is not None


def matches(budget: Budget, text: str, pattern: str) -> bool:
    """Search for a pattern that is known only now."""
    return search(budget, text, compile_pattern(budget, pattern))

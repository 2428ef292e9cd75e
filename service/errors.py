"""The service's own errors and the one shape of a problem that people read.

The same problem text appears in the command line, the API and the log.
"""

from typing import Literal

import msgspec
from typing_extensions import override


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with what somebody gave us.

    `pointer` is a JSON pointer into the document; `offset` counts characters into the string that stands
    there (an expression); `file`, `line`, `column` (from 1; 0 unknown) are filled by whoever knows the
    text. `found` is the value seen, `fix` what would be right. `because` is where something else stands that
    makes this wrong: a pointer too, or file:line:column.
    """

    message: str
    code: str
    severity: Literal["error", "warning"] = "error"
    pointer: str = ""
    offset: int | None = None
    found: str = ""
    fix: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    because: str = ""

    @override
    def __str__(self) -> str:
        place = (
            f"{self.file}:{self.line}:{self.column}: "
            if self.line
            else f"{self.pointer}: " * bool(self.pointer)
        )
        found = f" (found {self.found})" if self.found else ""
        fix = f"; {self.fix}" if self.fix else ""
        because = f" (see {self.because})" if self.because else ""
        return f"{place}{self.message}{found}{fix}{because}"


class ServiceError(Exception):
    """Anything the service raises on purpose."""


class Invalid(ServiceError):
    """What was given is wrong; `problems` lists everything that is, not only the first."""

    def __init__(self, problems: "tuple[Problem, ...] | list[Problem]") -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class NotFound(ServiceError):
    """There is no such thing; the message names it and, where one is near, what was meant."""


class Conflict(ServiceError):
    """The thing is in a state that does not allow this."""


class Unavailable(ServiceError):
    """Cannot be done now; `after` seconds from now it may be."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


def nearest(
    word: str, candidates: "list[str] | tuple[str, ...] | frozenset[str] | dict[str, object]"
) -> str | None:
    """Return the candidate most like `word`, for "did you mean", or None when none is near."""
    from difflib import get_close_matches

    found = get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return found[0] if found else None

"""What can be wrong with an expression: while it is compiled, and while it is evaluated.

Nothing here knows the language; a place is an offset and a length in the expression's text.
"""

from collections.abc import Collection, Sequence
from typing import Final, Literal

import msgspec
from typing_extensions import override

from service.errors import nearest

Code = Literal["syntax", "name", "function", "type", "constant"]
"""What kind of problem: the text does not parse, or a name, a call, an operand or a literal is wrong."""

MAX_ISSUES: Final = 100
"""Of one expression; what comes after so many is not worth reading."""

_NEAREST_OF = 200  # keys looked at for "did you mean"


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong in an expression. `offset` and `length` count characters; `fix` would be right."""

    message: str
    offset: int
    length: int
    fix: str = ""
    code: Code = "syntax"

    def caret(self, text: str) -> str:
        """Return the line of `text` that is wrong, with a second line that points at the place."""
        return caret(text, self.offset, self.length)

    @override
    def __str__(self) -> str:
        return f"{self.message}; {self.fix}" if self.fix else self.message


def caret(text: str, offset: int, length: int) -> str:
    """Return the line of `text` around `offset`, cut to a readable width, and a line with carets below it."""
    offset = max(0, min(offset, len(text)))
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[start : len(text) if end < 0 else end].replace("\t", " ").replace("\r", " ")
    column = offset - start
    marks = max(1, min(length, len(line) - column))
    if len(line) > 120:
        left = max(0, column - 50)
        right = left + 110
        marks = max(1, min(marks, right - column))
        lead = "…" if left else ""
        column += len(lead) - left
        line = lead + line[left:right] + ("…" if right < len(line) else "")
    return f"{line}\n{' ' * column}{'^' * marks}"


class CELError(ValueError):
    """An expression cannot be compiled; `problems` is everything that is wrong, in the order of the text."""

    def __init__(self, text: str, problems: Sequence[Issue]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.text = text
        self.problems = tuple(sorted(problems, key=lambda problem: problem.offset))

    def render(self) -> str:
        """Return every problem with its caret line, for people."""
        return "\n".join(f"{problem}\n{problem.caret(self.text)}" for problem in self.problems)


class EvaluationError(ValueError):
    """An expression has no value for this message: `message` says why, at `offset` and `length` of its text.

    Made often and mostly dropped (`&&` and `||` absorb errors), so "did you mean" is looked for only when
    somebody reads the text.
    """

    def __init__(
        self,
        message: str,
        offset: int,
        length: int,
        *,
        fix: str = "",
        word: str = "",
        known: Collection[object] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.length = length
        self._fix = fix
        self._word = word
        self._known = known

    @property
    def fix(self) -> str:
        """What would be right, or "" when nothing is near."""
        if self._fix or not self._word:
            return self._fix
        names = [key for key, _ in zip(self._known, range(_NEAREST_OF), strict=False) if isinstance(key, str)]
        near = nearest(self._word, names)
        return f"did you mean `{near}`?" if near else ""

    @override
    def __str__(self) -> str:
        fix = self.fix
        return f"{self.message}; {fix}" if fix else self.message


class BudgetExceeded(EvaluationError):
    """The work allowed for one message is used up. No operator absorbs this."""

    def __init__(self, offset: int = 0, length: int = 0) -> None:
        super().__init__("the expression does too much work: its budget is used up", offset, length)


class Fault(Exception):
    """A function or an operator cannot give a value; the caller knows the place and says so."""

"""How much work the expressions of one message may do.

One counter, shared by all evaluations of a message. A step is about a tenth of a microsecond, or the
memory of a few list items or some dozens of characters; whatever costs more takes more steps, before it
is done.
"""

from typing import Final

from service.rules.cel.errors import BudgetExceeded

DEFAULT_STEPS: Final = 100_000
"""Enough for a loop of five operators over 10,000 items; used up in well under 50 ms."""

ERROR_STEPS: Final = 20
"""Charged for an error that `&&`, `||`, `all` or `exists` absorbs: making one is slow."""


class Budget:
    """A mutable count of steps. `left` below zero means used up."""

    __slots__ = ("left",)

    def __init__(self, steps: int = DEFAULT_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Take `steps` off; raise BudgetExceeded when there are not so many left."""
        self.left -= steps
        if self.left < 0:
            raise BudgetExceeded

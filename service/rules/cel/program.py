"""A compiled expression, and the one way to get one."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from service.rules.cel.budget import Budget
from service.rules.cel.check import Checker
from service.rules.cel.compile import Compiler
from service.rules.cel.errors import BudgetExceeded, CELError
from service.rules.cel.frame import weight
from service.rules.cel.functions import DYN
from service.rules.cel.names import FIRST_SLOT, Names
from service.rules.cel.parser import DEFAULT_MAX_DEPTH, parse
from service.rules.cel.trace import TraceStep, trace
from service.rules.cel.tree import Node, plain_path, reads
from service.rules.cel.values import WORDS, OptionalValue

VARIABLES: Final = ("event", "data", "meta", "steps")
"""What the expressions of a rule see."""


class Program:
    """One expression, ready to be evaluated as often as wanted, by several messages at once."""

    __slots__ = ("_blank", "_cost", "_run", "_tree", "kind", "plain_path", "reads", "text")

    def __init__(self, text: str, tree: Node, slots: int, kind: str = "") -> None:
        self.text = text
        self.kind = kind
        """What every value of it is, in one word (`bool`, `list`); "" when that depends on the message."""
        self.reads: frozenset[tuple[str, ...]] = reads(tree)
        """Paths that are read from the variables; a dynamic access yields what stands before it."""
        self.plain_path: tuple[str | int, ...] | None = plain_path(tree)
        """The path, when the expression is nothing but one."""
        self._tree = tree
        self._blank = [None] * (slots - FIRST_SLOT)
        self._run = Compiler(text).compile(tree)
        self._cost = weight(tree)

    def evaluate(self, variables: Mapping[str, object], budget: Budget) -> Any:
        """Return the CEL value, ABSENT for an optional without one; raise EvaluationError when there is none.

        What comes from `variables` is not copied: treat the result as read-only.
        """
        budget.left -= self._cost
        if budget.left < 0:
            raise BudgetExceeded(0, len(self.text))
        try:
            value = self._run([variables, budget, *self._blank])
        except BudgetExceeded as exceeded:
            if not exceeded.length:
                exceeded.length = len(self.text)
            raise
        while type(value) is OptionalValue:
            value = value.value
        return value

    def trace(self, variables: Mapping[str, object], budget: Budget) -> list[TraceStep]:
        """Return the value or error of every part, the whole first. Slow: for people, not for matching."""
        budget.left -= self._cost
        return trace(self.text, self._tree, len(self._blank), variables, budget)


def compile_expression(
    text: str,
    *,
    variables: Sequence[str] = VARIABLES,
    max_depth: int = DEFAULT_MAX_DEPTH,
    check: bool = True,
) -> Program:
    """Compile an expression over some variables; raise CELError with everything that is wrong.

    Without `check`, an unknown name or an operand of the wrong kind is an error only where it is evaluated
    (CEL's dynamic mode, for conformance runs); a text that does not parse is refused all the same.
    """
    tree, issues = parse(text, max_depth)
    if tree is None:
        raise CELError(text, issues)
    names = Names(text, variables, issues)
    tree, kind = Checker(names).check(tree)
    if any(check or issue.code == "syntax" for issue in issues):
        raise CELError(text, issues)
    return Program(text, tree, names.slots, "" if kind in (DYN, OptionalValue) else WORDS[kind])

"""Compiled `&&` and `||`: one decisive operand settles them, whatever error another one has."""

from typing import Any

from service.rules.cel.access import Place
from service.rules.cel.budget import ERROR_STEPS
from service.rules.cel.errors import BudgetExceeded, EvaluationError
from service.rules.cel.frame import Frame, Run, not_bool, place
from service.rules.cel.tree import Logic


def compile_logic(node: Logic, parts: list[Run]) -> Run:
    """Return the code of `a && b && …` or `a || b || …`; each operand is evaluated at most once."""
    decisive = node.operator == "||"
    what = f"`{node.operator}` joins conditions"
    places = [place(part) for part in node.parts]
    if len(parts) == 2:
        return _pair(parts[0], parts[1], decisive, what, places)
    return _chain(parts, decisive, what, places)


def _chain(parts: list[Run], decisive: bool, what: str, places: list[Place]) -> Run:
    otherwise = not decisive
    numbered = list(zip(parts, places, strict=True))

    def run(frame: Frame) -> Any:
        failed: EvaluationError | None = None
        for part, at in numbered:
            try:
                verdict = part(frame)
            except BudgetExceeded:
                raise
            except EvaluationError as error:
                frame[1].spend(ERROR_STEPS)
                failed = failed or error
                continue
            if verdict is decisive:
                return decisive
            if verdict is not otherwise:
                frame[1].spend(ERROR_STEPS)
                failed = failed or not_bool(verdict, at, what)
        if failed is not None:
            raise failed
        return otherwise

    return run


def _pair(one: Run, other: Run, decisive: bool, what: str, places: list[Place]) -> Run:
    """Return the code for two operands, by far the most frequent number."""
    otherwise = not decisive

    def run(frame: Frame) -> Any:
        failed: EvaluationError | None = None
        try:
            verdict = one(frame)
        except BudgetExceeded:
            raise
        except EvaluationError as error:
            frame[1].spend(ERROR_STEPS)
            failed = error
        else:
            if verdict is decisive:
                return decisive
            if verdict is not otherwise:
                failed = not_bool(verdict, places[0], what)
        verdict = other(frame)
        if verdict is decisive:
            return decisive
        if failed is not None:
            raise failed
        if verdict is otherwise:
            return otherwise
        raise not_bool(verdict, places[1], what)

    return run

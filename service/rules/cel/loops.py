"""Compiled macros: loops over lists and maps. Each turn is paid for before it is made.

`all` and `exists` are `&&` and `||` over the elements: one decisive answer absorbs the errors of others. All
other loops stop at the first error.
"""

from collections.abc import Iterable
from typing import Any

from service.rules.cel.access import Place
from service.rules.cel.budget import ERROR_STEPS, Budget
from service.rules.cel.errors import BudgetExceeded, EvaluationError, Fault
from service.rules.cel.frame import Frame, Run, not_bool, place, weight
from service.rules.cel.show import show
from service.rules.cel.tree import Loop
from service.rules.cel.values import ABSENT, OptionalValue, map_key, plain_key, word


class Turns:
    """What all loops do alike: find the elements, pay for a turn, fill the slots."""

    __slots__ = ("at", "cost", "name", "slots", "source")

    def __init__(self, loop: Loop, source: Run) -> None:
        self.source = source
        self.slots = loop.slots
        self.at = place(loop)
        self.name = loop.kind
        self.cost = 1 + weight(loop.body) + (weight(loop.condition) if loop.condition is not None else 0)

    def elements(self, frame: Frame) -> Iterable[Any]:
        """Return elements of a list or keys of a map; with two variables, pairs with the position or key."""
        value = self.source(frame)
        budget: Budget = frame[1]
        if type(value) is OptionalValue and value.value is not ABSENT:
            raise EvaluationError(f"{self.name}() of an optional; write .value() or .orValue([])", *self.at)
        if type(value) is list:
            return value if len(self.slots) == 1 else enumerate(value)
        if type(value) is not dict:
            raise EvaluationError(f"{self.name}() goes through a list or a map, not {word(value)}", *self.at)
        budget.spend(len(value) >> 3)
        if len(self.slots) == 1:
            return [plain_key(key) for key in value]
        return [(plain_key(key), one) for key, one in value.items()]

    def turn(self, frame: Frame, element: Any) -> None:
        """Pay for one turn and set its variables."""
        budget: Budget = frame[1]
        budget.left -= self.cost
        if budget.left < 0:
            raise BudgetExceeded(*self.at)
        if len(self.slots) == 1:
            frame[self.slots[0]] = element
        else:
            frame[self.slots[0]], frame[self.slots[1]] = element


def compile_loop(loop: Loop, source: Run, condition: Run | None, body: Run) -> Run:
    """Return the code of a macro."""
    turns = Turns(loop, source)
    at = place(loop.body)
    if loop.kind in ("all", "exists"):
        return _decide(turns, body, at, decisive=loop.kind == "exists")
    if loop.kind in ("exists_one", "filter"):
        return _exists_one(turns, body, at) if loop.kind == "exists_one" else _filter(turns, body, at)
    guard = _guard(loop, condition)
    if loop.kind in ("map", "transformList"):
        return _map(turns, guard, body)
    if loop.kind == "transformMap":
        return _transform_map(turns, guard, body)
    return _transform_entries(turns, guard, body, at)


def _guard(loop: Loop, condition: Run | None) -> Run | None:
    """Return a condition that is true or false, or raises."""
    if condition is None or loop.condition is None:
        return None
    at = place(loop.condition)
    what = f"{loop.kind}() asks a condition"

    def run(frame: Frame) -> bool:
        verdict = condition(frame)
        if verdict is True:
            return True
        if verdict is False:
            return False
        raise not_bool(verdict, at, what)

    return run


def _decide(turns: Turns, body: Run, at: Place, *, decisive: bool) -> Run:
    what = f"{turns.name}() asks a condition"
    otherwise = not decisive

    def run(frame: Frame) -> Any:
        failed: EvaluationError | None = None
        for element in turns.elements(frame):
            turns.turn(frame, element)
            try:
                verdict = body(frame)
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


def _exists_one(turns: Turns, body: Run, at: Place) -> Run:
    def run(frame: Frame) -> bool:
        found = 0
        for element in turns.elements(frame):
            turns.turn(frame, element)
            verdict = body(frame)
            if verdict is True:
                found += 1
            elif verdict is not False:
                raise not_bool(verdict, at, "exists_one() asks a condition")
        return found == 1

    return run


def _filter(turns: Turns, body: Run, at: Place) -> Run:
    def run(frame: Frame) -> list[Any]:
        kept = []
        for element in turns.elements(frame):
            turns.turn(frame, element)
            verdict = body(frame)
            if verdict is True:
                kept.append(element)
            elif verdict is not False:
                raise not_bool(verdict, at, "filter() asks a condition")
        return kept

    return run


def _map(turns: Turns, guard: Run | None, body: Run) -> Run:
    def run(frame: Frame) -> list[Any]:
        made = []
        for element in turns.elements(frame):
            turns.turn(frame, element)
            if guard is None or guard(frame):
                made.append(body(frame))
        return made

    return run


def _transform_map(turns: Turns, guard: Run | None, body: Run) -> Run:
    def run(frame: Frame) -> dict[Any, Any]:
        made = {}
        for element in turns.elements(frame):
            turns.turn(frame, element)
            if guard is None or guard(frame):
                made[map_key(element[0])] = body(frame)
        return made

    return run


def _transform_entries(turns: Turns, guard: Run | None, body: Run, at: Place) -> Run:
    def run(frame: Frame) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for element in turns.elements(frame):
            turns.turn(frame, element)
            if guard is not None and not guard(frame):
                continue
            entries = body(frame)
            if type(entries) is not dict:
                raise EvaluationError(f"transformMapEntry() makes maps, this is {word(entries)}", *at)
            frame[1].spend(len(entries))
            for key, value in entries.items():
                if key in made:
                    raise EvaluationError(f"the key {show(key, 40)} is made twice", *at)
                made[key] = value
        return made

    return run


def compile_map(entries: list[tuple[Run, Run, bool, Place]]) -> Run:
    """Return the code of a map literal: key, value, whether an absent value drops the entry."""

    def run(frame: Frame) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key_of, value_of, optional, at in entries:
            shown = key_of(frame)
            try:
                key = map_key(shown)
            except Fault as fault:
                raise EvaluationError(str(fault), *at) from None
            value = value_of(frame)
            if optional:
                value = unwrap(value, at)
                if value is ABSENT:
                    continue
            if key in made:
                raise EvaluationError(f"the key {show(key, 40)} stands twice in the map", *at)
            made[key] = value
        return made

    return run


def compile_list(items: list[tuple[Run, bool, Place]]) -> Run:
    """Return the code of a list literal: element, whether an absent one is left out."""
    if not any(optional for _, optional, _ in items):
        plain = [run for run, _, _ in items]
        return lambda frame: [run(frame) for run in plain]

    def run(frame: Frame) -> list[Any]:
        made = []
        for value_of, optional, at in items:
            value = value_of(frame)
            if optional:
                value = unwrap(value, at)
                if value is ABSENT:
                    continue
            made.append(value)
        return made

    return run


def unwrap(value: Any, at: Place) -> Any:
    """Return what an optional holds, or ABSENT; raise when it is no optional."""
    if type(value) is not OptionalValue:
        raise EvaluationError(f"`?` takes an optional, this is {word(value)}", *at)
    return value.value

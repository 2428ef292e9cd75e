"""Compiled paths: a variable and the keys below it, the most frequent expression of all.

The quick way is plain subscripts of dicts by string keys; whatever Python refuses there is done again step by
step, which also finds the place of the error.
"""

from typing import Any, Final

from service.rules.cel.access import Place, index, select
from service.rules.cel.errors import EvaluationError
from service.rules.cel.frame import Frame, Run, place
from service.rules.cel.tree import Index, Literal, Local, Node, Select, Variable

_REFUSED: Final = (KeyError, TypeError)


def compile_path(node: Node) -> Run | None:
    """Return the code of a path, or None when the node is not a plain one below a variable."""
    steps: list[tuple[str | int, Place, bool]] = []
    at = node
    while True:
        match at:
            case Select(operand=operand, field=field, optional=False):
                steps.append((field, (at.field_start, at.end - at.field_start), True))
                at = operand
            case Index(operand=operand, index=Literal(value=key), optional=False) if type(key) in (str, int):
                steps.append((key, place(at), False))
                at = operand
            case Variable() | Local():
                break
            case _:
                return None
    steps.reverse()
    root = _variable(at) if isinstance(at, Variable) else _local(at.slot)
    slow = _slow(root, steps)
    keys = [key for key, _, _ in steps if isinstance(key, str)]
    # A number would also index a string or a list from its end, as CEL does not.
    if len(keys) < len(steps) or not steps:
        return slow if steps else root
    return _quick(at.name, keys, slow) if isinstance(at, Variable) else _quick_local(at.slot, keys, slow)


def _variable(node: Variable) -> Run:
    name = node.name
    at = place(node)

    def run(frame: Frame) -> Any:
        try:
            return frame[0][name]
        except KeyError:
            raise EvaluationError(f"`{name}` is not there for this message", *at) from None

    return run


def _local(slot: int) -> Run:
    return lambda frame: frame[slot]


def _slow(root: Run, steps: list[tuple[str | int, Place, bool]]) -> Run:
    def run(frame: Frame) -> Any:
        value = root(frame)
        for key, at, field in steps:
            value = select(value, str(key), at) if field else index(value, key, at)
        return value

    return run


def _quick(name: str, keys: list[str], slow: Run) -> Run:
    if len(keys) == 1:
        (one,) = keys

        def run(frame: Frame) -> Any:
            try:
                return frame[0][name][one]
            except _REFUSED:
                return slow(frame)

    elif len(keys) == 2:
        one, two = keys

        def run(frame: Frame) -> Any:
            try:
                return frame[0][name][one][two]
            except _REFUSED:
                return slow(frame)

    else:

        def run(frame: Frame) -> Any:
            try:
                value = frame[0][name]
                for key in keys:
                    value = value[key]
            except _REFUSED:
                return slow(frame)
            return value

    return run


def _quick_local(slot: int, keys: list[str], slow: Run) -> Run:
    if len(keys) == 1:
        (one,) = keys

        def run(frame: Frame) -> Any:
            try:
                return frame[slot][one]
            except _REFUSED:
                return slow(frame)

    else:

        def run(frame: Frame) -> Any:
            try:
                value = frame[slot]
                for key in keys:
                    value = value[key]
            except _REFUSED:
                return slow(frame)
            return value

    return run

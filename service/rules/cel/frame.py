"""What compiled code shares: the shape of a frame, and how an error gets its place.

A frame is a list: the variables, the budget, then one slot for each variable of a macro.
"""

from collections.abc import Callable
from typing import Any

from service.rules.cel.access import Place
from service.rules.cel.errors import EvaluationError
from service.rules.cel.tree import Apply, Local, Loop, Node, Variable
from service.rules.cel.values import word

Frame = list[Any]
Run = Callable[[Frame], Any]
"""Compiled code of one node: takes the frame, returns a CEL value or raises EvaluationError."""


def place(node: Node) -> Place:
    """Return where a node stands."""
    return node.start, node.end - node.start


def not_bool(value: object, at: Place, what: str) -> EvaluationError:
    """Return the error for a condition that is neither true nor false."""
    return EvaluationError(f"no such overload: {what}, this is {word(value)}", *at)


def weight(node: Node) -> int:
    """Return the steps of evaluating a node once, without the bodies of its loops."""
    match node:
        case Variable() | Local():
            return 1
        case Loop():
            return 3 + weight(node.source)
        case Apply():
            return 3 + sum(weight(child) for child in node.arguments)
        case _:
            return 1 + sum(weight(child) for child in node.children())

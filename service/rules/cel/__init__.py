"""CEL, the Common Expression Language, as rules use it: compiled once, evaluated for many messages.

Ours, because nothing else was right, bounded and explainable at once. Pure: no I/O, no clock, and no other
language behind it. An expression is checked when `compile_expression` makes a Program of it, bounded by a
Budget when it is evaluated, and can tell the value of each of its parts.
"""

from service.rules.cel.budget import DEFAULT_STEPS, Budget
from service.rules.cel.convert import to_json
from service.rules.cel.errors import BudgetExceeded, CELError, EvaluationError, Issue
from service.rules.cel.parser import DEFAULT_MAX_DEPTH, MAX_LENGTH
from service.rules.cel.program import VARIABLES, Program, compile_expression
from service.rules.cel.show import show
from service.rules.cel.trace import TraceStep
from service.rules.cel.values import ABSENT, Duration, OptionalValue, Timestamp, TypeValue, Uint

__all__ = [
    "ABSENT",
    "DEFAULT_MAX_DEPTH",
    "DEFAULT_STEPS",
    "MAX_LENGTH",
    "VARIABLES",
    "Budget",
    "BudgetExceeded",
    "CELError",
    "Duration",
    "EvaluationError",
    "Issue",
    "OptionalValue",
    "Program",
    "Timestamp",
    "TraceStep",
    "TypeValue",
    "Uint",
    "compile_expression",
    "show",
    "to_json",
]

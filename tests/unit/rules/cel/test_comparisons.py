"""The quick forms of comparisons give what the general form gives, for every pair of values."""

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.rules.cel import Budget, EvaluationError, OptionalValue, Program, Uint, compile_expression
from tests.examples import examples
from tests.tables import every_row

VALUES: list[Any] = [
    *(None, True, False, 0, 1, 5, -1, 0.0, -0.0, 1.0, 1.5, Uint(1), Uint(0), "", "a", "b", b"a", [], [1], {}),
    *(
        {"a": 1},
        math.nan,
        math.inf,
        2**53,
        2**53 + 1,
        2**63,
        2**80,
        10**400,
        float(2**53),
        1e300,
        OptionalValue(1),
    ),
]
LITERALS = [
    "null",
    "true",
    "false",
    "0",
    "1",
    "5",
    "1.0",
    "1.5",
    "1u",
    "''",
    "'a'",
    "9007199254740993",
    "1e300",
]
SIGNS = ["==", "!=", "<", "<=", ">", ">="]


def outcome(program: Program, **variables: Any) -> str:
    try:
        return repr(program.evaluate(variables, Budget()))
    except EvaluationError as error:
        return error.message


@every_row("sign", SIGNS)
@every_row("literal", LITERALS)
def test_comparison_with_a_literal(sign: str, literal: str) -> None:
    value = compile_expression(literal).evaluate({}, Budget())
    for text in (f"x {sign} LITERAL", f"LITERAL {sign} x"):
        quick = compile_expression(text.replace("LITERAL", literal), variables=("x",), check=False)
        general = compile_expression(text.replace("LITERAL", "y"), variables=("x", "y"), check=False)
        for seen in VALUES:
            assert outcome(quick, x=seen) == outcome(general, x=seen, y=value), (text, literal, seen)


def test_membership_in_a_list_of_literals() -> None:
    quick = compile_expression("x in ['a', '', 'c']", variables=("x",))
    general = compile_expression("x in y", variables=("x", "y"))
    for seen in VALUES:
        assert outcome(quick, x=seen) == outcome(general, x=seen, y=["a", "", "c"]), seen


@examples(200)
@given(st.integers(-(2**70), 2**70), st.integers(-(2**62), 2**62), st.sampled_from(SIGNS))
def test_comparison_with_any_number(seen: int, number: int, sign: str) -> None:
    quick = compile_expression(f"x {sign} {number}", variables=("x",))
    general = compile_expression(f"x {sign} y", variables=("x", "y"))
    for value in (seen, float(seen), number, float(number)):
        assert outcome(quick, x=value) == outcome(general, x=value, y=number)

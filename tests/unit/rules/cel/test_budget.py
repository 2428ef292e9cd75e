"""Work is bounded: every bomb ends with an error, quickly and without eating memory."""

import time
import tracemalloc
from typing import Any

import pytest

from service.rules.cel import Budget, BudgetExceeded, EvaluationError, compile_expression, to_json
from tests.tables import every_row

ITEMS = list(range(1_000))


def doubled(start: str) -> str:
    body = "size(v40)"
    for number in range(40, 0, -1):
        body = f"cel.bind(v{number}, v{number - 1} + v{number - 1}, {body})"
    return f"cel.bind(v0, {start}, {body})"


BOMBS = {
    "nested loops": "many.all(a, many.all(b, many.all(c, true)))",
    "absorbed errors": "many.all(a, many.all(b, 1 / 0 == 1 || true))",
    "string doubling": doubled("'xxxxxxxxxxxxxxxx'"),
    "bytes doubling": doubled("b'xxxxxxxxxxxxxxxx'"),
    "list doubling": doubled("[1, 2, 3, 4]"),
    "replace": "many.map(a, big.replace('a', big))",
    "replace nothing": "many.map(a, big.replace('', big))",
    "split": "many.map(a, many.map(b, big.split('')))",
    "join": "many.map(a, many.map(b, string(b)).join(big))",
    "format": "many.map(a, '%s%s%s'.format([many, many, big]))",
    "format precision": "many.map(a, many.map(b, '%.100f'.format([1e300])))",
    "format percent": "many.map(a, percent.format([]))",
    "regex": "many.all(a, big.matches('(a|b)*a(a|b){200}c') || true)",
    "new regexes": "many.all(a, ''.matches('(?i)\\\\pL{' + string(a) + '}') || true)",
    "search": "many.all(a, big.contains(needle) || true)",
    "search back": "many.all(a, big.lastIndexOf(needle) < 0)",
    "equal lists": "many.all(a, many.all(b, many == many))",
    "in list": "many.all(a, many.all(b, -1 in many || true))",
    "maps": "many.map(a, many.transformMap(i, v, v))",
    "map equality": "many.all(a, many.all(b, wide == wide))",
    "reverse": "many.map(a, big.reverse())",
    "base64": "many.map(a, base64.encode(bytes(big)))",
    "time zones": "many.all(a, timestamp(0).getHours('No/Zone' + string(a)) == 0 || true)",
    "quote": "many.map(a, strings.quote(big))",
}


@every_row("name", BOMBS)
def test_bomb_ends_with_an_error(name: str) -> None:
    variables: dict[str, Any] = {
        "many": ITEMS,
        "big": "ab" * 100_000,
        "needle": "a" * 99 + "b",
        "percent": "%%" * 50_000,
        "wide": {str(number): number for number in ITEMS},
    }
    program = compile_expression(BOMBS[name], variables=tuple(variables))
    # CPU time, and ten times the promise: neither other work on the machine nor a coverage run may fail this.
    start = time.process_time()
    with pytest.raises(BudgetExceeded):
        program.evaluate(variables, Budget())
    assert time.process_time() - start < 0.5


def test_bombs_of_memory_stay_small() -> None:
    variables = {"many": ITEMS, "big": "ab" * 100_000}
    for name in ("string doubling", "list doubling", "replace", "split", "join", "format", "maps", "reverse"):
        program = compile_expression(BOMBS[name], variables=tuple(variables))
        tracemalloc.start()
        try:
            with pytest.raises(BudgetExceeded):
                program.evaluate(variables, Budget())
            assert tracemalloc.get_traced_memory()[1] < 32_000_000, name
        finally:
            tracemalloc.stop()


def test_no_operator_absorbs_the_end_of_the_budget() -> None:
    program = compile_expression("many.all(a, many.all(b, true)) || true", variables=["many"])
    with pytest.raises(BudgetExceeded) as caught:
        program.evaluate({"many": ITEMS}, Budget(1_000))
    assert caught.value.length > 0
    assert isinstance(caught.value, EvaluationError)


def test_evaluations_of_one_message_share_a_budget() -> None:
    program = compile_expression("data.x == 1")
    budget = Budget(20)
    for _ in range(3):
        program.evaluate({"data": {"x": 1}}, budget)
    left = budget.left
    program.evaluate({"data": {"x": 1}}, budget)
    assert budget.left < left < 20
    with pytest.raises(BudgetExceeded):
        for _ in range(100):
            program.evaluate({"data": {"x": 1}}, budget)


def test_shared_elements_do_not_grow_into_a_huge_result() -> None:
    text = "v11"
    for number in range(11, 0, -1):
        text = f"cel.bind(v{number}, [{', '.join([f'v{number - 1}'] * 8)}], {text})"
    program = compile_expression(f"cel.bind(v0, [1, 1, 1, 1], {text})")
    value = program.evaluate({}, Budget())
    start = time.process_time()
    with pytest.raises(BudgetExceeded):
        to_json(value)
    other = program.evaluate({}, Budget())
    with pytest.raises(BudgetExceeded):
        compile_expression("x == y", variables=["x", "y"]).evaluate({"x": value, "y": other}, Budget())
    with pytest.raises(BudgetExceeded):
        compile_expression("'%s'.format([x])", variables=["x"]).evaluate({"x": value}, Budget())
    assert time.process_time() - start < 1.0


def test_values_nested_too_deep_are_errors() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(EvaluationError, match="too deep"):
        to_json(deep)
    variables = {"x": deep, "y": [deep[0]]}
    for text in ("x == y", "'%s'.format([x]) == ''"):
        with pytest.raises(EvaluationError, match="too deep"):
            compile_expression(text, variables=["x", "y"]).evaluate(variables, Budget())


def test_one_large_text_costs_by_its_size_only() -> None:
    variables = {"data": {"text": "x" * 500_000}}
    budget = Budget()
    assert compile_expression("size('a' + data.text)").evaluate(variables, budget) == 500_001
    assert budget.left > 80_000

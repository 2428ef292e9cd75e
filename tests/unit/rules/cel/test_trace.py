"""The value of every part of an expression."""

from service.rules.cel import ABSENT, Budget, compile_expression
from tests.unit.rules.cel.evaluating import MESSAGE


def traced(text: str) -> list[str]:
    steps = compile_expression(text).trace(MESSAGE, Budget())
    return [f"{'  ' * step.depth}{step}" for step in steps]


def test_a_comparison_shows_the_values_compared() -> None:
    assert traced("data.total > 100.0") == [
        "data.total > 100.0 → 99.5 > 100.0 → false",
        "  data.total → 99.5",
    ]


def test_what_was_skipped_says_so() -> None:
    assert traced("data.total > 100.0 && data.currency in ['EUR']") == [
        "data.total > 100.0 && data.currency in ['EUR'] → false && data.currency in ['EUR'] → false",
        "  data.total > 100.0 → 99.5 > 100.0 → false",
        "    data.total → 99.5",
        "  data.currency in ['EUR'] → not evaluated",
    ]


def test_an_error_is_shown_where_it_began_and_what_it_became() -> None:
    assert traced("data.totl > 5 || data.count == 3") == [
        "data.totl > 5 || data.count == 3 → data.totl > 5 || true → true",
        "  data.totl > 5 → error: no such key: `totl`; did you mean `total`?",
        "    data.totl → error: no such key: `totl`; did you mean `total`?",
        "  data.count == 3 → 3 == 3 → true",
        "    data.count → 3",
    ]


def test_brackets_belong_to_their_part() -> None:
    assert traced("!(data.count > 3)")[1] == "  (data.count > 3) → (3 > 3) → false"


def test_a_loop_shows_its_first_turns_and_the_last() -> None:
    steps = compile_expression("data.n.exists(x, x > 8)").trace({"data": {"n": list(range(50))}}, Budget())
    turns = [step.seen for step in steps if step.text == "x > 8"]
    assert turns == ["0 > 8", "1 > 8", "2 > 8", "9 > 8"]


def test_a_loop_without_turns_shows_its_body_as_skipped() -> None:
    assert traced("[].all(x, x > 1)")[-1] == "  x > 1 → not evaluated"


def test_optionals_are_shown_and_the_whole_is_the_result() -> None:
    steps = compile_expression("data.?nothing").trace(MESSAGE, Budget())
    assert [step.value for step in steps] == [ABSENT]
    assert traced("data.?nothing.orValue(1)") == [
        "data.?nothing.orValue(1) → optional.none().orValue(1) → 1",
        "  data.?nothing → optional.none()",
    ]


def test_large_values_are_cut() -> None:
    steps = compile_expression("data.x").trace({"data": {"x": ["text" * 1_000] * 1_000}}, Budget())
    assert len(str(steps[0])) < 120


def test_a_constant_is_one_step() -> None:
    assert traced("[1, 2]") == ["[1, 2] → [1, 2]"]


def test_a_used_up_budget_is_an_error_of_the_whole() -> None:
    program = compile_expression("data.n.all(x, data.n.all(y, true))")
    steps = program.trace({"data": {"n": list(range(1_000))}}, Budget(5_000))
    assert "budget is used up" in steps[0].error


def test_a_step_knows_its_place() -> None:
    text = "data.count == 3 ? 'yes' : 'no'"
    for step in compile_expression(text).trace(MESSAGE, Budget()):
        assert text[step.start : step.end] == step.text

"""Short ways to evaluate an expression in tests."""

from typing import Any

from service.rules.cel import Budget, CELError, EvaluationError, compile_expression

MESSAGE: dict[str, Any] = {
    "event": {"id": "1", "type": "order.paid", "data": {"total": 99.5}},
    "data": {
        "total": 99.5,
        "count": 3,
        "currency": "EUR",
        "paid": True,
        "note": None,
        "big": 2**70,
        "customer": {"name": "Ada", "tags": ["new", "eu"]},
        "items": [{"sku": "a", "qty": 1}, {"sku": "b", "qty": 7}],
        "__class__": "text",
        "": "empty",
    },
    "meta": {"headers": {"x-id": "7"}},
    "steps": {},
}


def value(text: str, steps: int = 100_000, /, **variables: Any) -> Any:
    """Return the value of an expression over the message, or over the given variables alone."""
    seen = variables or MESSAGE
    return compile_expression(text, variables=tuple(seen)).evaluate(seen, Budget(steps))


def failure(text: str, steps: int = 100_000, /, **variables: Any) -> EvaluationError:
    """Return the error of an expression that compiles and has no value."""
    try:
        found = value(text, steps, **variables)
    except EvaluationError as error:
        return error
    raise AssertionError(f"{text} gave {found!r}")


def problems(text: str) -> list[str]:
    """Return what is wrong with an expression that does not compile."""
    try:
        compile_expression(text)
    except CELError as error:
        return [str(problem) for problem in error.problems]
    raise AssertionError(f"{text} compiled")

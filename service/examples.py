"""Tries a rule on the examples that stand in the configuration with it. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from service.config.model import RuleConfig
from service.errors import Problem
from service.rules.cel import Budget, EvaluationError
from service.rules.model import Rule, condition

BUDGET: Final = 200_000
"""Evaluation steps for one example of a rule."""


def failed_examples(pointer: str, rule: Rule, config: RuleConfig) -> Iterator[Problem]:
    """Yield a problem for each example that a rule decides otherwise; `pointer` is the rule's."""
    for place, test in enumerate(config.tests):
        message = _whole(test.message, rule)
        try:
            matched = (rule.pattern is None or rule.pattern.matches(message)) and condition(
                rule, _variables(message), Budget(BUDGET)
            )
            seen = "match" if matched else "no match"
        except EvaluationError as error:
            seen = f"no match: {error}"
        if seen.partition(":")[0] != test.expect:
            yield Problem(
                pointer=f"{pointer}/tests/{place}",
                message=f"the rule's test {test.name!r} expects {test.expect}",
                code="rule-test",
                found=seen,
            )


def _whole(message: Mapping[str, Any], rule: Rule) -> dict[str, Any]:
    """Complete the message of an example with the attributes that every message has."""
    source = next(iter(sorted(rule.sources)), "test") if rule.sources else "test"
    made = {"specversion": "1.0", "id": "test", "source": f"/sources/{source}", "type": "test", "meta": {}}
    return {**made, **message}


def _variables(message: Mapping[str, Any]) -> dict[str, object]:
    return {"event": message, "data": message.get("data"), "meta": message["meta"], "steps": {}}

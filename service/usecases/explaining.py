"""Why a rule did or did not match a message: the stored ruleset is run again, nothing was kept for it."""

from collections.abc import Mapping
from typing import Any

from service.errors import NotFound, nearest
from service.rules.cel import Budget, EvaluationError
from service.rules.explain import explain_pattern
from service.rules.model import Rule, Ruleset
from service.usecases.desk import Desk
from service.usecases.messages import load_message
from triggers.message import document

EXPLAIN_BUDGET = 1_000_000
"""Evaluation steps for one explanation."""


async def explain(desk: Desk, public_id: str, rule: str | None = None) -> dict[str, Any]:
    """Return for each rule (or the one named) whether it matches the message, and why. Raise NotFound.

    The rules are those of the ruleset that was live when the message came; a rule that is newer is taken
    from the present one.
    """
    message, source, number = await load_message(desk, public_id)
    ruleset = await desk.rulesets.ruleset(number)
    rules = _pick(ruleset, rule)
    present = desk.live.plan.ruleset if desk.live is not None and desk.live.plan is not None else None
    if not rules and rule is not None and present is not None:
        rules, ruleset = _pick(present, rule), present
    if not rules and rule is not None:
        near = nearest(rule, [one.name for one in ruleset.rules])
        raise NotFound(f"there is no rule {rule}" + (f"; did you mean {near}?" if near else ""))
    event = document(message)
    return {
        "message": public_id,
        "source": source,
        "type": message.type,
        "ruleset": ruleset.number,
        "rules": [explain_rule(one, source, event) for one in rules],
    }


def _pick(ruleset: Ruleset, name: str | None) -> list[Rule]:
    return [rule for rule in ruleset.rules if name is None or rule.name == name]


def explain_rule(rule: Rule, source: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether a rule matches, the first thing that failed, and the value of each sub-expression."""
    shown: dict[str, Any] = {"rule": rule.name, "matched": False}
    if rule.paused:
        return {**shown, "why": "the rule is paused"}
    if rule.sources is not None and source not in rule.sources:
        return {
            **shown,
            "why": f"`from` takes {', '.join(sorted(rule.sources))}; the message came from {source}",
        }
    if rule.pattern is not None:
        explanation = explain_pattern(rule.pattern, event)
        shown["match"] = explanation.to_json()
        if not explanation.matched:
            return {**shown, "why": explanation.text()}
    if rule.when is not None:
        holds, shown["when"], why = _explain_when(rule, event)
        if not holds:
            return {**shown, "why": why}
    shown["matched"] = True
    shown["why"] = "every condition holds"
    return shown


def _explain_when(rule: Rule, event: Mapping[str, Any]) -> tuple[bool, list[dict[str, Any]], str]:
    """Return whether `when` holds, its sub-expressions with their values, and the first that failed."""
    if rule.when is None:
        return True, [], ""
    variables = {"event": event, "data": event.get("data"), "meta": event.get("meta", {}), "steps": {}}
    steps = [step.to_json() for step in rule.when.trace(variables, Budget(EXPLAIN_BUDGET))]
    try:
        value = rule.when.evaluate(variables, Budget(EXPLAIN_BUDGET))
    except EvaluationError as error:
        return False, steps, f"`when` failed: {error}"
    if value is True:
        return True, steps, ""
    decisive = _decisive(steps)
    return (
        False,
        steps,
        f"`when` is {value!r}".replace("False", "false") + (f": {decisive}" if decisive else ""),
    )


def _decisive(steps: list[dict[str, Any]]) -> str:
    """Return the smallest false sub-expression with the values around it, in words."""
    failing = [step for step in steps if step.get("value") is False]
    if not failing:
        return ""
    smallest = min(failing, key=lambda step: len(step["text"]))
    inside = [
        step
        for step in steps
        if step is not smallest
        and step["start"] >= smallest["start"]
        and step["end"] <= smallest["end"]
        and "value" in step
        and step["text"] != str(step["value"])
    ]
    values = ", ".join(f"{step['text']} is {step['value']!r}" for step in inside[:4])
    return f"{smallest['text']} is false" + (f" ({values})" if values else "")

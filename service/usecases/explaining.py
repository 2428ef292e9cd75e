"""Why a rule did or did not match a message: the stored ruleset is run again, nothing was kept for it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from service.errors import NotFound, nearest
from service.rules.cel import ABSENT, Budget, EvaluationError, TraceStep, to_json
from service.rules.explain import explain_pattern
from service.rules.model import Rule, Ruleset
from service.rules.turns import take_turns
from service.usecases.desk import Desk
from service.usecases.messages import load_message
from triggers.message import document

TRACE_STEPS: Final = 1_000_000
"""Evaluation steps for showing sub-expressions: more than matching has, to show where it gave up."""


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
    hits, failures = take_turns(ruleset.candidates(source, event, None), _variables(event))
    matched = {hit.rule.number for hit in hits}
    failed = {one.number: str(error) for one, error in failures}
    return {
        "message": public_id,
        "source": source,
        "type": message.type,
        "ruleset": ruleset.number,
        "rules": [
            explain_rule(one, source, event, matched=one.number in matched, failed=failed.get(one.number, ""))
            for one in rules
        ],
    }


def _pick(ruleset: Ruleset, name: str | None) -> list[Rule]:
    return [rule for rule in ruleset.rules if name is None or rule.name == name]


def explain_rule(
    rule: Rule, source: str, event: Mapping[str, Any], *, matched: bool, failed: str
) -> dict[str, Any]:
    """Return the first thing that failed, and the value of each sub-expression.

    `matched` and `failed` (why `when` has no value) are the verdict that all rules together were given.
    """
    shown: dict[str, Any] = {"rule": rule.name, "matched": matched}
    if rule.paused:
        return {**shown, "why": "the rule is paused"}
    if rule.sources is not None and source not in rule.sources:
        return {
            **shown,
            "why": f"`from` takes {', '.join(sorted(rule.sources))}; the message came from {source}",
        }
    if rule.pattern is not None:
        explanation = explain_pattern(rule.pattern, event)
        shown["match"] = msgspec.to_builtins(explanation)
        if not explanation.matched:
            return {**shown, "why": explanation.reason}
    if rule.when is not None:
        steps = rule.when.trace(_variables(event), Budget(TRACE_STEPS))
        shown["when"] = [_shown(step) for step in steps]
        if failed:
            return {**shown, "why": f"`when` failed: {failed}"}
        if not matched:
            return {**shown, "why": f"`when` is not true: {_decisive(steps)}"}
    return {**shown, "why": "every condition holds"}


def _variables(event: Mapping[str, Any]) -> dict[str, object]:
    return {"event": event, "data": event.get("data"), "meta": event.get("meta", {}), "steps": {}}


def _shown(step: TraceStep) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "text": step.text, "start": step.start, "end": step.end, "depth": step.depth, "line": str(step)
    }  # fmt: skip
    if not step.evaluated:
        return {**shown, "evaluated": False}
    if step.error:
        return {**shown, "error": step.error}
    try:
        return {**shown, "value": None if step.value is ABSENT else to_json(step.value)}
    except EvaluationError:
        return {**shown, "value": str(step.value)}


def _decisive(steps: Sequence[TraceStep]) -> str:
    """Return the smallest sub-expression that is false, with the values it compared."""
    failing = [step for step in steps if step.evaluated and not step.error and step.value is False]
    return str(min(failing, key=lambda step: step.end - step.start)) if failing else str(steps[0])

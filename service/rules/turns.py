"""Gives every rule its turn: evaluates `when` and `key` of a message's candidates within one bound.

The work for one message is bounded over all rules, and no rule can use up what another needs: each gets a
fair share of what is left, and those for which that was too little get what nobody else wanted. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from service.rules.cel import Budget, BudgetExceeded, EvaluationError
from service.rules.model import Hit, Rule, condition, key_of

MATCH_STEPS: Final = 200_000
"""Evaluation steps for one message over all rules: about 50 ms at the very worst."""

LEAST_STEPS: Final = 200
"""What every rule may use at least, so that ten thousand plain conditions do not starve each other."""

Failure = tuple[Rule, EvaluationError]
"""A rule and why its `when` has no value."""


def take_turns(
    rules: Sequence[Rule], variables: Mapping[str, object], steps: int = MATCH_STEPS
) -> tuple[list[Hit], list[Failure]]:
    """Return the hits in the order of the rules, and the rules whose `when` failed: those are no match."""
    verdicts: dict[int, Hit | EvaluationError | None] = {}
    waiting = []
    for place, rule in enumerate(rules):
        if rule.when is None and rule.key is None:
            verdicts[place] = Hit(rule)
        else:
            waiting.append((place, 0))
    left, budget = max(steps, LEAST_STEPS * len(waiting)), Budget(0)
    # What the first round leaves over, the second shares out; in a third there is hardly anything to win.
    for _ in range(2):
        heavy, turns = [], len(waiting)
        for place, had in waiting:
            share = left // turns
            turns -= 1
            if share <= had:
                continue  # no more than last time: its verdict stands
            budget.left = share
            verdicts[place], exceeded = _verdict(rules[place], variables, budget)
            left -= min(share, share - budget.left)
            if exceeded:
                heavy.append((place, share))
        waiting = heavy
    hits, failures = [], []
    for place, rule in enumerate(rules):
        verdict = verdicts[place]
        if isinstance(verdict, Hit):
            hits.append(verdict)
        elif verdict is not None:
            failures.append((rule, verdict))
    return hits, failures


def _verdict(
    rule: Rule, variables: Mapping[str, object], budget: Budget
) -> tuple[Hit | EvaluationError | None, bool]:
    """Return a rule's verdict and whether it had too little to spend. An error in `key` is a problem."""
    try:
        if not condition(rule, variables, budget):
            return None, False
    except EvaluationError as error:
        return error, isinstance(error, BudgetExceeded)
    try:
        return Hit(rule, key_of(rule, variables, budget)), False
    except EvaluationError as error:
        return Hit(rule, None, f"key: {error}"), isinstance(error, BudgetExceeded)

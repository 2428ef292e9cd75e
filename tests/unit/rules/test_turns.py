"""Every rule gets its turn, within one bound for all."""

from typing import Any

import pytest

from service.rules.cel import compile_expression
from service.rules.model import Rule
from service.rules.turns import LEAST_STEPS, MATCH_STEPS, take_turns
from tests.tables import every_row

BOMB = "data.n.all(a, data.n.all(b, data.n.all(c, a + b + c >= 0)))"
HEAVY = "data.n.all(a, data.few.all(b, a + b >= 0))"  # some 40,000 steps


def rule(number: int, when: str | None = None, key: str | None = None) -> Rule:
    return Rule(
        number=number,
        name=f"rule-{number}",
        sources=None,
        pattern=None,
        when=compile_expression(when) if when else None,
        key=compile_expression(key) if key else None,
        mode="parallel",
        steps=(),
    )


def turns(rules: list[Rule], data: Any) -> tuple[list[int], list[tuple[int, str]]]:
    variables = {"event": {"data": data}, "data": data, "meta": {}, "steps": {}}
    hits, failures = take_turns(rules, variables)
    return [hit.rule.number for hit in hits], [(failed.number, str(error)) for failed, error in failures]


DATA = {"n": list(range(1000)), "few": list(range(5)), "yes": True}


def test_hits_keep_the_order_of_the_rules() -> None:
    rules = [rule(1), rule(2, "data.yes"), rule(3, "!data.yes"), rule(4, key="data.yes"), rule(5)]
    assert turns(rules, DATA) == ([1, 2, 4, 5], [])


@pytest.mark.parametrize("innocent", [0, 20, 40])
def test_an_innocent_rule_gets_its_turn_wherever_it_stands_among_bombs(innocent: int) -> None:
    rules = [rule(number, "data.yes" if number == innocent else BOMB) for number in range(41)]
    hits, failures = turns(rules, DATA)
    assert hits == [innocent]
    assert len(failures) == 40
    assert all("its budget is used up" in error for _, error in failures)


@every_row("place", [0, 99])
def test_a_heavy_rule_gets_what_the_others_do_not_need(place: int) -> None:
    rules = [rule(number, HEAVY if number == place else "data.yes") for number in range(100)]
    assert turns(rules, DATA) == (list(range(100)), [])


def test_ten_thousand_plain_conditions_do_not_starve_each_other() -> None:
    plain = rule(1, "data.yes && data.n.size() == 1000 && data.few[0] == 0 && !has(data.no)")
    hits, failures = turns([plain] * 10_000, DATA)
    assert (len(hits), failures) == (10_000, [])


@pytest.mark.parametrize("count", [1, 10, 100])
def test_the_work_of_all_rules_together_is_bounded(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = []

    class Counting:
        def __init__(self, steps: int) -> None:
            self._left = self._share = steps

        @property
        def left(self) -> int:
            return self._left

        @left.setter
        def left(self, steps: int) -> None:
            if steps > self._left:
                shares.append(min(self._share, self._share - self._left))
                self._share = steps
            self._left = steps

        def spend(self, steps: int) -> None:
            self._left -= steps

    monkeypatch.setattr("service.rules.turns.Budget", Counting)
    turns([rule(number, BOMB) for number in range(count)], DATA)
    assert sum(shares) <= max(MATCH_STEPS, LEAST_STEPS * count)


def test_an_error_in_a_key_is_a_hit_with_a_problem() -> None:
    hits, failures = take_turns([rule(1, key="data.no"), rule(2, key=BOMB)], {"data": DATA})
    assert [hit.problem for hit in hits] == [
        "key: no such key: `no`; did you mean `n`?",
        "key: the expression does too much work: its budget is used up",
    ]
    assert failures == []


def test_a_condition_that_is_no_condition_is_named_by_its_cel_type() -> None:
    _, failures = turns([rule(1, "data.n"), rule(2, "data.few[0]"), rule(3, "data")], DATA)
    assert [error for _, error in failures] == [
        f"`when` must be true or false, it is {kind}" for kind in ("list", "int", "map")
    ]

"""The rules of one ruleset, compiled. Pure and immutable: a change of any rule makes another ruleset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from actions.base import Follow
from service.retry import Policy
from service.rules.cel import ABSENT, Budget, EvaluationError, Program, to_json
from service.rules.cel.values import word
from service.rules.compile import Matcher, compile_patterns
from service.rules.mapping import Template
from service.rules.pattern import Pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call in a rule's `do` list. `timeout_ms` None: the connection's; `version` "": the present one.

    `preset` names what of the description is sent where the arguments say nothing; "" is nothing.
    """

    name: str
    connection: str
    operation: str
    arguments: Template
    retry: Policy = field(default_factory=Policy)
    on: Mapping[str, str] = field(default_factory=dict)
    on_unknown: Literal["retry", "dead"] = "retry"
    timeout_ms: int | None = None
    follow: Follow | None = None
    version: str = ""
    preset: str = ""

    @property
    def pin(self) -> str:
        """What the description that it is performed with is known by, in `Ruleset.pins`."""
        return f"{self.connection}@{self.version}" if self.version else self.connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `number` is never reused; `sources` None means all of them."""

    number: int
    name: str
    sources: frozenset[str] | None
    pattern: Pattern | None
    when: Program | None
    key: Program | None
    mode: Literal["parallel", "queued", "single", "restart"]
    steps: tuple[Step, ...]
    paused: bool = False


class Hit(msgspec.Struct, frozen=True):
    """A rule that a message matched, with its evaluated key (encoded JSON) or why there is none."""

    rule: Rule
    key: bytes | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Pin:
    """A description as a ruleset pins it: the hash of its bytes, and what was read from them."""

    digest: str
    spec: Any


class Ruleset:
    """All rules of one configuration, ready to match. One matcher per source, made on first use.

    `pins` holds the description of each connection that the rules call.
    """

    __slots__ = ("_matchers", "by_number", "number", "pins", "rules")

    def __init__(self, number: int, rules: Sequence[Rule], pins: Mapping[str, Pin] | None = None) -> None:
        self.number = number
        self.pins = dict(pins or {})
        self.rules = tuple(rules)
        self.by_number = {rule.number: rule for rule in rules}
        self._matchers: dict[str, tuple[tuple[Rule, ...], Matcher]] = {}

    def candidates(self, source: str, head: Mapping[str, Any], data: bytes | None) -> list[Rule]:
        """Return the rules whose `from` and `match` take this message, in the order of the file.

        `data` is the JSON text, not decoded yet. None: `head` is the whole message, decoded.
        """
        found = self._matchers.get(source)
        if found is None:
            rules = tuple(
                rule
                for rule in self.rules
                if not rule.paused and (rule.sources is None or source in rule.sources)
            )
            found = (rules, compile_patterns([rule.pattern for rule in rules]))
            self._matchers[source] = found
        rules, matcher = found
        matched = matcher.match(head) if data is None else matcher.match_message(head, data)
        return [rules[index] for index in matched]


def condition(rule: Rule, variables: Mapping[str, object], budget: Budget) -> bool:
    """Return whether a rule's `when` holds. Raise EvaluationError; a value that is not a bool is one."""
    if rule.when is None:
        return True
    value = rule.when.evaluate(variables, budget)
    if value is True or value is False:
        return value
    raise EvaluationError(f"`when` must be true or false, it is {word(value)}", 0, len(rule.when.text))


def key_of(rule: Rule, variables: Mapping[str, object], budget: Budget) -> bytes | None:
    """Return a rule's key as encoded JSON, None when it has none. Raise EvaluationError."""
    if rule.key is None:
        return None
    value = rule.key.evaluate(variables, budget)
    if value is ABSENT:
        raise EvaluationError("the key is absent", 0, len(rule.key.text))
    return msgspec.json.encode(to_json(value), order="deterministic")

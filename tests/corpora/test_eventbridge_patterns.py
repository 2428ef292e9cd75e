"""The public EventBridge cases, whose verdicts were recorded from AWS."""

from typing import Any

import msgspec
import pytest

from service.errors import Invalid
from service.rules.compile import compile_patterns
from service.rules.explain import explain_pattern
from service.rules.lines import match_line
from service.rules.pattern import parse_pattern_text
from tests.shared import shared_json

CASES: list[dict[str, str]] = shared_json("eventbridge-patterns-dev.json")["cases"]


def verdict(pattern_text: str, event: dict[str, Any]) -> str:
    try:
        pattern = parse_pattern_text(pattern_text)
    except Invalid:
        return "error"
    expected = pattern.matches(event)
    assert compile_patterns([pattern]).match(event) == [0] * expected
    assert explain_pattern(pattern, event).matched == expected
    return "match" if expected else "no-match"


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_verdict_is_that_of_aws(case: dict[str, str]) -> None:
    assert verdict(case["pattern_text"], msgspec.json.decode(case["event_text"])) == case["expected"]
    line = msgspec.json.encode({"pattern": case["pattern_text"], "message": case["event_text"]})
    answer = msgspec.json.decode(match_line(line))
    assert (
        "error" in answer if case["expected"] == "error" else answer == {"match": case["expected"] == "match"}
    )


def test_all_cases_are_there() -> None:
    assert len(CASES) == 101

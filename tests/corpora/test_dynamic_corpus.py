"""Everything dynamic in the shared connectors leads to an operation, or says why it cannot."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_socket import disable_socket, enable_socket

from actions.dynamic import Choice, DynamicCall, DynamicTree, dynamic, dynamics
from actions.dynamic.calls import Binding
from actions.errors import Refused
from actions.serialize import compile_operation
from actions.specs.model import Operation, Spec
from tests.corpora.corpus import expected, folder, read

SET = "power-platform"
UNSAID = {("iObeya", "it refers to Type Card, which is no input of CreateCard")}
"""What no reader could resolve, and why."""


@pytest.fixture(scope="module", autouse=True)
def _no_network() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


Found = tuple[str, Spec, Operation, str, DynamicCall | DynamicTree]


@pytest.fixture(scope="module")
def found() -> list[Found]:
    return [
        (one["file"].split("/")[-2], spec, operation, pointer, each)
        for one in expected(SET)
        if any("dynamic" in key for key in one.get("extensions") or {})
        for spec in [read(folder(SET, one["file"]))]
        for operation in spec.operations.values()
        for pointer, each in dynamics(spec, operation).items()
    ]


def calls(one: DynamicCall | DynamicTree) -> tuple[DynamicCall, ...]:
    return (one.open, one.browse) if isinstance(one, DynamicTree) else (one,)


def test_everything_dynamic_resolves_or_says_why(found: list[Found]) -> None:
    count: Counter[str] = Counter()
    unsaid = set()
    for name, spec, operation, pointer, one in found:
        count["tree" if isinstance(one, DynamicTree) else one.kind] += 1
        if one.problem:
            unsaid.add((name, one.problem))
            continue
        for call in calls(one):
            assert (call.problem, call.notes) == ("", ()), (name, operation.id, pointer)
            assert call.operation in spec.operations
    assert unsaid == UNSAID
    assert count["values"] >= 1_700
    assert count["schema"] >= 300
    assert count["tree"] >= 50


def test_what_is_listed_is_found_by_its_pointer(found: list[Found]) -> None:
    for _, spec, operation, pointer, one in found[::20]:
        assert dynamic(spec, operation, pointer) == one


def test_every_call_takes_its_arguments_from_those_given_so_far(found: list[Found]) -> None:
    asked = 0
    for name, spec, operation, pointer, one in found:
        for call in calls(one):
            if call.problem:
                continue
            current: dict[str, Any] = {}
            for binding in call.bindings:
                plant(current, binding)
            node = {binding.selected: "7" for binding in call.bindings if binding.selected}
            made = call.arguments(current, node)
            wrong = refusals(spec, call, made)
            # What is still required is asked for, and 7 is no good value of some; nothing else is wrong.
            assert all("is required" in text or "7" in text for text in wrong), (name, operation.id, pointer)
            asked += 1
    assert asked > 2_000


def refusals(spec: Spec, call: DynamicCall, made: dict[str, Any]) -> list[str]:
    try:
        compile_operation(spec.operations[call.operation], spec, "https://api.example")(made)
    except Refused as error:
        return [text for _, text in error.problems]
    return []


def test_answers_made_as_described_are_read(found: list[Found]) -> None:
    listed = 0
    for _, _, _, _, one in found:
        if isinstance(one, DynamicTree) or one.problem:
            continue
        listed += 1
        if one.kind == "schema":
            schema = {"type": "object", "properties": {"a": {}}}
            assert one.schema(nested(one.value_path, schema)) == schema
            continue
        item = merged(nested(one.value_path, "v"), nested(one.title_path or one.value_path, "t"))
        title = "t" if one.title_path and one.title_path != one.value_path else "v"
        assert one.values(nested(one.collection, [item])) in ([Choice("v", title)], [Choice("t", "t")])
    assert listed > 2_000


def plant(current: dict[str, Any], binding: Binding) -> None:
    if binding.source is None:
        return
    inner = current
    for step in binding.source[:-1]:
        inner = inner.setdefault(step, {})
    inner[binding.source[-1]] = "7"


def nested(path: str, value: Any) -> Any:
    for step in reversed([one for one in path.split("/") if one]):
        value = {step: value}
    return value


def merged(first: Any, second: Any) -> Any:
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return first
    return {
        key: merged(first[key], second[key]) if key in first and key in second else (first | second)[key]
        for key in first | second
    }

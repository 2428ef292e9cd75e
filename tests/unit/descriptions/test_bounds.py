"""How much of a description is read: two of its bounds are settings, and what was accepted stays readable."""

import json
from pathlib import Path
from typing import Any

import pytest

from actions.specs import read_spec
from service.config.model import Configuration
from service.descriptions import ACCEPTED, DEFAULT, Bounds, Unfit, bounds_of, collect, kept, read_pinned, sent
from service.errors import Invalid
from service.rulesets import Rulesets
from service.settings import Settings
from service.usecases.checking import check_configuration
from service.usecases.diffing import one_unit
from tests.fakes.memory_store import MemoryStore
from tests.tables import every_row
from tests.unit.descriptions.test_collecting import packed, write


def api(*names: str) -> dict[str, Any]:
    responses = {"200": {"description": "ok"}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "t", "version": "1"},
        "servers": [{"url": "https://a.example"}],
        "paths": {f"/{name}": {"get": {"operationId": name, "responses": responses}} for name in names},
    }


TWO = json.dumps(api("one", "two")).encode()
SMALL, FEW = Bounds(file_bytes=100), Bounds(operations=1)


def test_the_defaults_of_the_settings_are_the_bounds() -> None:
    assert bounds_of(Settings()) == DEFAULT
    made = bounds_of(Settings(max_description_bytes=7, max_operations=3))
    assert (made.file_bytes, made.operations, made.files) == (7, 3, DEFAULT.files)


def test_a_file_that_is_too_long_is_named_with_the_setting(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": TWO})
    (unit,) = collect(tmp_path / "api.json", SMALL)
    (found,) = unit.read().findings
    assert found.message.endswith(f"has {len(TWO)} bytes, more than 100 (POINTSMAN_MAX_DESCRIPTION_BYTES)")
    with pytest.raises(Unfit, match="POINTSMAN_MAX_DESCRIPTION_BYTES"):
        kept(tmp_path / "api.json", SMALL)
    with pytest.raises(Invalid, match="POINTSMAN_MAX_DESCRIPTION_BYTES"):
        one_unit(tmp_path / "api.json", SMALL)


def test_a_higher_bound_holds_for_every_file_of_a_description(tmp_path: Path) -> None:
    """The text of a file is looked at again where it is read: that must not know another bound."""
    long = {"get": {"operationId": "a", "description": "x" * 300, "responses": {"200": {"description": "k"}}}}
    root = {"openapi": "3.0.3", "info": {}, "paths": {"/a": {"$ref": "a.json"}}}
    files = {"root.json": json.dumps(root).encode(), "a.json": json.dumps(long).encode()}
    refused = read_spec(files, "root.json", max_bytes=200)
    assert not refused.operations
    assert list(read_spec(files, "root.json", max_bytes=1_000).operations) == ["a"]
    assert not read_spec(files, "root.json", max_bytes=10).readable


@every_row("bounds", [FEW, DEFAULT, ACCEPTED])
def test_the_same_bytes_are_read_by_the_bound_of_who_asks(bounds: Bounds) -> None:
    read = read_pinned("shared.json", TWO, bounds)
    assert read_pinned("shared.json", TWO, bounds) is read
    assert bool(read.operations["two"].problem) == (bounds is FEW)
    assert not read.operations["one"].problem


def test_what_is_sent_is_bounded_too(tmp_path: Path) -> None:
    (unit,) = sent("sent", TWO, FEW)
    assert unit.read().operations["two"].problem == "the description has more than 1 operations"
    (unit,) = sent("sent", packed(write(tmp_path, {"api.json": TWO})), FEW)
    assert unit.read().operations["two"].problem


async def test_a_rule_that_calls_what_is_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"api.json": TWO})
    config = tmp_path / "pointsman.yaml"
    config.write_text(
        "connectors: {a: {spec: api.json}}\nconnections: {a: {connector: a}}\n"
        "rules:\n  r: {do: [{call: a.one}]}\n  s: {do: [{call: a.two}]}\n"
    )
    found = await check_configuration(config, resolve=False, env={}, bounds=FEW)
    assert [(one.pointer, one.code) for one in found.errors] == [("/rules/s/do/0/call", "broken-operation")]
    assert not (await check_configuration(config, resolve=False, env={})).problems
    unread = await check_configuration(config, resolve=False, env={}, bounds=SMALL)
    assert [one.line for one in unread.errors] == [1]


async def test_a_bound_that_is_lowered_takes_nothing_from_what_was_accepted() -> None:
    document = {
        "connectors": {"a": {"spec": "api.json"}},
        "connections": {"a": {"connector": "a"}},
        "rules": {"r": {"do": [{"call": "a.two"}]}},
    }
    store = MemoryStore(clock_ms=lambda: 0)
    await store.open()
    plan = await Rulesets(store).keep(
        Configuration.model_validate(document), json.dumps(document).encode(), {"a": TWO}
    )
    lower = Rulesets(store, Bounds(file_bytes=10, operations=1))
    (rule,) = (await lower.ruleset(plan.ruleset.number)).rules
    assert rule.steps[0].operation == "two"
    again = await lower.keep(
        Configuration.model_validate({**document, "rules": {}}), b'{"connectors": {}}', {"a": TWO}
    )
    assert not again.specs  # what is accepted from now on is bounded

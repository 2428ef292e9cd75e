"""Every Power Platform connector of the shared data is read as a folder: operations, policies, triggers, scripts."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_socket import disable_socket, enable_socket

from actions.specs.model import Spec
from actions.templates import KNOWN_TEMPLATES
from tests.corpora.corpus import expected, folder, missing, read, sent

SET = "power-platform"
PARTS = 4
KINDS = {
    "string": "string",
    "securestring": "secret",
    "oauthSetting": "oauth",
    "gatewaySetting": "gateway",
    "int": "integer",
    "bool": "boolean",
}
Read = tuple[str, Spec, dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def _no_network() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(scope="module", params=range(PARTS))
def part(request: pytest.FixtureRequest) -> list[Read]:
    found = expected(SET)[request.param :: PARTS]
    return [(one["item"], read(folder(SET, one["file"])), one) for one in found]


def test_every_connector_is_read_unless_its_definition_is_broken(part: list[Read]) -> None:
    for name, spec, want in part:
        if want["parse"] != "broken":
            assert spec.readable, name
            assert spec.dialect == "swagger2"
            assert missing(spec, want) == [], name
        if want["parse"] != "ok":
            assert any(one.severity != "info" for one in spec.findings), name


def test_broken_files_are_named_with_their_line(part: list[Read]) -> None:
    for name, spec, want in part:
        if not spec.readable:
            said = spec.findings[0]
            assert (said.severity, said.line) == ("error", want["error"]["line"]), name
        if (want.get("power_platform") or {}).get("props_parse") == "broken":
            (said,) = (one for one in spec.findings if one.code == "unreadable")
            assert said.file == "apiProperties.json"
            assert said.severity == "warning"
            assert said.line > 1
            assert spec.operations


def test_almost_no_operation_is_refused(part: list[Read]) -> None:
    refused = [one.problem for _, spec, _ in part for one in spec.operations.values() if one.problem]
    assert len(refused) <= 4, refused


def test_every_policy_is_read_and_knows_its_operations(part: list[Read]) -> None:
    for name, spec, want in part:
        policies = (want.get("power_platform") or {}).get("policies", {})
        assert Counter(one.template for one in spec.policies) == policies, name
        assert {one.template for one in spec.policies} <= KNOWN_TEMPLATES
        for one in spec.policies if spec.readable else ():
            assert not one.problem or any(one.problem in said.message for said in spec.findings)
            assert not one.template.startswith("x-ms")
            assert not any(key.startswith("x-ms-") for key in one.parameters), name
            assert set(one.operations or ()) <= set(spec.operations)
        dangling = [one for one in spec.findings if one.code == "no-such-operation"]
        if spec.readable:
            assert len(dangling) == (want.get("power_platform") or {}).get("policy_scopes_unknown", 0), name


def test_every_trigger_is_read_with_where_the_callback_url_goes(part: list[Read]) -> None:
    for name, spec, want in part:
        kinds = Counter(one.kind for one in spec.triggers.values())
        if want["parse"] == "broken":
            continue
        assert kinds["notification"] + kinds["poll"] == want["x_ms_trigger"], name
        for one in spec.triggers.values():
            assert one.operation in spec.operations
            assert (one.kind == "poll") == (not one.address), name
            assert one.address.startswith("body/") or one.kind == "poll", name
            assert one.kind == "poll" or one.extras["unsubscribe"]["operation"] in {"", *spec.operations}


def test_connection_parameters_and_sets_are_read(part: list[Read]) -> None:
    for name, spec, want in part:
        about = want.get("power_platform") or {}
        if about.get("props_parse") != "ok":
            continue
        assert (
            len(spec.parameter_sets) in {0, about["connection_parameter_sets"]}
            or about["connection_parameter_sets"] == 1
        )
        alone = Counter(one.kind for one in spec.parameters.values() if not one.sets)
        if not spec.parameter_sets:
            assert alone == Counter(
                {KINDS[key]: count for key, count in about["connection_parameters"].items()}
            ), name


def test_operations_that_a_script_performs_are_marked(part: list[Read]) -> None:
    for name, spec, want in part:
        listed = (want.get("power_platform") or {}).get("script_operations")
        coded = [one for one in spec.operations.values() if one.needs_code]
        if listed is not None:
            assert coded, name
            assert all(one.status == "degraded" for one in coded)


def test_every_operation_compiles_or_says_why_not(part: list[Read]) -> None:
    for _, spec, _ in part:
        sent(spec)


def test_counts_of_the_whole_set_are_those_of_the_counter() -> None:
    specs = [read(folder(SET, one["file"])) for one in expected(SET)]
    triggers = [one for spec in specs for one in spec.triggers.values()]
    assert sum(len(spec.policies) for spec in specs) == 305
    assert sum(one.kind != "callback" for one in triggers) >= 370
    assert sum(bool(one.address) and one.kind in {"notification", "callback"} for one in triggers) >= 299
    steps = Counter(one.extras["unsubscribe"]["step"] for one in triggers if one.kind == "notification")
    assert sum(steps[step] for step in (1, 2, 3, 4, 6)) / steps.total() > 0.7

"""Policies and scripts of apiProperties.json."""

from typing import Any

from tests.tables import every_row
from tests.unit.actions.specs.powerplatform.test_login import folder

TWO = {"/a": {"get": {"operationId": "A"}}, "/b": {"get": {"operationId": "B"}}}
URL = {"x-ms-apimTemplateParameter.urlTemplate": "https://b.x"}


def policy(template: str = "dynamicHostUrl", **parameters: Any) -> dict[str, Any]:
    return {"templateId": template, "title": "t", "parameters": {**URL, **parameters}}


def scoped(*names: Any) -> dict[str, Any]:
    return {"x-ms-apimTemplate-operationName": list(names)}


def test_a_policy_has_its_own_parameters_alone() -> None:
    spec = folder(
        {
            "policyTemplateInstances": [
                policy(**scoped("B"), **{"x-ms-apimTemplate-policySection": "Request"})
            ]
        },
        paths=TWO,
    )
    (found,) = spec.policies
    assert (found.template, found.title, found.section, found.operations) == (
        "dynamichosturl",
        "t",
        "request",
        ("B",),
    )
    assert found.parameters == {"urlTemplate": "https://b.x"}
    assert found.pointer == "/properties/policyTemplateInstances/0"


def test_a_policy_without_a_scope_or_with_an_empty_one_is_for_all_operations() -> None:
    spec = folder({"policyTemplateInstances": [policy(), policy(**scoped())]}, paths=TWO)
    assert [one.operations for one in spec.policies] == [None, None]


def test_operations_that_do_not_exist_are_named_and_left_out() -> None:
    spec = folder(
        {"policyTemplateInstances": [policy(**scoped("A", "Bb"))]},
        paths={"/a": TWO["/a"], "/b": {"get": {"operationId": "BbB"}}},
    )
    assert spec.policies[0].operations == ("A",)
    (found,) = spec.findings
    assert (found.code, found.file) == ("no-such-operation", "apiProperties.json")
    assert "did you mean BbB?" in found.message


def test_an_unknown_template_degrades_the_operations_of_its_scope() -> None:
    spec = folder({"policyTemplateInstances": [policy("setheaders", **scoped("A"))]}, paths=TWO)
    assert (
        spec.policies[0].problem == "the policy template 'setheaders' is not known; did you mean setheader?"
    )
    assert (spec.operations["A"].status, spec.operations["B"].status) == ("degraded", "ok")
    assert [one.code for one in spec.findings] == ["policy-template"]


@every_row(
    ("written", "section"),
    [("Response", "response"), ("failure", "failure"), (None, "request"), ("Moon", "request")],
)
def test_sections_are_read_in_any_case(written: str | None, section: str) -> None:
    spec = folder(
        {
            "policyTemplateInstances": [
                policy(
                    "setheader",
                    **{
                        "x-ms-apimTemplate-policySection": written,
                        "x-ms-apimTemplateParameter.name": "n",
                        "x-ms-apimTemplateParameter.value": "v",
                    },
                )
            ]
        },
        paths=TWO,
    )
    assert spec.policies[0].section == section
    assert bool(spec.policies[0].problem) == (written == "Moon")


@every_row(
    ("properties", "script", "coded"),
    [
        ({"scriptOperations": ["A"]}, False, {"A"}),
        ({"scriptOperations": []}, False, {"A", "B"}),
        ({"script": {"operationIds": ["B"]}}, False, {"B"}),
        ({}, True, {"A", "B"}),
        ({"scriptOperations": ["A"]}, True, {"A"}),
        ({}, False, set()),
    ],
)
def test_operations_of_a_script_need_code(properties: dict[str, Any], script: bool, coded: set[str]) -> None:
    import json

    from actions.specs import read_spec

    root = {"swagger": "2.0", "info": {}, "host": "a.x", "schemes": ["https"], "paths": TWO}
    files = {
        "apiDefinition.swagger.json": json.dumps(root).encode(),
        "apiProperties.json": json.dumps({"properties": properties}).encode(),
        **({"script.csx": b"public class Script : ScriptBase {}"} if script else {}),
    }
    spec = read_spec(files)
    assert {one.id for one in spec.operations.values() if one.needs_code} == coded
    assert all(one.degraded for one in spec.operations.values() if one.needs_code)


def test_scripted_operations_that_do_not_exist_are_named() -> None:
    spec = folder({"scriptOperations": ["A", "Z"]}, paths=TWO)
    assert [one.code for one in spec.findings] == ["no-such-operation"]
    assert spec.operations["A"].needs_code


def led(path: str, **scope: Any) -> dict[str, Any]:
    given = {"x-ms-apimTemplateParameter.newPath": path, **scope}
    return {"templateId": "routeRequestToEndpoint", "title": "t", "parameters": given}


def test_a_path_made_of_what_operations_do_not_have_degrades_them() -> None:
    asked = {"name": "GraphId", "in": "query", "type": "string"}
    paths = {
        "/a/{x}": {"get": {"operationId": "A", "parameters": [{**asked, "name": "x", "in": "path"}]}},
        "/b": {"get": {"operationId": "B", "parameters": [asked]}},
    }
    spec = folder(
        {"policyTemplateInstances": [led("/c"), led("/g/@queryParameters('graphid')/{x}")]}, paths=paths
    )
    assert spec.operations["A"].degraded == ("the policy t needs graphid, which is no input of it",)
    assert spec.operations["B"].degraded == ("the policy t needs x, which is no input of it",)
    assert [one.message for one in spec.findings if one.code == "policy-parameters"] == [
        "t: the path needs graphid, which is no input of A",
        "t: the path needs x, which is no input of B",
    ]


@every_row(
    "more",
    [
        led("/c"),
        {
            "templateId": "setQueryParameter",
            "parameters": {"x-ms-apimTemplateParameter.name": "n", "x-ms-apimTemplateParameter.value": "1"},
        },
    ],
)
def test_a_path_is_what_the_policies_make_of_it_together(more: dict[str, Any]) -> None:
    made = [led("/g/@queryParameters('n')"), more]
    spec = folder({"policyTemplateInstances": made}, paths={"/a": {"get": {"operationId": "A"}}})
    assert spec.operations["A"].degraded == ()


def test_a_connection_parameter_that_nobody_declares_is_named() -> None:
    url = {
        "x-ms-apimTemplateParameter.urlTemplate": "@connectionParameters('place')/@connectionParameters('b','c')"
    }
    spec = folder({"policyTemplateInstances": [policy(**url), policy(**url)]}, paths=TWO)
    (said,) = (one for one in spec.findings if one.code == "policy-parameters")
    assert (said.severity, said.message) == ("info", "t: the connection parameter place is not declared")
    assert "place: …" in said.fix

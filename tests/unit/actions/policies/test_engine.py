"""Order, scope and sections of policies, and what becomes of those that cannot be executed."""

import pytest

from actions.errors import Refused
from actions.policies import compile_policies
from actions.specs.model import Policy, Spec
from tests.unit.actions.policies.trying import BASE, operation, policies, request


def test_policies_run_in_the_order_of_the_description() -> None:
    made = policies(
        ("setheader", {"name": "X-A", "value": "1"}),
        ("setheader", {"name": "X-B", "value": "@headers('x-a')2"}),
        ("setqueryparameter", {"name": "c", "value": "@headers('x-b')3"}),
        ("routerequesttoendpoint", {"newPath": "/@queryParameters('c')"}),
    )
    assert made.request(request()).url == f"{BASE}/123?c=123"


def test_a_policy_belongs_to_the_operations_it_names() -> None:
    one = operation()
    for operations, there in ((None, True), (("op",), True), (("other",), False), ((), False)):
        policy = Policy(template="setheader", parameters={"name": "A", "value": "b"}, operations=operations)
        assert (compile_policies(Spec(policies=(policy,)), one, {}) is not None) is there


def test_an_operation_without_policies_has_none() -> None:
    assert compile_policies(Spec(), operation(), {}) is None


def test_parameters_may_be_written_in_any_of_the_vendors_ways() -> None:
    prefixed = {"x-ms-apimTemplateParameter.NAME": "A", "x-ms-apimTemplateParameter.value": "b"}
    assert policies(("SETHEADER", prefixed)).request(request()).headers == (("A", "b"),)


def test_one_that_cannot_be_executed_is_left_out_unless_it_decides_who_is_called() -> None:
    good = ("setheader", {"name": "A", "value": "b"})
    bad = policies(good, ("setheader", {"name": "[[x]]", "value": "b"}), ("nosuch", {}))
    assert bad.request(request()).headers == (("A", "b"),)
    route = policies(good, ("routerequesttoendpoint", {"newPath": "/@boddy().x"}))
    with pytest.raises(Refused, match=r"my routerequesttoendpoint.*did you mean body"):
        route.request(request())
    known = Policy(template="routerequesttoendpoint", parameters={"newPath": "/x"}, problem="no section")
    with pytest.raises(Refused, match="no section"):
        policies(known).request(request())


def test_secrets_are_masked_and_the_rest_is_shown() -> None:
    made = policies(
        ("setheader", {"name": "A", "value": "@connectionParameters('s')/@connectionParameters('p')"}),
        (
            "routerequesttoendpoint",
            {"newPath": "/@connectionParameters('s')/@connectionParameters('unknown')"},
        ),
        ("dynamichosturl", {"urlTemplate": "https://@connectionParameters('s').a.example"}),
        values={"s": "secret", "p": "plain"},
        secrets=("s",),
    )
    shown = policies(
        ("setheader", {"name": "A", "value": "@connectionParameters('s')/@connectionParameters('p')"}),
        values={"s": "secret", "p": "plain"},
        secrets=("s",),
    ).masked()
    assert shown.request(request()).headers == (("A", "***/plain"),)
    assert made.server(BASE) == "https://secret.a.example"


def test_a_request_to_the_bare_origin_has_a_path_again() -> None:
    made = policies(("routerequesttoendpoint", {"newPath": "/x"}), of=operation(path="/"))
    assert made.request(request("https://api.example/")).url == "https://api.example/x"
    assert made.request(request("https://api.example?a=1")).url == "https://api.example/x?a=1"

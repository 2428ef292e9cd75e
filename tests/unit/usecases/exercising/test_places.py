"""The connection of an exercise: a base URL from what the description says, and policies taken into account."""

from typing import Any

from actions.specs.model import ConnectionParameter, Operation, Parameter, Policy, Server, Spec, Variable
from service.usecases.exercising.diverting import after_origin
from service.usecases.exercising.places import (
    HOST,
    appended_fields,
    base_path,
    base_url,
    changed_bodies,
    changed_queries,
    has_own_server,
    make_place,
    rewritten_routes,
)
from tests.tables import every_row


@every_row(
    ("server", "wanted"),
    [
        (Server(url="https://a.example/v1/"), "https://a.example/v1"),
        (Server(url="//a.example/v1"), "https://a.example/v1"),
        (Server(url="/v1"), f"https://{HOST}/v1"),
        (Server(url="v1"), f"https://{HOST}/v1"),
        (
            Server(url="https://{x}.a.example", variables={"x": Variable(default="eu")}),
            "https://eu.a.example",
        ),
        (
            Server(url="https://{x}.a.example", variables={"x": Variable(enum=("us",))}),
            "https://us.a.example",
        ),
        (Server(url="https://{x}.a.example", variables={"x": Variable()}), "https://sample.a.example"),
        (Server(url="{base}/v1", variables={"base": Variable()}), f"https://{HOST}/v1"),
        (Server(url="https://"), f"https://{HOST}"),
        (Server(url="http://localhost:0/v1/"), f"https://{HOST}/v1"),
        (Server(url="///test"), f"https://{HOST}/test"),
        (Server(url="https://{undeclared}"), f"https://{HOST}"),
    ],
)
def test_base_url(server: Server, wanted: str) -> None:
    assert base_url((server,)) == wanted


def test_the_first_server_that_can_be_called_counts() -> None:
    assert base_url((Server(url="https://"), Server(url="https://a.example"))) == "https://a.example"
    assert base_url(()) == f"https://{HOST}"
    assert base_path(Spec(servers=(Server(url="https://a.example/v1/"),))) == "/v1"
    assert base_path(Spec()) == ""


def test_an_operation_may_have_a_server_that_is_none() -> None:
    assert not has_own_server(Operation(id="a", method="GET", path="/"))
    assert not has_own_server(Operation(id="a", method="GET", path="/", servers=(Server(url="https://"),)))
    assert has_own_server(
        Operation(id="a", method="GET", path="/", servers=(Server(url="https://a.example"),))
    )


def policy(template: str, **parameters: Any) -> Policy:
    return Policy(
        template=template,
        parameters={f"x-ms-apimTemplateParameter.{key}": value for key, value in parameters.items()},
    )


def spec(*policies: Policy, **rest: Any) -> Spec:
    operation = Operation(
        id="a", method="GET", path="/a/{id}", parameters=(Parameter(name="env", location="query", **rest),)
    )
    parameters = {
        "site": ConnectionParameter(name="site"),
        "sub": ConnectionParameter(name="sub"),
        "region": ConnectionParameter(name="region", enum=("eu", "us")),
        "given": ConnectionParameter(name="given", default="x"),
        "port": ConnectionParameter(name="port", kind="integer"),
    }
    return Spec(operations={"a": operation}, policies=policies, parameters=parameters)


def test_parameters_have_values_that_can_stand_where_they_are_used() -> None:
    hosts = [
        policy("dynamichosturl", urlTemplate="https://@connectionParameters('site')/x"),
        policy("dynamichosturl", urlTemplate="https://@{connectionParameters('sub')}.a.example"),
    ]
    made = make_place(spec(*hosts)).parameters
    assert made == {"site": HOST, "sub": "sample", "region": "eu", "given": "x", "port": "1"}


def test_parameters_that_only_policies_name_have_values_too() -> None:
    host = policy(
        "dynamichosturl", urlTemplate="@connectionParameters('place')/@connectionParameters('SITE')"
    )
    made = make_place(spec(host)).parameters
    assert made["place"] == HOST
    assert "SITE" not in made


def test_a_parameter_that_is_sent_as_it_is_fits_what_operations_describe() -> None:
    sends = policy("setqueryparameter", name="ENV", value="@connectionParameters('sub')")
    assert make_place(spec(sends, schema={"type": "string", "enum": ["q"]})).parameters["sub"] == "q"


def test_arguments_in_a_host_are_allowed_by_the_connection_unless_the_description_lists_them() -> None:
    host = policy("dynamichosturl", urlTemplate="https://@queryParameters('env')")
    assert make_place(spec(host)).parameters["env"] == HOST
    assert "env" not in make_place(spec(host, schema={"enum": ["a.example"]})).parameters


def test_routes_lead_where_policies_lead_requests() -> None:
    route = policy(
        "routerequesttoendpoint", newPath="/b/{id}/@connectionParameters('sub')", httpMethod="POST"
    )
    host = policy("dynamichosturl", urlTemplate="@connectionParameters('site')/wp/v1?@headers('q')")
    values = {"site": HOST, "sub": "s"}
    assert list(rewritten_routes(spec(), values)) == []
    assert list(rewritten_routes(spec(route), values)) == [("a", "POST", "/b/{id}/s")]
    assert list(rewritten_routes(spec(host), values)) == [("a", "GET", "/wp/v1/a/{id}")]
    assert list(rewritten_routes(spec(host, route), values)) == [("a", "POST", "/wp/v1/b/{id}/s")]


def test_what_policies_change_is_known() -> None:
    assert set(changed_queries(spec(policy("setqueryparameter")))) == {"a"}
    assert set(changed_queries(spec(policy("dynamichosturl", urlTemplate="https://a/x?@headers('q')")))) == {
        "a"
    }
    assert set(changed_queries(spec(policy("dynamichosturl", urlTemplate="https://a/x")))) == set()
    assert set(changed_bodies(spec(policy("setproperty")))) == {"a"}
    assert set(changed_bodies(spec(policy("setheader")))) == set()
    twice = policy("setqueryparameter", name="env", value="x", existsAction="append")
    assert set(appended_fields(spec(twice, policy("setqueryparameter", name="b", value="x")))) == {
        ("a", "env")
    }


@every_row(
    ("url", "rest"),
    [
        ("https://a.example/x?y=/z", "/x?y=/z"),
        ("https://a.example?y=1", "/?y=1"),
        ("http://a.example:1", "/"),
    ],
)
def test_everything_but_the_origin_stays(url: str, rest: str) -> None:
    assert after_origin(url) == rest

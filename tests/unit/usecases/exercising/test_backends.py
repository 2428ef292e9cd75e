"""What policies fetch first and where they lead is a part of the backend."""

from dataclasses import replace
from typing import Any

import msgspec

from actions.specs.model import Media, Operation, Policy, Response, Server, Spec
from service.usecases.exercising.backends import make_backend


def spec(url: str, value: str, method: str = "GET") -> Spec:
    parameters = {"parameterTemplate": "@headers('If-Match')", "httpMethod": method, "parameterValueUrl": url}
    shown = Response(
        media=(
            Media(
                type="application/json",
                schema={"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}},
            ),
        )
    )
    return Spec(
        servers=(Server(url="https://a.example/v1"),),
        operations={
            "get": Operation(id="get", method="GET", path="/tasks/{id}", responses={"200": shown}),
            "put": Operation(id="put", method="PUT", path="/tasks/{id}"),
        },
        policies=(
            Policy(
                template="setvaluefromurl",
                parameters={**parameters, "parameterValuePathTemplate": value},
            ),
        ),
    )


def answered(of: Spec, method: str, target: str) -> Any:
    judgement = make_backend(of).judge(method, target)
    assert judgement.accepted, judgement.faults
    return msgspec.json.decode(judgement.answer.body) if judgement.answer.body else None


def test_what_is_fetched_from_a_path_that_nobody_describes_is_answered_with_what_is_looked_for() -> None:
    token = spec("/oauth2/token?grant_type=x", "@body().tokens[1].value", "POST")
    made = answered(token, "POST", "/oauth2/token?grant_type=x")
    assert isinstance(made["tokens"][1]["value"], str)
    assert answered(token, "POST", "/v1/oauth2/token") == made


def test_what_is_fetched_from_an_operation_is_answered_with_all_it_describes_besides() -> None:
    made = answered(spec("/tasks/{id}", "@body()['@odata.etag']"), "GET", "/v1/tasks/7")
    assert set(made) == {"id", "@odata.etag"}


def test_a_header_that_is_looked_for_is_there() -> None:
    judgement = make_backend(spec("/tasks/{id}", "@headers('ETag')")).judge("GET", "/v1/tasks/7")
    assert dict(judgement.answer.headers)["etag"]


def test_where_nothing_is_known_of_the_connection_its_parameters_may_be_anything() -> None:
    led = Policy(
        template="routerequesttoendpoint", parameters={"newPath": "/@connectionParameters('org')/t/{id}"}
    )
    made = make_backend(replace(spec("/x", "@body()"), policies=(led,)))
    assert made.judge("PUT", "/v1/any/t/7").accepted
    assert not made.judge("PUT", "/v1/any/u/7").accepted

"""One operation with one policy, and what becomes of its request and its answer."""

import json
from collections.abc import Mapping
from typing import Any

from actions.base import Answer
from actions.policies import OperationPolicies, compile_policies
from actions.specs.model import ConnectionParameter, Operation, Parameter, Policy, SecurityScheme, Spec
from actions.transport import Request

BASE = "https://api.example/v1"


def operation(method: str = "POST", path: str = "/orders/{id}", **more: Any) -> Operation:
    names = [name.split("}")[0] for name in path.split("{")[1:]]
    parameters = (
        *(Parameter(name=name, location="path") for name in names),
        *more.pop("parameters", ()),
    )
    return Operation(id="op", method=method, path=path, parameters=parameters, **more)


def policies(
    *given: tuple[str, Mapping[str, Any]] | Policy,
    of: Operation | None = None,
    values: Mapping[str, str] | None = None,
    section: str = "request",
    secrets: tuple[str, ...] = (),
    hosts: bool = True,
    schemes: Mapping[str, SecurityScheme] | None = None,
) -> OperationPolicies:
    """Return the policies of an operation, each given as (template, parameters)."""
    one = of or operation()
    spec = Spec(
        operations={"op": one},
        policies=tuple(
            each
            if isinstance(each, Policy)
            else Policy(template=each[0], title=f"my {each[0]}", parameters=each[1], section=section)  # type: ignore[arg-type]
            for each in given
        ),
        parameters={name: ConnectionParameter(name=name, kind="string") for name in values or {}}
        | {name: ConnectionParameter(name=name, kind="secret") for name in secrets},
        security_schemes=schemes or {},
    )
    made = compile_policies(spec, one, values or {}, hosts=hosts)
    assert made is not None
    return made


def wire(request: Request) -> bytes:
    """Return a request as it would stand on the wire, without the headers of the engine."""
    host, _, path = request.url.partition("://")[2].partition("/")
    lines = [f"{request.method} /{path} HTTP/1.1", f"host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + request.body


def request(
    url: str = f"{BASE}/orders/7", *headers: tuple[str, str], method: str = "POST", body: Any = b""
) -> Request:
    """Return the request that the serializer made."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request(method, url, headers, data)


def changed(made: OperationPolicies, body: Any) -> Any:
    """Return what becomes of a JSON body in the request section."""
    return json.loads(made.request(request(body=body)).body)


def answered(made: OperationPolicies, body: Any, status: int = 200, **headers: str) -> Answer:
    """Return what becomes of an answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return made.answer(request(), Answer(status=status, headers=named, body=data))

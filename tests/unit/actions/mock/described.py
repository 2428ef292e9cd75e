"""Small descriptions, and requests to the mock of them."""

import json
from typing import Any

from actions.mock.judging import Judgement, MockBackend
from actions.specs import read_spec
from actions.specs.model import Spec


def spec_of(
    paths: dict[str, Any], *, version: str = "3.0.3", server: str = "https://api.example/v1", **more: Any
) -> Spec:
    document = {
        "openapi": version,
        "info": {"title": "t", "version": "1"},
        "servers": [{"url": server}],
        "paths": paths,
        **more,
    }
    return read_spec({"api.json": json.dumps(document).encode()})


def operation(
    *,
    parameters: list[Any] | None = None,
    body: dict[str, Any] | None = None,
    required: bool = True,
    **more: Any,
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "responses": {"200": {"description": "fine"}},
        "parameters": parameters or [],
        **more,
    }
    if body is not None:
        made["requestBody"] = {"required": required, "content": body}
    return made


def backend(paths: dict[str, Any], **more: Any) -> MockBackend:
    return MockBackend(spec_of(paths, **more))


def of_parameter(parameter: dict[str, Any], path: str = "/x") -> MockBackend:
    return backend({path: {"get": operation(parameters=[parameter])}})


def of_body(
    media: str, schema: Any, *, encoding: Any = None, version: str = "3.0.3", components: Any = None
) -> MockBackend:
    content = {media: {"schema": schema, **({"encoding": encoding} if encoding else {})}}
    more = {"components": {"schemas": components}} if components else {}
    return backend({"/x": {"post": operation(body=content)}}, version=version, **more)


def send(mock: MockBackend, body: bytes, content_type: str) -> Judgement:
    return mock.judge("POST", "/v1/x", [("Content-Type", content_type)], body)


def texts(judgement: Judgement) -> list[tuple[int, str, str]]:
    return [(one.status, one.place, one.text) for one in judgement.faults]

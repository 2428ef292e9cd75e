"""Configurations whose connector is any description: written beside the file, called by rules of webhooks."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.end_to_end.instance import RETRY, WEB, Instance, connection

RESPONSES: dict[str, Any] = {"200": {"description": "fine"}}


def write(folder: Path, files: Mapping[str, Any]) -> None:
    """Write files: bytes and text as they are, anything else as JSON."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else _text(content).encode())


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content)


def call(operation: str, arguments: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a step that calls an operation of the connection `api`."""
    return {"call": f"api.{operation}", "with": dict(arguments or {}), "retry": RETRY, **more}


def configured(url: str, *steps: Mapping[str, Any], spec: str = "api.json", **more: Any) -> dict[str, Any]:
    """Return a configuration: each step is the one step of a rule, which fires for `{"do": operation}`."""
    rules = {
        f"rule-{number}": {
            "from": ["web"],
            "match": {"data": {"do": [step["call"].partition(".")[2]]}},
            "do": [step],
        }
        for number, step in enumerate(steps)
    }
    return {
        "sources": {"web": WEB},
        "connectors": {"api": {"spec": spec}},
        "connections": {"api": {**connection(url), "connector": "api", **more}},
        "rules": rules,
    }


def openapi(paths: Mapping[str, Any], version: str = "3.0.3", **more: Any) -> dict[str, Any]:
    """Return a description."""
    return {"openapi": version, "info": {"title": "API", "version": "1"}, "paths": dict(paths), **more}


def parameter(name: str, place: str, schema: Any = None, **more: Any) -> dict[str, Any]:
    """Return a parameter of OpenAPI 3."""
    required = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, "schema": schema or {"type": "string"}, **required, **more}


def operation(name: str, *parameters: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return an operation of OpenAPI 3."""
    return {"operationId": name, "parameters": list(parameters), "responses": RESPONSES, **more}


def taking(media_type: str, schema: Any, **more: Any) -> dict[str, Any]:
    """Return what an operation says of its body."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema, **more}}}}


async def done(it: Instance, name: str, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Send a message that makes one operation be called, and see the delivery delivered."""
    delivery = await ended(it, name, data)
    assert delivery["state"] == "delivered", delivery
    return delivery


async def ended(
    it: Instance, name: str, data: Mapping[str, Any] | None = None, *states: str
) -> dict[str, Any]:
    """Send a message that makes one operation be called; return the delivery with its attempts."""
    return await it.ended(await it.send({"do": name, **(data or {})}), *states)

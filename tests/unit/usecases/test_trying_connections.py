"""What is called to see whether a connection works."""

import asyncio
from types import SimpleNamespace

import pytest
from typing_extensions import override

from actions.specs import read_spec
from service.connections import BreakerPolicy, Connection, Limits
from service.errors import Invalid, Unavailable
from service.usecases.logging_in import try_connection, try_running
from tests.fakes.connector import ScriptedConnector
from tests.tables import every_row

SWAGGER = """{
  "swagger": "2.0", "info": {"title": "t", "version": "1"}, "host": "api.example",
  "paths": {
    "/things": {"post": {"operationId": "Purge", "responses": {"200": {"description": "ok"}}}%s}
  },
  "x-ms-capabilities": {"testConnection": {"operationId": "%s", "parameters": {}}}
}"""
GET = ', "get": {"operationId": "List", "responses": {"200": {"description": "ok"}}}'


def spec_of(declared, more=GET):
    return read_spec(
        {"apiDefinition.swagger.json": (SWAGGER % (more, declared)).encode(), "apiProperties.json": b"{}"},
        "apiDefinition.swagger.json",
    )


@every_row(
    ("declared", "how"), [("List", "declared by the description"), ("Purge", "a GET that needs nothing")]
)
async def test_what_is_tried_changes_nothing_whatever_is_declared(declared, how):
    connector = ScriptedConnector()
    report = await try_connection("api", connector, spec_of(declared), deadline=1.0, now=0.0)
    assert (report["operation"], report["chosen"], report["state"]) == ("List", how, "ok")
    assert [one.operation for one in connector.calls] == ["List"]


async def test_without_anything_harmless_nothing_is_tried():
    connector = ScriptedConnector()
    with pytest.raises(Invalid, match="no GET that needs nothing"):
        await try_connection("api", connector, spec_of("Purge", ""), deadline=1.0, now=0.0)
    assert connector.calls == []


class Stuck(ScriptedConnector):
    """Never gets as far as a call."""

    @override
    async def check(self):
        await asyncio.Event().wait()
        return []


async def test_a_try_that_does_not_end_is_given_up_with_its_reason():
    spec = spec_of("List")
    connection = Connection(
        "api",
        1,
        limits=Limits(timeout=0.01),
        breaker=BreakerPolicy(),
        connector_for=lambda _pin: Stuck(),
        digest="",
        now=0.0,
    )
    plan = SimpleNamespace(
        connections={"api": SimpleNamespace(spec=spec)}, ruleset=SimpleNamespace(pins={"api": None})
    )
    desk = SimpleNamespace(
        plan=lambda: plan, running=lambda: SimpleNamespace(connections=lambda: [connection])
    )
    with pytest.raises(Unavailable, match="trying api took longer"):
        await try_running(desk, "api", operation="", arguments={}, now=0.0)

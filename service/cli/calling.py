"""Verbs around backends: call, connectors, connections."""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from service.cli.output import emit
from service.cli.place import Common, ask
from service.connectors import make_connector
from service.errors import Invalid, NotFound, Problem, nearest
from service.plan import Plan
from service.usecases import connecting
from service.usecases.checking import check_configuration

connectors_app = App(name="connectors", help="API descriptions and their operations: list, operations, show.")
connections_app = App(name="connections", help="Connections of the running instance: list, release.")

Config = Annotated[Path, Parameter(name=["--config", "-c"], help="The configuration file.")]
CONFIG = Path("pointsman.yaml")


def call(
    operation: Annotated[str, Parameter(help="connection.operation, as a rule's `call` says it.")],
    *,
    with_: Annotated[str, Parameter(name="--with", help="The inputs, as JSON text or @file.")] = "{}",
    dry_run: Annotated[
        bool, Parameter(help="Show the exact request, secrets masked, and send nothing.")
    ] = False,
    config: Config = CONFIG,
    common: Common = Common(),  # noqa: B008 - frozen
) -> int:
    """Perform one operation of a connection by hand. Needs the configuration, no running instance.

    Exit code 0: it went well, or was only shown; 1: it did not.

    Example: pointsman call shop.reserveStock --with '{"orderId": "A1", "body": {"quantity": 1}}' --dry-run
    """
    connection, dot, name = operation.partition(".")
    if not dot:
        raise Invalid(
            [Problem(message="an operation is named connection.operation", code="usage", found=operation)]
        )
    arguments = _arguments(with_)
    answer = asyncio.run(_call(config, connection, name, arguments, dry_run=dry_run))
    emit(answer, common.output)
    return 0 if dry_run or answer.get("outcome") == "ok" else 1


def _arguments(text: str) -> dict[str, Any]:
    """Read the inputs. Raise Invalid with the place of the fault."""
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text("utf-8") if text != "@-" else sys.stdin.read()
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid([Problem(message=f"cannot read {text[1:]}: {error}", code="no-file")]) from error
    try:
        arguments = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise Invalid([Problem(message=f"--with is no JSON: {error}", code="bad-arguments")]) from error
    if not isinstance(arguments, dict):
        raise Invalid(
            [Problem(message="--with must be an object of inputs", code="bad-arguments", found=text[:80])]
        )
    return arguments


async def _call(
    config: Path, connection: str, name: str, arguments: dict[str, Any], *, dry_run: bool
) -> dict[str, Any]:
    candidate = await check_configuration(config, resolve=not dry_run, env=os.environ)
    plan = candidate.wanted()
    planned = plan.connections.get(connection)
    if planned is None:
        near = nearest(connection, list(plan.connections))
        raise NotFound(f"there is no connection {connection}" + (f"; did you mean {near}?" if near else ""))
    operation = connecting.find_operation(planned.spec, name)
    connector = make_connector(planned, planned.spec, candidate.pems[connection])
    await connector.open()
    try:
        timeout = planned.config.limits.timeout.total_seconds()
        return await connecting.call(
            connector, operation.id, arguments, dry_run=dry_run, deadline=timeout, now=time.time()
        )
    finally:
        await connector.close()


async def _plan(config: Path, *, resolve: bool) -> Plan:
    return (await check_configuration(config, resolve=resolve, env=os.environ)).wanted()


@connectors_app.default
@connectors_app.command(name="list")
def list_connectors(*, config: Config = CONFIG, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """List the connectors of a configuration.

    Example: pointsman connectors
    """
    emit(connecting.list_connectors(asyncio.run(_plan(config, resolve=False))), common.output)


@connectors_app.command
def operations(
    connector: str,
    *,
    config: Config = CONFIG,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """List the operations of a connector.

    Example: pointsman connectors operations shop
    """
    spec = connecting.connector_spec(asyncio.run(_plan(config, resolve=False)), connector)
    emit(connecting.list_operations(spec), common.output)


@connectors_app.command(name="show")
def show_operation(
    operation: Annotated[str, Parameter(help="connector.operation")],
    *,
    config: Config = CONFIG,
    common: Common = Common(),  # noqa: B008 - frozen
) -> None:
    """Show an operation with its input and output schemas.

    Example: pointsman connectors show shop.reserveStock -o yaml
    """
    connector, _, name = operation.partition(".")
    spec = connecting.connector_spec(asyncio.run(_plan(config, resolve=False)), connector)
    emit(connecting.show_operation(spec, name), common.output)


@connections_app.default
@connections_app.command(name="list")
def list_connections(*, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """List connections with their state, what is in flight, and what waits.

    Example: pointsman connections
    """
    emit(ask(common, lambda client: client.get("/connections")), common.output)


@connections_app.command
def release(connection: str, *, common: Common = Common()) -> None:  # noqa: B008 - frozen
    """Let a connection through again that was held because its credentials were not taken.

    Example: pointsman connections release shop
    """
    emit(ask(common, lambda client: client.post(f"/connections/{connection}/release")), common.output)

"""Verbs around operations: find them, look at them, ask a backend what may stand at their inputs."""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from service.cli.arguments import given_arguments
from service.cli.calling import Config, plan_of, two
from service.cli.client import Unreachable, path_of
from service.cli.offline import opened
from service.cli.output import Output, emit, say
from service.cli.place import Common, ask, settings
from service.settings import Settings

COLUMNS: Final = ("operation", "method", "path", "summary")


def list_operations(
    connector: Annotated[str, Parameter(help="Only of this connector.")] = "",
    *,
    config: Config = None,
    output: Output = "table",
) -> None:
    """List the operations of all connectors of a configuration, or of one.

    Example: pointsman operations list shop
    """
    from service.usecases.finding import operations

    page = operations(plan_of(config), connector=connector)
    broken = any(item["problem"] for item in page["items"])
    emit(page, output, (*COLUMNS, "problem") if broken else COLUMNS)


def search_operations(
    words: Annotated[list[str], Parameter(help="Words that all occur in its id, path, tags or texts.")],
    *,
    connector: Annotated[str, Parameter(help="Only of this connector.")] = "",
    config: Config = None,
    output: Output = "table",
) -> int:
    """Find operations by words, the best first. Exit code 0: some were found; 1: none.

    Example: pointsman operations search reserve stock
    """
    from service.usecases.finding import operations

    page = operations(plan_of(config), connector=connector, words=words)
    emit(page, output, COLUMNS)
    if not page["items"]:
        say("nothing has all of these words")
    return 0 if page["items"] else 1


def show_operation(
    operation: Annotated[str, Parameter(help="connector.operation")],
    *,
    config: Config = None,
    output: Output = "table",
) -> None:
    """Show an operation: what goes in, what comes back, and which inputs its API gives values for.

    Example: pointsman operations show shop.reserveStock -o yaml
    """
    from service.usecases import connecting
    from service.usecases.choosing import offers

    connector, name = two(operation, "connector.operation")
    spec = connecting.connector_spec(plan_of(config), connector)
    shown = connecting.show_operation(spec, name)
    emit({**shown, "offers": offers(spec, connecting.find_operation(spec, name))}, output)


def ask_choices(
    operation: Annotated[str, Parameter(help="connection.operation")],
    input: Annotated[str, Parameter(help="The input, as `operations show` lists it under `offers`.")],  # noqa: A002 - its name
    *,
    with_: Annotated[
        str,
        Parameter(name="--with", allow_leading_hyphen=True, help="The inputs so far: JSON text, @file or -."),
    ] = "{}",
    node: Annotated[
        str,
        Parameter(help="Of a tree: the `item` of a node to look below, as JSON.", allow_leading_hyphen=True),
    ] = "",
    config: Annotated[
        Path | None, Parameter(name=["--config", "-c"], help="Where no instance runs: its configuration.")
    ] = None,
    common: Common = Common(),
) -> None:
    """Ask the backend itself what may stand at an input: values with their names, a schema, or a tree.

    Asks through the running instance, or works from the configuration where none runs.

    Example: pointsman operations values crm.createTicket body/queue
    """
    connection, name = two(operation, "connection.operation")
    wanted: dict[str, Any] = {"input": input, "with": given_arguments(with_)}
    if node:
        wanted["node"] = given_arguments(node)
    path = path_of("connections", connection, "operations", name, "choices")
    try:
        page = ask(common, lambda client: client.post(path, wanted))
    except Unreachable:
        file = settings(config=config).config
        if not file.exists():
            raise
        made = settings(config=config, data=common.data)
        page = asyncio.run(_offline(made, connection, name, wanted))
    emit(page, common.output, ("value", "title") if page["kind"] == "values" else ())


async def _offline(made: Settings, connection: str, name: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    from service.usecases.choosing import choices
    from service.usecases.connecting import find_operation

    async with opened(made, connection) as (planned, connector):
        return await choices(
            connector,
            planned.spec,
            find_operation(planned.spec, name),
            wanted["input"],
            wanted["with"],
            node=wanted.get("node"),
            deadline=planned.config.limits.timeout.total_seconds(),
            now=time.time(),
        )


OPERATIONS: Final[dict[str, Callable[..., Any]]] = {
    "list": list_operations,
    "search": search_operations,
    "show": show_operation,
    "values": ask_choices,
}

"""Verbs around operations: call, connectors."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from service.cli.arguments import given_arguments
from service.cli.offline import opened
from service.cli.output import Output, emit, line, say
from service.cli.place import reading, settings
from service.errors import Invalid, Problem
from service.settings import Settings

if TYPE_CHECKING:
    from service.plan import Plan

Config = Annotated[
    Path | None, Parameter(name=["--config", "-c"], help="The configuration file (POINTSMAN_CONFIG).")
]

OPERATION_COLUMNS: Final = ("id", "method", "path", "summary")


def call(
    operation: Annotated[str, Parameter(help="connection.operation, as a rule's `call` says it.")],
    *,
    with_: Annotated[
        str, Parameter(name="--with", allow_leading_hyphen=True, help="The inputs, as JSON text, @file or -.")
    ] = "{}",
    preset: Annotated[
        str, Parameter(help="A request of a collection, by name; inputs that are given change it.")
    ] = "",
    dry_run: Annotated[bool, Parameter(help="Show the exact request, secrets masked; send nothing.")] = False,
    config: Config = None,
    output: Output = "table",
) -> int:
    """Perform one operation of a connection by hand. Needs the configuration, no running instance.

    Nothing is stored and nothing is tried again. Exit code 0: it went well, or was only shown; 1: it did not.

    Example: pointsman call shop.getHealth --dry-run
    """
    connection, name = two(operation, "connection.operation")
    given = given_arguments(with_)
    answer = asyncio.run(
        _call(settings(config=config), connection, name, given, preset=preset, dry_run=dry_run)
    )
    if output == "table":
        _show_call(answer)
        for one in answer["differences"]:
            for sample in one["samples"]:
                say(f"warning: {one['side']} not as described: {sample}")
    else:
        emit(answer, output)
    return 0 if dry_run or answer.get("outcome") == "ok" else 1


def _path(config: Path | None) -> Path:
    return settings(config=config).config


def two(text: str, form: str) -> tuple[str, str]:
    """Split `first.second`. Raise Invalid when it is not of that form."""
    first, dot, second = text.partition(".")
    if not (dot and first and second):
        raise Invalid([Problem(message=f"an operation is named {form}", code="usage", found=text[:80])])
    return first, second


async def _call(
    made: Settings, connection: str, name: str, arguments: dict[str, Any], *, preset: str, dry_run: bool
) -> dict[str, Any]:
    from service.usecases import connecting

    async with opened(made, connection, resolve=not dry_run) as (planned, connector):
        return await connecting.call(
            connector,
            planned,
            connecting.find_operation(planned.spec, name, arguments),
            arguments,
            preset=preset,
            dry_run=dry_run,
            deadline=planned.config.limits.timeout.total_seconds(),
            now=time.time(),
        )


def _show_call(shown: Mapping[str, Any]) -> None:
    """Print the request, and the answer where there is one, as they went over the wire."""
    request, answer = shown["request"], shown.get("answer")
    line(f"{request['method']} {request['url']}", style="bold")
    _head_and_body(request["headers"], request.get("body") or "")
    if "outcome" not in shown:
        return
    line()
    if answer is None:
        line(f"{shown['outcome']}: {shown['detail']}", style="bold")
        return
    line(f"{answer['status']} in {answer['took_ms']} ms: {shown['outcome']}", style="bold")
    _head_and_body(answer["headers"], answer["body"])
    if answer["cut"]:
        say("the answer was longer; the connection's limits.max_answer cut it")


def _head_and_body(headers: Mapping[str, str], body: str) -> None:
    for name, value in headers.items():
        line(f"{name}: {value}")
    if body:
        line(f"\n{body}")


def list_connectors(*, config: Config = None, output: Output = "table") -> None:
    """List the connectors of a configuration.

    Example: pointsman connectors
    """
    from service.usecases import connecting

    emit(connecting.list_connectors(plan_of(config)), output)


def list_operations(
    connector: Annotated[str, Parameter(help="The connector's name, or a connection's.")],
    *,
    config: Config = None,
    output: Output = "table",
) -> None:
    """List the operations of a connector.

    Example: pointsman connectors operations shop
    """
    from service.usecases import connecting

    page = connecting.list_operations(connecting.connector_spec(plan_of(config), connector))
    broken = any(item["problem"] for item in page["items"])
    emit(page, output, (*OPERATION_COLUMNS, "problem") if broken else OPERATION_COLUMNS)


def show_operation(
    name: Annotated[str, Parameter(help="A connector, or connector.operation.")],
    *,
    config: Config = None,
    output: Output = "table",
) -> None:
    """Show a connector: what its description holds. Or an operation, with its input and output schemas.

    Example: pointsman connectors show shop.reserveStock -o yaml
    """
    from service.usecases import connecting

    if "." not in name:
        emit(connecting.show_connector(plan_of(config), name), output)
        return
    connector, name = two(name, "connector.operation")
    emit(connecting.show_operation(connecting.connector_spec(plan_of(config), connector), name), output)


def plan_of(config: Path | None) -> "Plan":
    """Return the plan of a configuration. Raise Invalid with everything that is wrong in it."""
    from service.usecases.checking import check_configuration

    checking = check_configuration(_path(config), resolve=False, env=os.environ, bounds=reading())
    return asyncio.run(checking).wanted()


CONNECTORS: Final[dict[str, Callable[..., Any]]] = {
    "list": list_connectors,
    "operations": list_operations,
    "show": show_operation,
}

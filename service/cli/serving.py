"""Verbs that run something: serve, demo."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from service.cli.output import emit_problems, out, say
from service.cli.place import settings, unknown_variables
from service.errors import Invalid, Problem, Unavailable
from service.settings import Settings


def serve(
    *,
    config: Annotated[
        Path | None,
        Parameter(name=["--config", "-c"], help="The configuration file; absent: pointsman.yaml."),
    ] = None,
    data: Annotated[
        Path | None, Parameter(help="The data directory, made if it is not there; absent: pointsman-data.")
    ] = None,
    host: Annotated[str | None, Parameter(help="Address that webhooks come to; absent: 127.0.0.1.")] = None,
    port: Annotated[int | None, Parameter(help="Port that webhooks come to; absent: 8080.")] = None,
    admin_port: Annotated[int | None, Parameter(help="Port of the admin API; absent: 8081.")] = None,
) -> int:
    """Run the service until SIGTERM or Ctrl-C; SIGHUP reads the configuration again.

    It does not start with a configuration that is wrong: it prints every problem and ends with exit code 1.
    Every setting is also a variable POINTSMAN_…, and there are more: docs/operations.md.

    Example: pointsman serve --config pointsman.yaml --data ./data
    """
    import uvloop

    from service.foreign import listen
    from service.observe import set_up_logs

    made = settings(config=config, data=data, host=host, port=port, admin_port=admin_port)
    emit_problems(unknown_variables(os.environ), "table")
    set_up_logs(made.log_level, made.log_format)
    listen()
    try:
        uvloop.run(_serve(made))
    except Unavailable as error:
        say(f"pointsman: {error}")
        return 1
    return 0


async def _serve(made: Settings) -> None:
    """Serve, once the configuration is known to be good; before that nothing is written."""
    from service.app import Service
    from service.usecases.checking import check_configuration

    (await check_configuration(made.config, resolve=True, env=os.environ)).wanted()
    await Service(made).serve()


def demo(
    *,
    once: Annotated[bool, Parameter(help="End by itself when all has been shown (also: ONCE=1).")] = False,
    shop: Annotated[
        Path | None,
        Parameter(help="Run only the demo's shop, for a project that `pointsman init` made in this folder."),
    ] = None,
    data: Annotated[
        Path | None, Parameter(help="Where the demo keeps its files; absent: a new temporary folder.")
    ] = None,
    port: Annotated[int, Parameter(help="Port that webhooks come to; 0 takes a free one.")] = 8080,
    admin_port: Annotated[int, Parameter(help="Port of the admin API; 0 takes a free one.")] = 8081,
) -> int:
    """Show the whole job in one command: webhooks in, rules, calls of a described API, a retry, a refusal.

    Everything runs on this machine. Exit code 0 only if all of it really happened. On a terminal it stays
    until Ctrl-C, so that you can try the commands that it prints.

    Example: pointsman demo --once
    """
    from service.demo.run import run_demo, run_shop

    if shop is not None and (once or data is not None):
        raise Invalid([Problem(message="--shop goes with no other option", code="usage")])
    if shop is not None:
        return asyncio.run(run_shop(shop, out()))
    ends = once or os.environ.get("ONCE", "") not in ("", "0")
    made = settings(port=port, admin_port=admin_port)
    return asyncio.run(
        run_demo(once=ends, folder=data, port=made.port, admin_port=made.admin_port, console=out())
    )

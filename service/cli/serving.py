"""Verbs that run an instance: serve, demo."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import uvloop
from cyclopts import Parameter

from service.app import Service
from service.cli.output import err
from service.demo.run import run_demo
from service.observe import set_up_logs
from service.settings import Settings


def serve(
    *,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"], help="The configuration file.")] = None,
    data: Annotated[Path | None, Parameter(help="The data directory; made if it is not there.")] = None,
    host: Annotated[str | None, Parameter(help="Address that webhooks come to.")] = None,
    port: Annotated[int | None, Parameter(help="Port that webhooks come to.")] = None,
    admin_port: Annotated[int | None, Parameter(help="Port of the admin API.")] = None,
) -> None:
    """Run the service until SIGTERM or Ctrl-C; SIGHUP reads the configuration again.

    Every setting is also a variable POINTSMAN_…; see docs/configuration.md.

    Example: pointsman serve --config pointsman.yaml --data ./data
    """
    said = {"config": config, "data": data, "host": host, "port": port, "admin_port": admin_port}
    settings = Settings().model_copy(
        update={name: value for name, value in said.items() if value is not None}
    )
    set_up_logs(settings.log_level, settings.log_format)
    uvloop.run(Service(settings).serve())


def demo(
    *,
    once: Annotated[bool, Parameter(help="End by itself when all has been shown (also: ONCE=1).")] = False,
    data: Annotated[
        Path | None, Parameter(help="Where the demo keeps its data; absent: a new folder.")
    ] = None,
    port: Annotated[int, Parameter(help="Port that webhooks come to; 0 takes a free one.")] = 8080,
    admin_port: Annotated[int, Parameter(help="Port of the admin API; 0 takes a free one.")] = 8081,
) -> int:
    """Show the whole job in one command: webhooks in, rules, calls of a described API, a retry, a refusal.

    Everything runs on this machine. Exit code 0 only if all of it really happened.

    Example: pointsman demo --once
    """
    once = once or os.environ.get("ONCE", "") not in ("", "0")
    return asyncio.run(run_demo(once=once, data=data, port=port, admin_port=admin_port, console=err()))

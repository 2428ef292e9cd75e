"""Verbs that run something: serve, demo."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from service.cli.loop import run_bounded
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
        run_bounded(_serve(made), uvloop.new_event_loop)  # a source that never lets go holds up nothing
    except Unavailable as error:
        say(f"pointsman: {error}")
        return 1
    return 0


async def _serve(made: Settings) -> None:
    """Serve, once the configuration is known to be good; before that nothing is written."""
    from service.app import Service
    from service.descriptions import bounds_of
    from service.usecases.checking import check_configuration

    bounds = bounds_of(made)
    (await check_configuration(made.config, resolve=True, env=os.environ, bounds=bounds)).wanted()
    await Service(made).serve()


def demo(
    *,
    once: Annotated[bool, Parameter(help="End by itself when all has been shown (also: ONCE=1).")] = False,
    with_: Annotated[
        str | None,
        Parameter(
            name="--with",
            help="Real servers that take part: kafka, rabbitmq, postgres, or several with commas. One that "
            "listens at its usual port is used if it lets us in, else one is started and ended.",
        ),
    ] = None,
    kafka: Annotated[
        str | None, Parameter(help="Use this Kafka cluster: HOST:PORT, several with commas.")
    ] = None,
    rabbitmq: Annotated[
        str | None, Parameter(help="Use this RabbitMQ: amqp://user:password@host:port/vhost.")
    ] = None,
    postgres: Annotated[
        str | None, Parameter(help="Use this PostgreSQL: postgres://user:password@host:port/database.")
    ] = None,
    shop: Annotated[
        Path | None,
        Parameter(help="Run only the demo's shop, for a project that `pointsman init` made in this folder."),
    ] = None,
    feed: Annotated[
        str | None,
        Parameter(
            help="Run nothing: bring an order every few seconds to this webhook (signed with ORDERS_SECRET) "
            "and to the servers that are named, as examples/compose does."
        ),
    ] = None,
    data: Annotated[
        Path | None, Parameter(help="Where the demo keeps its files; absent: a new temporary folder.")
    ] = None,
    port: Annotated[int, Parameter(help="Port that webhooks come to; 0 takes a free one.")] = 8080,
    admin_port: Annotated[int, Parameter(help="Port of the admin API; 0 takes a free one.")] = 8081,
) -> int:
    """Show the whole job in one command: webhooks in, rules, calls of a described API, a retry, a refusal.

    With real servers also a record, a message and a row, each through a rule. Exit code 0 only if all of it
    really happened. On a terminal it stays until Ctrl-C, so that you can try the commands that it prints.
    What it makes in servers that were running is named pointsman_demo_… and is removed.

    Example: pointsman demo --with kafka,rabbitmq,postgres --once
    """
    from service.demo.run import run_demo, run_feed, run_shop

    ends = once or os.environ.get("ONCE", "") not in ("", "0")
    servers = _servers(with_, {"kafka": kafka, "rabbitmq": rabbitmq, "postgres": postgres})
    if shop is not None and (once or data is not None or feed is not None or servers):
        raise Invalid([Problem(message="--shop goes with no other option", code="usage")])
    if feed is not None and (once or data is not None):
        raise Invalid([Problem(message="--feed goes with addresses of servers only", code="usage")])
    made = settings(port=port, admin_port=admin_port)
    if shop is not None:
        return asyncio.run(run_shop(shop, made.host, out()))
    if feed is not None:
        from service.demo.feed import make_feeder

        return asyncio.run(run_feed(make_feeder(feed, servers, out())))
    return asyncio.run(
        run_demo(
            once=ends,
            folder=data,
            port=made.port,
            admin_port=made.admin_port,
            console=out(),
            wanted=servers,
        )
    )


def _servers(kinds: str | None, addresses: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Return the real servers that are wanted. Raise Invalid with everything that cannot be."""
    if kinds is None and not any(addresses.values()):
        return {}
    from service.demo.wanted import wanted  # with the drivers

    return wanted(kinds, addresses)

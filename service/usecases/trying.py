"""Makes a source of a configuration that does not have to run, to ask it something or set up what it needs.

It remembers no positions and tells nobody anything; a source that polls calls operations as a delivery would.
"""

import contextlib
import time
from collections.abc import AsyncIterator
from pkgutil import resolve_name
from typing import Any

import msgspec

from actions.base import Connector
from service.connections import BreakerPolicy, Connection, Limits
from service.connectors import make_connector
from service.planned import PlannedConnection
from service.polling import make_call
from service.rules.model import Pin
from service.usecases.checking import Candidate, source_context
from triggers import SOURCES
from triggers.base import Call, Source


@contextlib.asynccontextmanager
async def open_source(candidate: Candidate, name: str) -> AsyncIterator[Source[Any]]:
    """Give a source, open inside the block. Raise SourceRejected."""
    config = candidate.checked.sketch.sources[name]
    source: Source[Any] = resolve_name(SOURCES[config.kind])(name, config)
    async with _calls(candidate) as call:
        try:
            context = source_context(name, lambda _point: None)
            await source.open(msgspec.structs.replace(context, call=call))
            yield source
        finally:
            await source.close()


@contextlib.asynccontextmanager
async def _calls(candidate: Candidate) -> AsyncIterator[Call]:
    """Give what calls the operations of the configuration's connections, inside the block."""
    planned = candidate.plan.connections
    made: dict[str, tuple[Connection, Connector]] = {}

    def find(name: str) -> Connection | None:
        if name not in planned:
            return None
        if name not in made:
            made[name] = _connection(candidate, planned[name])
        return made[name][0]

    def pin(name: str) -> Pin | None:
        return Pin(planned[name].spec_digest, planned[name].spec) if name in planned else None

    try:
        yield make_call(find, pin, freed=lambda _name: None)
    finally:
        for _, connector in made.values():
            await connector.close()


def _connection(candidate: Candidate, planned: PlannedConnection) -> tuple[Connection, Connector]:
    connector = make_connector(planned, planned.spec, candidate.pems[planned.name])
    connection = Connection(
        planned.name,
        0,  # no lane: nothing of it is stored
        limits=Limits(timeout=planned.config.limits.timeout.total_seconds()),
        breaker=BreakerPolicy(),
        connector_for=lambda _pin: connector,
        digest="",
        now=time.monotonic(),
    )
    return connection, connector

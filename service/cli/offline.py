"""A connection of a configuration, for commands that call a backend without a running instance."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from service.errors import NotFound, nearest
from service.settings import Settings

if TYPE_CHECKING:
    from actions.base import Connector
    from service.planned import PlannedConnection


@asynccontextmanager
async def opened(
    made: Settings, name: str, *, resolve: bool = True
) -> "AsyncIterator[tuple[PlannedConnection, Connector]]":
    """Give a connection of the configuration and its connector, open. Raise Invalid, NotFound.

    The whole configuration must be sound, but of its secrets only those of the connection are asked for.
    It logs in as the instance would: what its logins must not lose is the stopped instance's, and kept there.
    """
    from service.app import lent_tokens
    from service.connectors import make_connector
    from service.descriptions import bounds_of
    from service.usecases.checking import check_configuration

    candidate = await check_configuration(
        made.config, resolve=resolve, env=os.environ, connection=name, bounds=bounds_of(made)
    )
    known = candidate.wanted().connections
    if name not in known:
        near = nearest(name, list(known))
        raise NotFound(f"there is no connection {name}" + (f"; did you mean {near}?" if near else ""))
    planned = known[name]
    async with lent_tokens(made, os.environ) as tokens:
        connector = make_connector(planned, planned.spec, candidate.pems[name], tokens=tokens)
        await connector.open()
        try:
            yield planned, connector
        finally:
            await connector.close()

"""Looks at all that a PostgreSQL source stands on, and says what is wrong or doubtful, each with its fix.

Changes nothing: what is asked is read. `pointsman doctor` and `check` show it.
"""

from triggers.base import Finding, SourceContext
from triggers.errors import SourceGap, SourceRejected, SourceUnavailable
from triggers.postgres.begin import left_timelines
from triggers.postgres.catalog import Catalog, Identity, Slot
from triggers.postgres.config import PostgresConfig, publication_name, slot_name, takes_table
from triggers.postgres.connection import application_name, connected, mapped
from triggers.postgres.heartbeat import OLD_TRANSACTION, pinned, wal_alarm
from triggers.postgres.outbox_setup import check_outbox
from triggers.postgres.position import POSITION_KEY, Position
from triggers.postgres.requirements import (
    error,
    of_publication,
    of_server,
    of_slot,
    of_table,
    of_tables,
    published,
    warning,
)
from triggers.postgres.setup import Scene, look
from triggers.postgres.slot import ACCEPT_KEY, judge


async def findings(name: str, config: PostgresConfig, context: SourceContext) -> list[Finding]:
    """Return what was found, the worst first."""
    try:
        async with connected(name, config) as sql:
            catalog = Catalog(sql)
            if config.mode == "outbox":
                found = await check_outbox(config, catalog)
            else:
                found = await _replication(name, config, context, catalog)
    except SourceUnavailable as unavailable:
        return [
            error("unreachable", str(unavailable), "see whether the server runs and the url is right", "url")
        ]
    except SourceRejected as rejected:
        return [error("refused", str(rejected), "see user, password, database and rights", "url")]
    return sorted(found, key=lambda finding: finding.severity)  # "error" stands before "warning"


async def _replication(
    name: str, config: PostgresConfig, context: SourceContext, catalog: Catalog
) -> list[Finding]:
    """Return what logical replication lacks."""
    scene = await look(name, config, catalog)
    operations = scene.publication.operations if scene.publication else frozenset(published(config))
    found = [
        *of_server(scene.identity, scene.server, config, slot=scene.slot),
        *of_tables(scene.tables, config, operations),
        *_publication(name, config, scene, operations),
    ]
    setup = f"pointsman sources setup {name}"
    if scene.slot is None:
        if config.setup == "manual" or POSITION_KEY in await context.positions():
            found.append(error("no-slot", f"there is no replication slot {slot_name(name, config)}", setup))
    else:
        found += of_slot(scene.slot, scene.identity, setup=setup)
        found += await _user(name, catalog, scene.slot)
        found += await _wal(config, catalog, scene.identity, scene.slot, scene.server.keep_mebibytes)
    return found + await _position(name, config, context, catalog, scene)


def _publication(
    name: str, config: PostgresConfig, scene: Scene, operations: frozenset[str]
) -> list[Finding]:
    """Return what the publication lacks; other tables that it carries must keep their updates working too."""
    setup = f"pointsman sources setup {name}"
    publication = scene.publication
    if publication is None:
        if config.setup == "auto" and config.tables:
            return []
        return [error("no-publication", f"there is no publication {publication_name(name, config)}", setup)]
    wanted = [table for table in scene.tables if takes_table(config, table.schema, table.name)]
    found = of_publication(publication, wanted, config, setup=setup)
    if not config.tables:
        found += [finding for table in scene.tables for finding in of_table(table, operations)]
    for table in wanted:
        if config.snapshot == "initial" and not table.readable:
            message = f"{table.title} may not be read for the snapshot"
            found.append(
                error("not-readable", message, f"GRANT SELECT ON {table.title} TO {scene.server.user}")
            )
    return found


async def _wal(
    config: PostgresConfig, catalog: Catalog, identity: Identity, slot: Slot, keep_mebibytes: int
) -> list[Finding]:
    """Return what is alarming about the WAL that is held back, and who holds it."""
    holders = await catalog.holders()
    found = []
    alarm = wal_alarm(config, identity, slot, keep_mebibytes)
    if alarm:
        found.append(warning("wal-budget", alarm, pinned(identity, slot, holders)))
    for holder in holders:
        if holder.seconds >= OLD_TRANSACTION:
            message = f"an open transaction keeps WAL from being let go: {holder}"
            found.append(warning("old-transaction", message, "end it, or see why it is left open"))
    if config.heartbeat is None:
        message = "without a heartbeat an idle source holds the WAL that other databases of the server write"
        found.append(warning("no-heartbeat", message, "leave `heartbeat` at its default", "heartbeat"))
    if keep_mebibytes < 0:
        message = "max_slot_wal_keep_size has no limit: a source that is down long fills the server's disk"
        found.append(
            warning("no-wal-limit", message, "ALTER SYSTEM SET max_slot_wal_keep_size = '…'; reload")
        )
    return found


async def _user(name: str, catalog: Catalog, slot: Slot) -> list[Finding]:
    """Return that somebody else reads from our slot, who would take changes away from us."""
    if slot.active_pid is None:
        return []
    with mapped("looking at who uses the slot"):
        application = await catalog.sql.fetchval(
            "SELECT application_name FROM pg_stat_activity WHERE pid = $1", slot.active_pid
        )
    if application is None or application == application_name(name):
        return []
    message = f"the slot {slot.name} is in use by process {slot.active_pid} ({application or 'no name'})"
    return [error("slot-in-use", message, "end it, or give the source a `slot:` of its own")]


async def _position(
    name: str, config: PostgresConfig, context: SourceContext, catalog: Catalog, scene: Scene
) -> list[Finding]:
    """Return what the next run would say of our stored position."""
    stored = await context.positions()
    if POSITION_KEY not in stored or scene.slot is None:
        return []
    position = Position.decode(stored[POSITION_KEY])
    branches = {}
    if position.timeline != scene.identity.timeline:
        branches = await left_timelines(name, config, catalog.sql, scene.identity.timeline)
    accept = stored.get(ACCEPT_KEY, b"").decode()
    try:
        judge(name, position, scene.identity, scene.slot, accept=accept, branches=branches)
    except SourceGap as gap:
        return [error("gap", str(gap), gap.fix)]
    return []

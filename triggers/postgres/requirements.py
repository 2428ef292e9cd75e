"""Says what a server, a publication and tables lack for a source, each with what would be right. Pure.

`setup` refuses to begin while something here is an error; `check` reports all of it.
"""

from difflib import get_close_matches
from typing import Final

from triggers.base import Finding
from triggers.postgres.catalog import Identity, Publication, Server, Slot, Table
from triggers.postgres.config import PostgresConfig, takes_column, takes_table
from triggers.postgres.connection import qualified, quoted

CHANGES: Final = ("insert", "update", "delete", "truncate")
"""What a publication can publish, in the order in which it is written."""

OLDEST: Final = 140_000
"""The oldest server version: messages of pgoutput and 64-bit snapshots are there from 14 on."""


def error(code: str, message: str, fix: str, field: str = "") -> Finding:
    """Return a finding that keeps the source from working."""
    return Finding(severity="error", code=code, message=message, fix=fix, field=field)


def warning(code: str, message: str, fix: str, field: str = "") -> Finding:
    """Return a finding that is doubtful."""
    return Finding(severity="warning", code=code, message=message, fix=fix, field=field)


def of_server(
    identity: Identity, server: Server, config: PostgresConfig, *, slot: Slot | None
) -> list[Finding]:
    """Return what the server and our role on it lack. A slot that is there needs no free place."""
    found = []
    if identity.version < OLDEST:
        found.append(
            error(
                "version", f"the server is PostgreSQL {identity.version // 10_000}", "use 14 or later", "url"
            )
        )
    if server.wal_level != "logical":
        found.append(
            error(
                "wal-level",
                f"wal_level is {server.wal_level}",
                "ALTER SYSTEM SET wal_level = 'logical'; then restart the server",
            )
        )
    if not server.replicates:
        found.append(
            error(
                "no-replication-right",
                f"the role {server.user} may not replicate",
                f"ALTER ROLE {quoted(server.user)} REPLICATION; or use mode: outbox",
                "url",
            )
        )
    if server.plugins is not None and "pgoutput" not in [
        name.strip(" \"'") for name in server.plugins.split(",")
    ]:
        found.append(
            error(
                "plugin-refused",
                f"output_plugin_libraries is {server.plugins!r}: pgoutput is refused",
                "ALTER SYSTEM SET output_plugin_libraries = 'pgoutput, test_decoding'; then reload",
            )
        )
    if server.pooled and config.mode == "stream":
        found.append(
            error(
                "pooler",
                "a pooler stands between us and the server: it carries no replication",
                "give the server's own address, or use mode: poll",
                "url",
            )
        )
    return found + _places(server, config, slot)


def _places(server: Server, config: PostgresConfig, slot: Slot | None) -> list[Finding]:
    """Return what is used up."""
    found = []
    if slot is None and server.slots_used >= server.slots:
        found.append(
            error(
                "no-free-slot",
                f"all {server.slots} replication slots are taken",
                f"ALTER SYSTEM SET max_replication_slots = {server.slots + 10}; then restart the server",
            )
        )
    ours = slot is not None and slot.active_pid is not None
    if config.mode == "stream" and not ours and server.senders_used >= server.senders:
        found.append(
            error(
                "no-free-sender",
                f"all {server.senders} WAL senders are taken",
                f"ALTER SYSTEM SET max_wal_senders = {server.senders + 10}; then restart the server",
            )
        )
    return found


def of_tables(tables: list[Table], config: PostgresConfig, operations: frozenset[str]) -> list[Finding]:
    """Return what keeps configured tables from being published with these operations."""
    found = []
    names = {table.title for table in tables}
    schemas = {table.schema for table in tables}
    for place, pattern in enumerate(config.tables):
        schema, _, name = pattern.partition(".")
        if (name == "*" and schema not in schemas) or (name != "*" and pattern not in names):
            near = get_close_matches(pattern, sorted(names), n=1, cutoff=0.6)
            fix = (
                f"did you mean {near[0]}?" if near else "create it, or write its name as PostgreSQL keeps it"
            )
            found.append(error("no-table", f"there is no table {pattern}", fix, f"tables.{place}"))
    for table in tables:
        if takes_table(config, table.schema, table.name):
            found += of_table(table, operations)
            found += _columns(table, config)
    return found


def of_table(table: Table, operations: frozenset[str]) -> list[Finding]:
    """Return what keeps one table from being published: its own updates must go on working."""
    if table.kind not in ("r", "p"):
        return [
            error(
                "not-a-table",
                f"{table.title} is no ordinary table: its changes are not logged",
                "leave it out",
            )
        ]
    if not table.persistent:
        return [
            error(
                "unlogged",
                f"{table.title} is unlogged: its changes are not in the WAL",
                f"ALTER TABLE {qualified(table.schema, table.name)} SET LOGGED; or leave it out",
            )
        ]
    if operations.isdisjoint({"update", "delete"}) or table.identified:
        return []
    name = qualified(table.schema, table.name)
    return [
        error(
            "no-identity",
            f"{table.title} has no primary key and no replica identity: once published, every UPDATE and "
            "DELETE of your application on it would fail",
            f"add a primary key; or ALTER TABLE {name} REPLICA IDENTITY FULL; or take inserts only "
            "(operations: [insert])",
        )
    ]


def _columns(table: Table, config: PostgresConfig) -> list[Finding]:
    """Return the configured columns that a table does not have, and a filter that leaves nothing."""
    names = [column.name for column in table.columns]
    found = []
    for field in ("columns", "exclude_columns"):
        for column in getattr(config, field).get(table.title, ()):
            if column not in names:
                near = get_close_matches(column, names, n=1, cutoff=0.6)
                fix = f"did you mean {near[0]}?" if near else f"it has {', '.join(names)[:200]}"
                message = f"{table.title} has no column {column}"
                found.append(warning("no-column", message, fix, f"{field}.{table.title}"))
    if names and not any(takes_column(config, table.schema, table.name, name) for name in names):
        found.append(
            warning("no-columns", f"no column of {table.title} is taken", "take one at least", "columns")
        )
    return found


def of_publication(
    publication: Publication, wanted: list[Table], config: PostgresConfig, *, setup: str
) -> list[Finding]:
    """Return what an existing publication lacks of what the source wants."""
    carried = {table.title for table in publication.tables}
    found = []
    name = quoted(publication.name)
    for table in wanted:
        if table.title not in carried and not (table.kind == "p" and not publication.via_root):
            statement = f"ALTER PUBLICATION {name} ADD TABLE {qualified(table.schema, table.name)}"
            found.append(
                error(
                    "not-published",
                    f"{publication.name} does not carry {table.title}",
                    f"{statement}; or {setup}",
                )
            )
    if not publication.via_root and any(table.kind == "p" for table in wanted):
        found.append(
            error(
                "partitions",
                f"{publication.name} publishes partitions under their own names, not under their table's",
                f"ALTER PUBLICATION {name} SET (publish_via_partition_root = true); or {setup}",
            )
        )
    missing = [word for word in published(config) if word not in publication.operations]
    if missing:
        publish = ", ".join(word for word in CHANGES if word in publication.operations or word in missing)
        found.append(
            error(
                "operations",
                f"{publication.name} does not publish {', '.join(missing)}",
                f"ALTER PUBLICATION {name} SET (publish = '{publish}'); or {setup}; or name `operations:`",
            )
        )
    if not publication.tables:
        found.append(error("nothing-published", f"{publication.name} carries no table", setup))
    return found


def published(config: PostgresConfig) -> tuple[str, ...]:
    """Return what a publication must publish for a source."""
    return tuple(word for word in CHANGES if word in config.operations)


def of_slot(slot: Slot, identity: Identity, *, setup: str) -> list[Finding]:
    """Return what keeps a slot from serving us."""
    if slot.plugin != "pgoutput" or slot.database != identity.database:
        what = f"plugin {slot.plugin or 'none'}, database {slot.database or 'none'}"
        return [
            Finding(
                severity="error",
                code="slot-of-others",
                message=f"the slot {slot.name} is somebody else's ({what})",
                fix="give the source another name for its `slot:`",
                field="slot",
            )
        ]
    if slot.lost:
        message = f"the server gave up the slot {slot.name} ({slot.lost}): what it held is lost"
        return [error("slot-lost", message, f"{setup}; then pointsman sources rewind")]
    return []

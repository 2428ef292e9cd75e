"""What a PostgreSQL server says of itself, of our slot, of our publication and of tables. Only reads.

Each answer is a frozen value; what follows from them is decided elsewhere (`slot`, `requirements`).
"""

from typing import Any, Final, Literal

import msgspec
from typing_extensions import override

from triggers.postgres.connection import Sql, mapped
from triggers.postgres.position import parse_lsn


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Which server, and which history, we are connected to. `wal_lsn`: up to where its WAL goes now."""

    system_id: str
    timeline: int
    version: int  # 150018
    database: str
    wal_lsn: int
    standby: bool = False


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A replication slot. `lost`: why it can give no changes any more, "" while it can."""

    name: str
    plugin: str
    database: str
    active_pid: int | None
    confirmed: int
    restart: int
    wal_status: str = "reserved"
    safe_wal_size: int | None = None
    lost: str = ""
    failover: bool = False


class PublishedTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table as a publication carries it. `columns` in the table's order; `filter` is an SQL expression."""

    oid: int
    schema: str
    name: str
    columns: tuple[str, ...]
    filter: str | None = None

    @property
    def title(self) -> str:
        """Return `schema.table`."""
        return f"{self.schema}.{self.name}"


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """A publication. `operations`: what it publishes; `ours`: made by our setup, for the source named."""

    name: str
    all_tables: bool
    operations: frozenset[str]
    via_root: bool
    tables: tuple[PublishedTable, ...]
    ours: bool = False


class Column(msgspec.Struct, frozen=True):
    """A column of a table, as it is now."""

    name: str
    type_oid: int
    modifier: int
    type_name: str  # as SQL writes it


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table. `key`: its primary key, else the index that is its replica identity; () when there is none."""

    oid: int
    schema: str
    name: str
    kind: Literal["r", "p", "f", "v", "m", "S"]  # pg_class.relkind
    identity: Literal["default", "full", "index", "nothing"]
    key: tuple[str, ...]
    identity_key: tuple[str, ...]  # the columns of the replica identity; all of them when it is full
    primary: bool
    columns: tuple[Column, ...]
    file: int  # changes when the table is rewritten
    rows: int  # estimated
    blocks: int
    persistent: bool
    readable: bool
    owned: bool

    @property
    def title(self) -> str:
        """Return `schema.table`."""
        return f"{self.schema}.{self.name}"

    @property
    def identified(self) -> bool:
        """Whether updates and deletes of this table can be published; if not, PostgreSQL refuses them."""
        if self.identity == "default":
            return self.primary
        return self.identity in ("full", "index")


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """How the server is set up for logical replication, and what the role we log in as may do."""

    wal_level: str
    slots: int
    slots_used: int
    senders: int
    senders_used: int
    replicates: bool
    plugins: str | None  # output_plugin_libraries, where the version has it and our role may see it
    creates: bool
    keep_mebibytes: int  # max_slot_wal_keep_size; -1: no limit
    user: str
    pooled: bool  # something between us and the server answers in its place


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """An open transaction that has written, in any database: WAL since its begin cannot be let go."""

    who: str
    user: str
    database: str
    state: str
    seconds: float

    @override
    def __str__(self) -> str:
        return (
            f"{self.who} ({self.state}, user {self.user}, database {self.database}, for {self.seconds:.0f} s)"
        )


_IDENTITIES: Final = {"d": "default", "f": "full", "i": "index", "n": "nothing"}

COMMENT: Final = "made by pointsman for source "
"""What setup writes as the comment of a publication, before the name: by it teardown knows its own."""

# pg_walfile_name fails on a standby; there the last checkpoint that was replayed says the timeline.
_IDENTITY: Final = """
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system_id,
       CASE WHEN pg_is_in_recovery()
            THEN (SELECT coalesce((SELECT received_tli FROM pg_stat_wal_receiver), timeline_id)
                  FROM pg_control_checkpoint())
            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS timeline,
       current_setting('server_version_num')::int AS version,
       current_database()::text AS database,
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text
           AS wal_lsn,
       pg_is_in_recovery() AS standby
"""

_PUBLICATION: Final = """
SELECT to_jsonb(p)::text AS publication, coalesce(obj_description(p.oid, 'pg_publication'), '') AS comment
FROM pg_publication p WHERE pubname = $1
"""

# The column list and the row filter of a table came with PostgreSQL 15; generated columns are sent, where a
# publication says so, from 18 on.
_PUBLISHED: Final = """
SELECT c.oid::bigint AS oid, t.schemaname::text AS schema, t.tablename::text AS name,
       to_jsonb(t) ->> 'rowfilter' AS filter,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND (a.attgenerated = '' OR current_setting('server_version_num')::int >= 180000)
               AND (to_jsonb(t) -> 'attnames' IS NULL OR to_jsonb(t) -> 'attnames' = 'null'
                    OR to_jsonb(t) -> 'attnames' ? a.attname::text)
             ORDER BY a.attnum) AS columns
FROM pg_publication_tables t
JOIN pg_namespace n ON n.nspname = t.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
WHERE t.pubname = $1
ORDER BY 2, 3
"""

_TABLES: Final = """
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       c.relreplident::text AS identity, i.indisprimary AS primary,
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k(number, place)
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
             WHERE k.place <= i.indnkeyatts ORDER BY k.place) AS key,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
               AND (c.relreplident = 'f' OR EXISTS (
                   SELECT FROM pg_index x WHERE x.indrelid = c.oid AND a.attnum = ANY(x.indkey)
                   AND CASE c.relreplident WHEN 'd' THEN x.indisprimary WHEN 'i' THEN x.indisreplident END))
             ORDER BY a.attnum) AS identity_key,
       ARRAY(SELECT jsonb_build_array(a.attname, a.atttypid::bigint, a.atttypmod,
                                      format_type(a.atttypid, a.atttypmod))::text
             FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             ORDER BY a.attnum) AS columns,
       coalesce(pg_relation_filenode(c.oid), 0)::bigint AS file,
       greatest(c.reltuples, 0)::bigint AS rows, c.relpages::bigint AS blocks,
       c.relpersistence = 'p' AS persistent,
       has_table_privilege(c.oid, 'SELECT') AS readable,
       pg_has_role(c.relowner, 'USAGE') AS owned
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT * FROM pg_index i
    WHERE i.indrelid = c.oid AND i.indisvalid AND (i.indisprimary OR i.indisreplident)
    ORDER BY i.indisprimary DESC LIMIT 1) i ON true
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')
  AND (c.oid = ANY($1::oid[])
       OR n.nspname || '.' || c.relname = ANY($2::text[])
       OR n.nspname || '.*' = ANY($2::text[]) AND c.relkind IN ('r', 'p')
          AND NOT c.relispartition AND c.relpersistence = 'p')
ORDER BY 2, 3
"""

_SERVER: Final = """
SELECT current_setting('wal_level') AS wal_level,
       current_setting('max_replication_slots')::int AS slots,
       (SELECT count(*)::int FROM pg_replication_slots) AS slots_used,
       current_setting('max_wal_senders')::int AS senders,
       (SELECT count(*)::int FROM pg_stat_replication) AS senders_used,
       r.rolsuper OR r.rolreplication
           OR EXISTS (SELECT FROM pg_roles m WHERE m.rolname IN ('rds_replication', 'rdsadmin')
                      AND pg_has_role(m.oid, 'USAGE')) AS replicates,
       (SELECT setting FROM pg_settings WHERE name = 'output_plugin_libraries') AS plugins,
       has_database_privilege(current_database(), 'CREATE') AS creates,
       (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep_mebibytes,
       pg_backend_pid() AS pid, current_user::text AS "user"
FROM pg_roles r WHERE r.rolname = current_user
"""

# A transaction that has written (it has an xid) keeps the slot from letting WAL go until it ends.
_HOLDERS: Final = """
SELECT 'pid ' || pid AS who, coalesce(usename, '?')::text AS "user", coalesce(datname, '?')::text AS database,
       coalesce(state, 'unknown')::text AS state,
       coalesce(extract(epoch FROM clock_timestamp() - xact_start), 0)::float8 AS seconds
FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
UNION ALL
SELECT 'prepared transaction ' || gid, owner::text, database::text, 'prepared',
       extract(epoch FROM clock_timestamp() - prepared)::float8
FROM pg_prepared_xacts
ORDER BY 5 DESC LIMIT 5
"""

_LEAVES: Final = """
SELECT relid::oid::bigint AS oid FROM pg_partition_tree($1::oid::regclass) WHERE isleaf ORDER BY 1
"""


class Catalog:
    """Asks one connection. Raises SourceUnavailable and SourceRejected."""

    def __init__(self, sql: Sql) -> None:
        self.sql = sql

    async def identity(self) -> Identity:
        """Return which server and history this is."""
        with mapped("asking the server who it is"):
            (row,) = await self.sql.fetch(_IDENTITY)
        return Identity(**{**row, "wal_lsn": parse_lsn(row["wal_lsn"])})

    async def server(self) -> Server:
        """Return how the server is set up, and what we may do."""
        with mapped("asking the server for its settings"):
            row = await self.sql.fetchrow(_SERVER)
        found = dict(row or {})
        pid = found.pop("pid")
        return Server(**found, pooled=pid != self.sql.get_server_pid())  # a pooler tells an id of its own

    async def holders(self) -> list[Holder]:
        """Return the oldest transactions that keep WAL from being let go."""
        with mapped("looking for open transactions"):
            return [Holder(**row) for row in await self.sql.fetch(_HOLDERS)]

    async def slot(self, name: str) -> Slot | None:
        """Return a slot, or None when there is none."""
        with mapped(f"looking at the slot {name}"):
            text = await self.sql.fetchval(
                "SELECT to_jsonb(s)::text FROM pg_replication_slots s WHERE slot_name = $1", name
            )
        return None if text is None else _slot(msgspec.json.decode(text))

    async def publication(self, name: str) -> Publication | None:
        """Return a publication with its tables, or None when there is none."""
        with mapped(f"looking at the publication {name}"):
            row = await self.sql.fetchrow(_PUBLICATION, name)
            if row is None:
                return None
            tables = await self.sql.fetch(_PUBLISHED, name)
        found = msgspec.json.decode(row["publication"])
        operations = ("insert", "update", "delete", "truncate")
        return Publication(
            name=name,
            all_tables=found["puballtables"],
            operations=frozenset(word for word in operations if found[f"pub{word}"]),
            via_root=found.get("pubviaroot", False),
            tables=tuple(PublishedTable(**{**table, "columns": tuple(table["columns"])}) for table in tables),
            ours=row["comment"].startswith(COMMENT),
        )

    async def tables(self, patterns: tuple[str, ...] = (), oids: tuple[int, ...] = ()) -> list[Table]:
        """Return the tables of these names (`schema.table`, `schema.*`) and these oids, by name."""
        with mapped("looking at the tables"):
            rows = await self.sql.fetch(_TABLES, list(oids), list(patterns))
        return [_table(row) for row in rows]

    async def leaves(self, table: Table) -> list[Table]:
        """Return the tables in which a partitioned table keeps its rows."""
        with mapped(f"looking at the partitions of {table.title}"):
            rows = await self.sql.fetch(_LEAVES, table.oid)
        return await self.tables(oids=tuple(row["oid"] for row in rows))


def _slot(found: dict[str, Any]) -> Slot:
    """Read a slot; what newer versions tell is taken where it is told."""
    lost = ""
    if found.get("invalidation_reason"):  # from 17
        lost = found["invalidation_reason"]
    elif found.get("conflicting"):  # from 16
        lost = "conflict"
    elif found.get("wal_status") == "lost":
        lost = "wal_removed"
    return Slot(
        name=found["slot_name"],
        plugin=found["plugin"] or "",
        database=found["database"] or "",
        active_pid=found["active_pid"],
        confirmed=parse_lsn(found["confirmed_flush_lsn"] or "0/0"),
        restart=parse_lsn(found["restart_lsn"] or "0/0"),
        wal_status=found.get("wal_status") or "",
        safe_wal_size=found.get("safe_wal_size"),
        lost=lost,
        failover=bool(found.get("failover")),
    )


def _table(row: Any) -> Table:
    return Table(
        **{
            **row,
            "identity": _IDENTITIES[row["identity"]],
            "primary": bool(row["primary"]),
            "key": tuple(row["key"]),
            "identity_key": tuple(row["identity_key"]),
            "columns": tuple(Column(*msgspec.json.decode(column)) for column in row["columns"]),
        }
    )

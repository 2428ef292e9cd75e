"""The configuration of a PostgreSQL source, and the names that follow from it. Pure: nothing is connected."""

import re
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StrictInt, model_validator

from triggers.base import SourceConfig
from triggers.quantities import Duration, Size

Operation = Literal["insert", "update", "delete", "truncate", "message"]
"""What a transaction may do that becomes a message; `message` is pg_logical_emit_message."""

MAX_NAME: Final = 63
"""The longest identifier of PostgreSQL, in bytes."""

_SLOT: Final = re.compile(r"[a-z0-9_]{1,63}", re.ASCII)


def _slot(value: str) -> str:
    if not _SLOT.fullmatch(value):
        raise ValueError("a slot's name is 1 to 63 of the characters a-z, 0-9 and _")
    return value


def _identifier(value: str) -> str:
    if not value or "\0" in value or len(value.encode()) > MAX_NAME:
        raise ValueError(f"a name has 1 to {MAX_NAME} bytes and no zero byte")
    return value


def _table(value: str) -> str:
    schema, dot, table = value.partition(".")
    if not dot:
        raise ValueError(f"write schema.table, for example public.{value}")
    _identifier(schema)
    _identifier(table)
    return value


def _not_star(value: str) -> str:
    if value.endswith(".*"):
        raise ValueError("write one table, schema.table")
    return _table(value)


SlotName = Annotated[str, AfterValidator(_slot)]
Identifier = Annotated[str, AfterValidator(_identifier)]
TablePattern = Annotated[str, AfterValidator(_table)]
"""`schema.table`, or `schema.*` for every table of a schema. Names as PostgreSQL keeps them, unquoted."""
TableName = Annotated[str, AfterValidator(_not_star)]


class OutboxConfig(BaseModel):
    """The table that an application writes its messages to, for servers without replication rights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: TableName = Field(description="The outbox table.", examples=["public.outbox"])
    id: Identifier = Field(
        default="id",
        description="The column that identifies a row and orders the reading: unique, never null, growing.",
    )
    data: Identifier = Field(
        default="data", description="The column with the message's data: json, jsonb, text or bytea."
    )
    type: Identifier | None = Field(
        default="type", description="The column with the message's type. null: always postgres.outbox."
    )
    subject: Identifier | None = Field(
        default="subject", description="The column with the message's subject. null: none."
    )
    time: Identifier | None = Field(
        default="created_at",
        description="The column with the time of writing (timestamptz); part of the message's id, so that an "
        "id that is used again after a restore is another message. null: none.",
    )
    mark: Identifier | None = Field(
        default=None,
        description="The column (timestamptz) that is set once a row is stored. Absent: the row is deleted.",
    )
    channel: Identifier | None = Field(
        default="pointsman_outbox",
        description="The channel that is notified of new rows. null: they are looked for every `poll_every`.",
    )
    capture: tuple[TableName, ...] = Field(
        default=(),
        description="Tables whose changes triggers write to the outbox; `sources setup` makes the triggers.",
    )


class PostgresConfig(SourceConfig):
    """Committed changes of PostgreSQL tables."""

    model_config = ConfigDict(hide_input_in_errors=True)

    expressions: ClassVar[tuple[str, ...]] = ("type", "subject")

    kind: Literal["postgres"] = Field(description="Committed changes of PostgreSQL tables.")
    url: SecretStr = Field(
        description="Where the database is: postgresql://user:password@host:port/database?sslmode=verify-full."
    )
    password: SecretStr | None = Field(default=None, description="The password, where it is not in `url`.")
    ca: SecretStr | None = Field(
        default=None, description="PEM certificates to trust for TLS. Absent: as `url` says, or the system's."
    )
    cert: SecretStr | None = Field(default=None, description="Our own PEM certificate, for TLS.")
    key: SecretStr | None = Field(default=None, description="The PEM key of `cert`.")
    mode: Literal["stream", "poll", "outbox"] = Field(
        default="stream",
        description="`stream`: a replication connection. `poll`: logical decoding by plain statements, for "
        "poolers. `outbox`: reads a table, for servers without replication rights.",
    )
    tables: tuple[TablePattern, ...] = Field(
        default=(),
        description="The tables to take, `schema.table` or `schema.*`. Absent: all that are published.",
        examples=[["public.orders"]],
    )
    exclude_tables: tuple[TablePattern, ...] = Field(default=(), description="The tables not to take.")
    columns: dict[TableName, Annotated[tuple[Identifier, ...], Field(min_length=1)]] = Field(
        default={},
        description="By table: the only columns to take.",
        examples=[{"public.customers": ["id", "name"]}],
    )
    exclude_columns: dict[TableName, Annotated[tuple[Identifier, ...], Field(min_length=1)]] = Field(
        default={}, description="By table: columns that never become part of a message."
    )
    operations: frozenset[Operation] = Field(
        default=frozenset({"insert", "update", "delete", "truncate", "message"}),
        min_length=1,
        description="What becomes a message.",
    )
    numeric: Literal["number", "string"] = Field(
        default="number",
        description="How `numeric` is written: as a JSON number with all its digits, or as a string.",
    )
    slot: SlotName | None = Field(
        default=None,
        description="The replication slot, ours alone. Absent: pointsman_ and the source's name.",
    )
    publication: Identifier | None = Field(
        default=None, description="The publication. Absent: pointsman_ and the source's name."
    )
    setup: Literal["manual", "auto"] = Field(
        default="manual",
        description="Who makes publication and slot: `manual`: `pointsman sources setup`; `auto`: the source "
        "itself, before its first run and after an accepted gap, never else.",
    )
    snapshot: Literal["never", "initial"] = Field(
        default="never",
        description="`initial`: the rows that are there come first, as postgres.read, each at least once.",
    )
    snapshot_page: StrictInt = Field(
        default=2_000, ge=1, le=100_000, description="Rows of one statement of the snapshot."
    )
    batch: StrictInt = Field(
        default=500, ge=1, le=1_000, description="The most rows that are stored in one transaction."
    )
    heartbeat: Duration | None = Field(
        default=timedelta(seconds=10),
        description="How often an idle source writes a heartbeat, so that it does not hold WAL. null: never.",
    )
    wal_budget: Size = Field(
        default=4 * 1024**3,
        gt=0,
        description="The WAL that our slot may hold on the server before an alarm is raised.",
    )
    poll_every: Duration = Field(
        default=timedelta(seconds=1),
        description="mode: poll and outbox: the pause when nothing new was there.",
    )
    poll_changes: StrictInt = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="mode: poll: about how many changes one statement reads.",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=10), description="How long connecting and short statements may take."
    )
    outbox: OutboxConfig | None = Field(
        default=None, description="mode: outbox: the table, and how to read it."
    )
    type: str | None = Field(
        default=None,
        min_length=1,
        description="CEL: the message's type. Absent: postgres.insert and the like.",
    )
    subject: str | None = Field(
        default=None, min_length=1, description="CEL: the message's subject. Absent: schema.table."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.mode == "outbox") != (self.outbox is not None):
            raise ValueError("`mode: outbox` and `outbox:` belong together: give both or neither")
        if (self.cert is None) != (self.key is None):
            raise ValueError("`cert` and `key` belong together: give both or neither")
        both = sorted(set(self.columns) & set(self.exclude_columns))
        if both:
            raise ValueError(f"{both[0]}: give `columns` or `exclude_columns`, not both")
        for name in ("poll_every", "timeout", "heartbeat"):
            value = getattr(self, name)
            if value is not None and value < timedelta(milliseconds=10):
                raise ValueError(f"`{name}` is too short: at least 10ms")
        return self


def slot_name(source: str, config: PostgresConfig) -> str:
    """Return the name of the replication slot of a source."""
    return config.slot or _derived(source)


def publication_name(source: str, config: PostgresConfig) -> str:
    """Return the name of the publication of a source."""
    return config.publication or _derived(source)


def _derived(source: str) -> str:
    return re.sub(r"[^a-z0-9_]", "_", f"pointsman_{source.lower()}")[:MAX_NAME]


def takes_table(config: PostgresConfig, schema: str, table: str) -> bool:
    """Say whether a source takes the changes of a table."""
    names = {f"{schema}.{table}", f"{schema}.*"}
    return (not config.tables or not names.isdisjoint(config.tables)) and names.isdisjoint(
        config.exclude_tables
    )


def takes_column(config: PostgresConfig, schema: str, table: str, column: str) -> bool:
    """Say whether a column of a table becomes part of messages."""
    name = f"{schema}.{table}"
    only = config.columns.get(name)
    if only is not None:
        return column in only
    return column not in config.exclude_columns.get(name, ())

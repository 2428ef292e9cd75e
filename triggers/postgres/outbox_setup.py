"""Makes, checks and removes an outbox table, and the triggers that write the changes of other tables to it.

A trigger runs within the transactions of the application: it is made only for tables that `capture:` names.
What setup made carries our comment; only that is ever removed.
"""

from typing import Final

from triggers.base import Finding, SetupStep
from triggers.postgres.catalog import COMMENT, Catalog, Table
from triggers.postgres.config import OutboxConfig, PostgresConfig
from triggers.postgres.connection import literal, mapped, qualified, quoted
from triggers.postgres.outbox import missing, outbox_of
from triggers.postgres.requirements import error, warning

NOTIFY: Final = "pointsman_notify"
CAPTURE: Final = "pointsman_capture"
"""The names of the triggers that setup makes."""

_DATA_TYPES: Final = {"json", "jsonb", "text", "bytea", "character varying"}

_TRIGGERS: Final = """
SELECT n.nspname || '.' || c.relname AS title FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.tgname = $1 AND t.tgfoid = to_regprocedure($2)
"""

_CAPTURE: Final = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $pointsman$
DECLARE
  was jsonb;
  now jsonb;
BEGIN
  IF TG_OP IN ('UPDATE', 'DELETE') THEN was := to_jsonb(OLD); END IF;
  IF TG_OP IN ('INSERT', 'UPDATE') THEN now := to_jsonb(NEW); END IF;
  INSERT INTO {outbox} ({columns}) SELECT {values}
  FROM (SELECT jsonb_build_object(
    'schema', TG_TABLE_SCHEMA, 'table', TG_TABLE_NAME, 'op', lower(TG_OP),
    'key', (SELECT jsonb_object_agg(k, coalesce(now, was) -> k) FROM unnest(TG_ARGV) AS k
            WHERE TG_OP <> 'TRUNCATE'),
    'before', was, 'after', now,
    'changed', CASE WHEN TG_OP = 'UPDATE' THEN
      (SELECT coalesce(jsonb_agg(n.key), '[]') FROM jsonb_each(now) AS n
       WHERE n.value IS DISTINCT FROM was -> n.key) END,
    'unchanged', '[]'::jsonb) AS data) AS d;
  RETURN NULL;
END
$pointsman$
"""


async def outbox_plan(name: str, config: PostgresConfig, catalog: Catalog) -> list[SetupStep]:
    """Return what is to be made for an outbox, in order, with what is wrong."""
    outbox = outbox_of(config)
    tables = {table.title: table for table in await catalog.tables(patterns=(outbox.table, *outbox.capture))}
    table = tables.get(outbox.table)
    what = f"the outbox {outbox.table}"
    if table is None:
        steps = [SetupStep(what=what, statement=_create(name, outbox))]
    else:
        lacking = missing(outbox, table)
        problem = f"{outbox.table} has no column {', '.join(lacking)}" if lacking else ""
        fix = "add it, or name the right one under `outbox:`" if lacking else ""
        steps = [SetupStep(what=what, done=not lacking, problem=problem, fix=fix)]
    done = await _captured(outbox, catalog)
    for title in outbox.capture:
        what = f"triggers of {title} that write to the outbox"
        captured = tables.get(title)
        if captured is None:
            problem = f"there is no table {title}"
            steps.append(SetupStep(what=what, problem=problem, fix="write its name as PostgreSQL keeps it"))
        else:
            statement = "" if title in done else _capture(outbox, captured)
            steps.append(SetupStep(what=what, statement=statement, done=title in done))
    return steps


async def outbox_removal(config: PostgresConfig, catalog: Catalog) -> list[SetupStep]:
    """Return what to remove when an outbox is given up: our triggers, and a table of ours that is empty."""
    outbox = outbox_of(config)
    captured = sorted(await _captured(outbox, catalog))
    steps = []
    if captured:
        drops = [f"DROP TRIGGER {CAPTURE} ON {_name(title)}" for title in captured]
        drops += [f"DROP TRIGGER {CAPTURE}_truncate ON {_name(title)}" for title in captured]
        statement = ";\n".join([*drops, f"DROP FUNCTION {_function(outbox, 'capture')}()"])
        steps.append(SetupStep(what=f"drop the triggers of {', '.join(captured)}", statement=statement))
    with mapped(f"looking at {outbox.table}"):
        comment = await catalog.sql.fetchval(
            "SELECT obj_description(to_regclass($1), 'pg_class')", _name(outbox.table)
        )
        ours = str(comment or "").startswith(COMMENT)
        query = f"SELECT EXISTS (SELECT FROM {_name(outbox.table)})"  # noqa: S608  quoted
        left = ours and await catalog.sql.fetchval(query)
    if not ours:
        steps.append(SetupStep(what=f"{outbox.table} is not ours, or not there: nothing to drop", done=True))
        return steps
    problem = "rows in it are not taken yet" if left else ""
    fix = "let the source take them, or delete them" if left else ""
    drop = f"DROP TABLE {_name(outbox.table)}"
    if outbox.channel:
        drop += f";\nDROP FUNCTION {_function(outbox, 'notify')}()"
    return [*steps, SetupStep(what=f"drop {outbox.table}", statement=drop, problem=problem, fix=fix)]


async def check_outbox(config: PostgresConfig, catalog: Catalog) -> list[Finding]:
    """Return what an outbox lacks."""
    outbox = outbox_of(config)
    tables = {table.title: table for table in await catalog.tables(patterns=(outbox.table, *outbox.capture))}
    table = tables.get(outbox.table)
    if table is None:
        fix = "pointsman sources setup makes it"
        return [error("no-table", f"there is no table {outbox.table}", fix, "outbox.table")]
    found = [
        error("no-column", f"{outbox.table} has no column {column}", "name the right one", "outbox")
        for column in missing(outbox, table)
    ]
    types = {column.name: column.type_name.partition("(")[0] for column in table.columns}
    if types.get(outbox.data, "text") not in _DATA_TYPES:
        message = f"{outbox.data} is {types[outbox.data]}"
        found.append(error("data-type", message, "make it jsonb, json, text or bytea", "outbox.data"))
    if outbox.id in types and table.key != (outbox.id,):
        message = f"{outbox.id} is not the primary key of {outbox.table}"
        found.append(
            warning("no-key", message, "make it so: reading in its order wants the index", "outbox.id")
        )
    return found + await _rights(config, outbox, table, catalog) + await _uncaptured(outbox, catalog)


async def _rights(
    config: PostgresConfig, outbox: OutboxConfig, table: Table, catalog: Catalog
) -> list[Finding]:
    """Return the rights that our role lacks, and whether it can be woken."""
    right = "UPDATE" if outbox.mark else "DELETE"
    found = []
    server = await catalog.server()
    with mapped(f"looking at the rights on {table.title}"):
        for wanted in ("SELECT", right):
            query = "SELECT has_table_privilege($1::oid, $2)"
            if not await catalog.sql.fetchval(query, table.oid, wanted):
                grant = f"GRANT {wanted} ON {qualified(table.schema, table.name)} TO {quoted(server.user)}"
                message = f"the role {server.user} has no right to {wanted} on {table.title}"
                found.append(error("no-right", message, grant, "outbox.table"))
    if outbox.channel and server.pooled:
        message = f"a pooler stands between: new rows are found every {config.poll_every}, not at once"
        fix = "give the server's own address, or set `channel: null`"
        found.append(warning("pooler", message, fix, "url"))
    return found


async def _uncaptured(outbox: OutboxConfig, catalog: Catalog) -> list[Finding]:
    done = await _captured(outbox, catalog)
    return [
        error("no-trigger", f"nothing writes the changes of {title} to the outbox", "pointsman sources setup")
        for title in outbox.capture
        if title not in done
    ]


async def _captured(outbox: OutboxConfig, catalog: Catalog) -> set[str]:
    """Return the tables whose triggers write to this outbox."""
    with mapped("looking for triggers"):
        rows = await catalog.sql.fetch(_TRIGGERS, CAPTURE, f"{_function(outbox, 'capture')}()")
    return {row["title"] for row in rows}


def _create(name: str, outbox: OutboxConfig) -> str:
    """Return how the table is made, with what wakes the reader."""
    table = _name(outbox.table)
    columns = [f"{quoted(outbox.id)} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"]
    columns += [f"{quoted(column)} text" for column in (outbox.type, outbox.subject) if column]
    columns += [f"{quoted(outbox.data)} jsonb"]
    columns += (
        [f"{quoted(outbox.time)} timestamptz NOT NULL DEFAULT clock_timestamp()"] if outbox.time else []
    )
    columns += [f"{quoted(outbox.mark)} timestamptz"] if outbox.mark else []
    lines = [
        f"CREATE TABLE {table} (\n  " + ",\n  ".join(columns) + "\n)",
        f"COMMENT ON TABLE {table} IS {literal(COMMENT + name)}",
    ]
    if outbox.mark:
        lines.append(f"CREATE INDEX ON {table} ({quoted(outbox.id)}) WHERE {quoted(outbox.mark)} IS NULL")
    if outbox.channel:
        function = _function(outbox, "notify")
        lines += [
            (
                f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $pointsman$ "
                f"BEGIN PERFORM pg_notify({literal(outbox.channel)}, ''); RETURN NULL; END $pointsman$"
            ),
            (
                f"CREATE TRIGGER {NOTIFY} AFTER INSERT ON {table} FOR EACH STATEMENT "
                f"EXECUTE FUNCTION {function}()"
            ),
        ]
    return ";\n".join(lines)


def _capture(outbox: OutboxConfig, table: Table) -> str:
    """Return how the triggers of a table are made; rows are written as `to_jsonb` writes them."""
    pairs = [
        (outbox.type, "'postgres.' || lower(TG_OP)"),
        (outbox.subject, "TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME"),
        (outbox.data, "d.data"),
    ]
    function = _function(outbox, "capture")
    made = _CAPTURE.format(
        function=function,
        outbox=_name(outbox.table),
        columns=", ".join(quoted(column) for column, _ in pairs if column),
        values=", ".join(value for column, value in pairs if column),
    ).strip()
    title = qualified(table.schema, table.name)
    key = ", ".join(literal(column) for column in table.key)
    return ";\n".join(
        [
            made,
            (
                f"CREATE TRIGGER {CAPTURE} AFTER INSERT OR UPDATE OR DELETE ON {title} "
                f"FOR EACH ROW EXECUTE FUNCTION {function}({key})"
            ),
            (
                f"CREATE TRIGGER {CAPTURE}_truncate AFTER TRUNCATE ON {title} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {function}({key})"
            ),
        ]
    )


def _function(outbox: OutboxConfig, what: str) -> str:
    schema, _, table = outbox.table.partition(".")
    return qualified(schema, f"{table[:40]}_pointsman_{what}")


def _name(title: str) -> str:
    schema, _, table = title.partition(".")
    return qualified(schema, table)

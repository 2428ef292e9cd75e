"""Begins a run: asks the server, makes what may be made, judges, and stores where the run begins.

After it a position is always stored, so a later run that finds none really is the first. What a publication
carried is remembered too: a table that left it takes changes with it that nobody will ever send again.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from triggers.base import Emit, Notice, SourceContext
from triggers.errors import SourceGap, SourceRejected
from triggers.postgres.catalog import Catalog, Identity, Publication
from triggers.postgres.config import PostgresConfig, publication_name, slot_name, takes_table
from triggers.postgres.connection import Sql, connected, mapped, qualified, quoted
from triggers.postgres.position import POSITION_KEY, Position, parse_lsn
from triggers.postgres.setup import set_up
from triggers.postgres.slot import ACCEPT_KEY, judge, ways
from triggers.postgres.wire import replication, row

CARRIED_KEY: Final = "published"
"""Position key: the tables of the publication, each with what changes when it leaves and comes back."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run begins, and on what. `confirmed`: where the slot stood."""

    position: Position
    identity: Identity
    confirmed: int
    publication: Publication
    carried: Mapping[str, int]


async def begin(name: str, config: PostgresConfig, context: SourceContext, emit: Emit) -> Start:
    """Return where to go on, and store it. Raise SourceGap, SourceRejected, SourceUnavailable, NotStored."""
    stored = await context.positions()
    position = Position.decode(stored[POSITION_KEY]) if POSITION_KEY in stored else None
    accept = stored.get(ACCEPT_KEY, b"").decode()
    async with connected(name, config) as sql:
        catalog = Catalog(sql)
        if config.setup == "auto" and (position is None or accept):
            await _make(name, config, catalog)
        identity = await catalog.identity()
        slot = await catalog.slot(slot_name(name, config))
        branches = {}
        if position is not None and position.timeline != identity.timeline:
            branches = await left_timelines(name, config, sql, identity.timeline)
        begun = judge(name, position, identity, slot, accept=accept, branches=branches)
        publication = await catalog.publication(publication_name(name, config))
        fresh = position is None or bool(accept)
        carried = await carries(name, config, catalog, publication, stored.get(CARRIED_KEY), fresh=fresh)
    positions: dict[str, bytes | None] = {POSITION_KEY: begun.encode(), ACCEPT_KEY: None}
    positions[CARRIED_KEY] = msgspec.json.encode(carried.tables)
    await emit(carried.notices, positions)
    return Start(
        position=begun,
        identity=identity,
        confirmed=slot.confirmed if slot else 0,
        publication=carried.publication,
        carried=carried.tables,
    )


async def _make(name: str, config: PostgresConfig, catalog: Catalog) -> None:
    """Make publication and slot, as `setup: auto` allows."""
    problems = [step for step in await set_up(name, config, catalog, apply=True) if step.problem]
    if problems:
        told = "; ".join(f"{step.problem} ({step.fix})" for step in problems)
        raise SourceRejected(f"{name}: cannot be set up: {told}")


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """What a publication carries for us now, and what is to be told of it."""

    publication: Publication
    tables: dict[str, int]
    notices: list[Notice]


# A table that leaves a publication and comes back has another row here; so has one that is made anew.
_MEMBERS: Final = """
SELECT n.nspname || '.' || c.relname AS title, coalesce(r.oid, c.oid)::bigint AS number
FROM unnest($2::oid[]) AS t(oid)
JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_publication_rel r
    ON r.prrelid = c.oid AND r.prpubid = (SELECT oid FROM pg_publication WHERE pubname = $1)
ORDER BY 1
"""


async def carries(
    name: str,
    config: PostgresConfig,
    catalog: Catalog,
    publication: Publication | None,
    before: bytes | None,
    *,
    fresh: bool,
) -> Carried:
    """Compare what the publication carries with what it carried before.

    A table of `tables:` that is gone from it is a gap, unless the source is `fresh`; one that is carried
    without being named, and one that left and came back in between, is told. Raise SourceGap, SourceRejected.
    """
    title = publication_name(name, config)
    if publication is None:
        if fresh:
            raise SourceRejected(
                f"{name}: there is no publication {title} yet; run: pointsman sources setup {name}"
            )
        raise SourceGap(
            f"{name}: the publication {title} is gone: what the slot holds can no longer be read",
            fix=f"pointsman sources teardown {name}; pointsman sources setup {name}; then {ways(name)}",
            facts={"reason": "publication-missing", "publication": title},
        )
    taken = [table for table in publication.tables if takes_table(config, table.schema, table.name)]
    with mapped(f"looking at the publication {title}"):
        rows = await catalog.sql.fetch(_MEMBERS, title, [table.oid for table in taken])
    now = {str(row["title"]): int(row["number"]) for row in rows}
    if before is None or fresh:
        _all_there(name, config, title, now)
        return Carried(publication=publication, tables=now, notices=[])
    then = msgspec.json.decode(before, type=dict[str, int])
    wanted = [table for table in then if takes_table(config, *table.split(".", 1))]
    gone = [table for table in wanted if table not in now]
    named = [table for table in gone if table in config.tables]
    if named:
        add = ", ".join(qualified(*table.split(".", 1)) for table in named)
        raise SourceGap(
            f"{name}: the publication {title} no longer carries {', '.join(named)}: changes of it are lost",
            fix=f"ALTER PUBLICATION {quoted(title)} ADD TABLE {add}, or take it out of `tables:`; "
            f"then {ways(name)}",
            facts={"reason": "table-unpublished", "publication": title, "tables": named},
        )
    _all_there(name, config, title, now)
    told = [_notice(title, table, "unpublished", then[table]) for table in gone]
    back = [table for table in wanted if table in now and now[table] != then[table]]
    told += [_notice(title, table, "republished", now[table]) for table in back]
    return Carried(publication=publication, tables=now, notices=told)


def _all_there(name: str, config: PostgresConfig, publication: str, now: Mapping[str, int]) -> None:
    """Refuse to begin while a table that is named is not carried: its changes would pass unseen."""
    lacking = [table for table in config.tables if not table.endswith(".*") and table not in now]
    if lacking:
        raise SourceRejected(
            f"{name}: the publication {publication} does not carry {', '.join(lacking)}; "
            f"run: pointsman sources setup {name}"
        )


_MEANINGS: Final = {
    "unpublished": "no longer carried, or dropped: its changes come no more",
    "republished": "added anew: changes in between, if any, are lost",
}


def _notice(publication: str, table: str, what: str, number: int) -> Notice:
    return Notice(
        kind="gap",
        id=f"{what}/{publication}/{table}/{number}",
        data={
            "reason": f"table-{what}",
            "publication": publication,
            "table": table,
            "message": f"{table} in the publication {publication}: {_MEANINGS[what]}",
        },
    )


_BRANCH: Final = re.compile(r"^([0-9]+)\t([0-9A-F]+/[0-9A-F]+)\t", re.MULTILINE | re.ASCII)


async def left_timelines(name: str, config: PostgresConfig, sql: Sql, timeline: int) -> dict[int, int]:
    """Return at which LSN earlier timelines were left, as the server's history file says.

    A replication connection may read it; where there is none (`mode: poll`), it wants pg_read_server_files.
    Without either right {} is returned, and then a gap is declared.
    """
    if config.mode == "stream":
        async with replication(name, config) as connection:
            _, text = await row(connection, b"TIMELINE_HISTORY %d" % timeline)
        return branches(text)
    try:
        with mapped("reading the timeline history"):
            text = await sql.fetchval(
                "SELECT pg_read_file('pg_wal/' || lpad(upper(to_hex($1::int)), 8, '0') || '.history')",
                timeline,
            )
    except SourceRejected:
        return {}
    return branches(str(text))


def branches(history: str) -> dict[int, int]:
    """Read a timeline history file: parent timeline, LSN at which it was left, reason."""
    return {int(number): parse_lsn(lsn) for number, lsn in _BRANCH.findall(history)}

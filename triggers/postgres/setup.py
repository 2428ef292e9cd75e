"""Makes and removes what a source needs on the server: its publication and its slot.

Everything is looked at first; while anything is wrong, nothing is done. Users' tables are never altered.
What is there already is left as it is, so that doing it twice is harmless. A publication that we did not make
is never changed: then the statement to run is told.
"""

from typing import Final

import msgspec

from triggers.base import Finding, SetupStep
from triggers.errors import SourceRejected, SourceUnavailable
from triggers.postgres.catalog import COMMENT, Catalog, Identity, Publication, Server, Slot, Table
from triggers.postgres.config import PostgresConfig, publication_name, slot_name, takes_table
from triggers.postgres.connection import connected, literal, mapped, qualified, quoted
from triggers.postgres.outbox_setup import outbox_plan, outbox_removal
from triggers.postgres.requirements import (
    CHANGES,
    of_publication,
    of_server,
    of_slot,
    of_tables,
    published,
)

FAILOVER: Final = 170_000
"""From this version on a slot can be kept in step on standbys, and outlive a failover."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on the server, as far as it matters for one source."""

    identity: Identity
    server: Server
    slot: Slot | None
    publication: Publication | None
    tables: list[Table]
    """The configured tables; without any, those of the publication."""


async def look(name: str, config: PostgresConfig, catalog: Catalog) -> Scene:
    """Gather what stands on the server for a source."""
    publication = await catalog.publication(publication_name(name, config))
    if config.tables:
        tables = await catalog.tables(patterns=config.tables)
    else:
        tables = await catalog.tables(
            oids=tuple(table.oid for table in publication.tables) if publication else ()
        )
    return Scene(
        identity=await catalog.identity(),
        server=await catalog.server(),
        slot=await catalog.slot(slot_name(name, config)),
        publication=publication,
        tables=tables,
    )


def plan(name: str, config: PostgresConfig, scene: Scene) -> list[SetupStep]:
    """Return what is to be done, in order, with what is wrong. Pure."""
    operations = frozenset(published(config))
    if scene.publication is not None:
        operations |= scene.publication.operations
    problems = [
        *of_server(scene.identity, scene.server, config, slot=scene.slot),
        *of_tables(scene.tables, config, operations),
    ]
    steps = [
        SetupStep(what=f"check {finding.code}", problem=finding.message, fix=finding.fix)
        for finding in problems
        if finding.severity == "error"
    ]
    if not steps:
        steps.append(SetupStep(what="the server and the tables are fit for logical replication", done=True))
    return [*steps, *_publication_steps(name, config, scene), *_slot_steps(name, config, scene)]


def _publication_steps(name: str, config: PostgresConfig, scene: Scene) -> list[SetupStep]:
    """Return how the publication becomes what is wanted. It is made before the slot, which must see it."""
    title = publication_name(name, config)
    wanted = [table for table in scene.tables if takes_table(config, table.schema, table.name)]
    what = f"publication {title}"
    if scene.identity.standby and scene.publication is None:
        problem = "this is a standby: a publication is made on the primary"
        return [
            SetupStep(what=what, statement=_create(name, config, wanted), problem=problem, fix="set up there")
        ]
    if scene.publication is None:
        if not config.tables:
            return [SetupStep(what=what, problem="no table is named", fix="name the tables: `tables:`")]
        step = SetupStep(what=f"{what} for {len(wanted)} tables", statement=_create(name, config, wanted))
        return [_owned(step, wanted, scene.server)]
    if scene.publication.ours:
        steps = _alterations(config, scene.publication, wanted)
        return [_owned(step, wanted, scene.server) for step in steps] or [SetupStep(what=what, done=True)]
    lacking = of_publication(scene.publication, wanted, config, setup="let its owner do it")
    steps = [SetupStep(what=what, problem=finding.message, fix=finding.fix) for finding in lacking]
    return steps or [SetupStep(what=f"{what}, made by somebody else", done=True)]


def _create(name: str, config: PostgresConfig, tables: list[Table]) -> str:
    title = quoted(publication_name(name, config))
    names = ", ".join(qualified(table.schema, table.name) for table in tables)
    publish = ", ".join(published(config))
    return (
        f"CREATE PUBLICATION {title} FOR TABLE {names} "
        f"WITH (publish = '{publish}', publish_via_partition_root = true);\n"
        f"COMMENT ON PUBLICATION {title} IS {literal(COMMENT + name)}"
    )


def _alterations(config: PostgresConfig, publication: Publication, wanted: list[Table]) -> list[SetupStep]:
    """Return what to change in a publication of ours."""
    title = quoted(publication.name)
    carried = {table.title for table in publication.tables}
    statements = []
    new = [
        qualified(table.schema, table.name)
        for table in wanted
        if table.title not in carried and (publication.via_root or table.kind != "p")
    ]
    if new:
        statements.append(f"ALTER PUBLICATION {title} ADD TABLE {', '.join(new)}")
    if wanted:
        names = {table.title for table in wanted}
        old = [
            qualified(table.schema, table.name) for table in publication.tables if table.title not in names
        ]
        if old:
            statements.append(f"ALTER PUBLICATION {title} DROP TABLE {', '.join(old)}")
    if publication.operations != frozenset(published(config)) or not publication.via_root:
        publish = ", ".join(word for word in CHANGES if word in config.operations)
        statements.append(
            f"ALTER PUBLICATION {title} SET (publish = '{publish}', publish_via_partition_root = true)"
        )
    return [SetupStep(what=f"change publication {publication.name}", statement=text) for text in statements]


def _owned(step: SetupStep, tables: list[Table], server: Server) -> SetupStep:
    """Return the step, with the problem that it may not be done by our role, if so."""
    foreign = [table.title for table in tables if not table.owned]
    if foreign:
        problem = f"the role {server.user} does not own {', '.join(foreign[:5])}"
        fix = "let their owner or a superuser run the statement"
        return msgspec.structs.replace(step, problem=problem, fix=fix)
    if not server.creates:
        problem = f"the role {server.user} may not create in this database"
        fix = f"GRANT CREATE ON DATABASE … TO {quoted(server.user)}; or let a superuser run the statement"
        return msgspec.structs.replace(step, problem=problem, fix=fix)
    return step


def _slot_steps(name: str, config: PostgresConfig, scene: Scene) -> list[SetupStep]:
    """Return how the slot comes to be."""
    title, slot = slot_name(name, config), scene.slot
    create = f"SELECT pg_create_logical_replication_slot({literal(title)}, 'pgoutput')"
    if scene.identity.version >= FAILOVER and not scene.identity.standby:
        create = create[:-1] + ", false, false, true)"  # kept in step on standbys that sync slots
    if slot is None:
        return [SetupStep(what=f"replication slot {title}", statement=create)]
    if slot.lost and slot.plugin == "pgoutput":
        what = f"make the slot {title} anew: the server gave it up ({slot.lost})"
        return [SetupStep(what=what, statement=f"{_drop(slot.name)};\n{create}")]
    wrong: list[Finding] = of_slot(slot, scene.identity, setup="")
    if wrong:
        return [SetupStep(what=f"replication slot {title}", problem=wrong[0].message, fix=wrong[0].fix)]
    return [SetupStep(what=f"replication slot {title}", done=True)]


def _drop(slot: str) -> str:
    return f"SELECT pg_drop_replication_slot({literal(slot)})"


async def set_up(name: str, config: PostgresConfig, catalog: Catalog, *, apply: bool) -> list[SetupStep]:
    """Return what the server needs for the source; with `apply`, and nothing wrong, do it."""
    if config.mode == "outbox":
        steps = await outbox_plan(name, config, catalog)
    else:
        steps = plan(name, config, await look(name, config, catalog))
    return await _performed(steps, catalog) if apply else steps


async def take_down(name: str, config: PostgresConfig, catalog: Catalog, *, apply: bool) -> list[SetupStep]:
    """Return what to remove when the source is given up; with `apply`, remove it. Only what is ours."""
    if config.mode == "outbox":
        steps = await outbox_removal(config, catalog)
    else:
        steps = _removal(name, config, await look(name, config, catalog))
    return await _performed(steps, catalog) if apply else steps


def _removal(name: str, config: PostgresConfig, scene: Scene) -> list[SetupStep]:
    """Return how slot and publication are removed. Pure."""
    slot, publication = scene.slot, scene.publication
    steps = []
    if slot is not None and not of_slot(msgspec.structs.replace(slot, lost=""), scene.identity, setup=""):
        step = SetupStep(what=f"drop the replication slot {slot.name}", statement=_drop(slot.name))
        if slot.active_pid is not None:
            fix = f"pause the source {name}, or whoever process {slot.active_pid} is"
            step = msgspec.structs.replace(
                step, problem=f"it is in use by process {slot.active_pid}", fix=fix
            )
        steps.append(step)
    else:
        steps.append(SetupStep(what=f"no slot {slot_name(name, config)} of ours is there", done=True))
    if publication is not None and publication.ours:
        statement = f"DROP PUBLICATION {quoted(publication.name)}"
        steps.append(SetupStep(what=f"drop the publication {publication.name}", statement=statement))
    elif publication is not None:
        steps.append(SetupStep(what=f"the publication {publication.name} is not ours and stays", done=True))
    else:
        steps.append(SetupStep(what=f"no publication {publication_name(name, config)} is there", done=True))
    return steps


async def _performed(steps: list[SetupStep], catalog: Catalog) -> list[SetupStep]:
    """Do the steps in order, none when one has a problem; after one that failed the rest is left."""
    done: list[SetupStep] = []
    for place, step in enumerate(steps):
        if any(one.problem for one in (*steps, *done)):
            return [*done, *steps[place:]]
        done.append(step if step.done else await _perform(step, catalog))
    return done


async def _perform(step: SetupStep, catalog: Catalog) -> SetupStep:
    """Run the statements of a step, which are one transaction; return the step with what came of it."""
    try:
        with mapped(step.what):
            await catalog.sql.execute(step.statement)
    except SourceRejected as error:
        fix = "let a superuser run the statement"
        return msgspec.structs.replace(step, problem=str(error), fix=fix)
    except SourceUnavailable as error:
        holders = "; ".join(str(holder) for holder in await catalog.holders())
        fix = f"end them and do it again: {holders}" if holders else "do it again"
        problem = f"{error}; a slot begins only when every transaction that is open now has ended"
        return msgspec.structs.replace(step, problem=problem, fix=fix)
    return msgspec.structs.replace(step, done=True)


async def setup_steps(name: str, config: PostgresConfig, *, apply: bool) -> list[SetupStep]:
    """Connect and set up (`Source.setup`)."""
    async with connected(name, config) as sql:
        return await set_up(name, config, Catalog(sql), apply=apply)


async def teardown_steps(name: str, config: PostgresConfig, *, apply: bool) -> list[SetupStep]:
    """Connect and take down (`Source.teardown`)."""
    async with connected(name, config) as sql:
        return await take_down(name, config, Catalog(sql), apply=apply)

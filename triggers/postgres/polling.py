"""Reads changes by ordinary statements (`mode: poll`): where a pooler stands between, no stream passes.

Each poll peeks at what comes behind the slot's position, and only after all of it is stored the slot is
moved; `get_changes` would move it before. The server decodes from the slot's position at each poll, so it is
dear for many small transactions; a poll that finds much is followed by the next at once. Rows are read
through a cursor: a large transaction is in memory only in parts. Settings hold for one transaction, because
poolers want it so.
"""

import asyncio
import time
from typing import Final, NoReturn

from triggers.base import SourceContext
from triggers.errors import SourceUnavailable
from triggers.postgres.changes import Batch, Changes
from triggers.postgres.config import PostgresConfig, publication_name
from triggers.postgres.connection import Sql, connected, mapped, quoted
from triggers.postgres.gate import Gate
from triggers.postgres.learning import Learner
from triggers.postgres.pgoutput import Decoder, ProtocolError, Relation
from triggers.postgres.position import format_lsn, parse_lsn
from triggers.postgres.skipping import SkippingAlarm
from triggers.postgres.values import SESSION_SETTINGS

IDLE_EVERY: Final = 10.0
"""Seconds after which a position that moved without changes is stored."""

PEEK_TIMEOUT: Final = 3600.0
"""Seconds that one peek may take: the server reads a whole transaction before it gives the first row."""

_END: Final = """
SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END)::text
"""

# A cursor of SQL and not of the driver, which would leave named statements behind in a pooler.
_PEEK: Final = """
DECLARE peek NO SCROLL CURSOR FOR SELECT data FROM pg_logical_slot_peek_binary_changes(
    $1, $2::text::pg_lsn, $3, 'proto_version', '1', 'publication_names', $4, 'messages', 'true')
"""

_FETCH: Final = "FETCH 1000 FROM peek"

_SETTING: Final = "SELECT set_config($1, $2, true)"
# A database of no encoding would refuse to send as UTF-8 what is none; such rows are rejects of ours.
_BYTES_AS_THEY_ARE: Final = """
SELECT set_config('client_encoding', 'SQL_ASCII', true)
FROM (SELECT current_setting('server_encoding') AS encoding) AS e WHERE encoding = 'SQL_ASCII'
"""


class Polling:
    """One run of polls."""

    def __init__(
        self,
        name: str,
        config: PostgresConfig,
        gate: Gate,
        changes: Changes,
        learner: Learner,
        context: SourceContext,
    ) -> None:
        self._name = name
        self._config = config
        self._gate = gate
        self._changes = changes
        self._learner = learner
        self._context = context
        self._confirmed = 0
        self._stored_at = time.monotonic()

    async def run(self, confirmed: int) -> NoReturn:
        """Poll for ever; the slot stands at `confirmed`."""
        self._confirmed = confirmed
        alarm = SkippingAlarm(self._changes, self._context.report)
        async with connected(self._name, self._config) as sql:
            while True:
                await self._advance(sql)
                with mapped("polling"):
                    more = await self._poll(sql)
                await self._advance(sql)
                alarm.look(time.monotonic())
                if not more:
                    await asyncio.sleep(self._config.poll_every.total_seconds())

    async def _poll(self, sql: Sql) -> bool:
        """Take what is there, store it, and say whether there may be more."""
        changes, position = self._changes, self._gate.position
        decoder = Decoder()
        count = 0
        async with sql.transaction():
            for setting, value in SESSION_SETTINGS.items():
                await sql.execute(_SETTING, setting, value)
            await sql.execute(_BYTES_AS_THEY_ARE)
            end = parse_lsn(await sql.fetchval(_END))
            arguments = (
                position.slot,
                format_lsn(end),
                self._config.poll_changes,
                quoted(publication_name(self._name, self._config)),
            )
            await sql.execute(_PEEK, *arguments)
            while rows := await sql.fetch(_FETCH, timeout=PEEK_TIMEOUT):
                count += len(rows)
                for row in rows:
                    await self._take(decoder, row["data"])
        if changes.in_transaction:
            raise SourceUnavailable("the stream cannot be read: a transaction without an end")
        more = count >= self._config.poll_changes
        if not more:
            changes.idle(end)  # every transaction that was committed before is here
        if changes.due or (changes.moved and (count or self._due())):
            await self._store(changes.whole())
        return more

    async def _take(self, decoder: Decoder, data: bytes) -> None:
        try:
            full = self._changes.take_bytes(data, 0)
            if full is None:
                message = decoder.decode(data)
                if type(message) is Relation:
                    self._changes.relation(message, await self._learner.learn(message))
                    return
                full = self._changes.take(message, data)
        except ProtocolError as error:
            raise SourceUnavailable(f"the stream cannot be read: {error}") from error
        if full:
            await self._store(self._changes.part())

    def _due(self) -> bool:
        return time.monotonic() - self._stored_at >= IDLE_EVERY

    async def _store(self, batch: Batch) -> None:
        await self._gate.changes(batch.items, batch.position, batch.xids, batch.tables)
        self._stored_at = time.monotonic()

    async def _advance(self, sql: Sql) -> None:
        """Move the slot to the end of the last transaction that is stored whole."""
        position = self._gate.position
        if position.lsn <= self._confirmed:
            return
        self._context.reached("postgres.before_confirm")
        with mapped("moving the slot"):
            await sql.execute(
                "SELECT pg_replication_slot_advance($1, $2::text::pg_lsn)",
                position.slot,
                format_lsn(position.lsn),
            )
        self._confirmed = position.lsn
        self._context.reached("postgres.after_confirm")

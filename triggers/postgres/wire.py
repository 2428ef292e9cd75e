"""A replication connection: frames in, status updates out, without a thread.

It speaks the streaming replication protocol (COPY BOTH) on psycopg's low-level connection, which psycopg does
not officially support: the version is pinned, and tests run it against real servers. Nothing here knows what
is in a frame or when something may be confirmed.
"""

import asyncio
import contextlib
import re
import struct
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import psycopg
from psycopg import conninfo
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

from triggers.errors import SourceGap, SourceRejected, SourceUnavailable
from triggers.postgres.config import PostgresConfig
from triggers.postgres.connection import APPLICATION, literal, quoted
from triggers.postgres.pgoutput import EPOCH_MICROSECONDS
from triggers.postgres.position import Position, format_lsn
from triggers.postgres.values import SESSION_SETTINGS

_DURATION: Final = re.compile(r"([0-9]+)(ms|s|min|h|d)").fullmatch
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_STATUS: Final = struct.Struct(">cQQQqB")
_IN_USE: Final = "55006"
_MISSING: Final = "42704"
_REFUSED: Final = frozenset({"42501", "28000", "28P01", "0A000", "42601"})
"""Privileges, logging in, unknown features and syntax: what no further attempt can mend."""
_WAITS: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Pauses while our own last connection lets go of the slot."""


class Wire:
    """A started stream. Every method raises SourceUnavailable once the connection is gone."""

    def __init__(self, connection: psycopg.AsyncConnection, timeout: float) -> None:
        self.timeout = timeout
        """After how many seconds of silence the server takes us for dead; 0: never."""
        self._connection = connection
        self._pgconn = connection.pgconn
        self._heard_at = time.monotonic()
        self._waiting = False

    def frame(self) -> bytes | None:
        """Return the next frame that is already here, or None."""
        try:
            size, data = self._pgconn.get_copy_data(1)
            if size == 0:
                self._pgconn.consume_input()
                size, data = self._pgconn.get_copy_data(1)
        except psycopg.Error as error:
            raise _gone(error) from error
        if size > 0:
            return bytes(data)
        if size == 0:
            return None
        raise _ended(self._pgconn.get_result())

    async def readable(self) -> None:
        """Wait until something comes, or the connection ends."""
        loop = asyncio.get_running_loop()
        arrived = loop.create_future()
        descriptor = self._pgconn.socket
        self._heard_at = time.monotonic()
        self._waiting = True
        loop.add_reader(descriptor, _set, arrived)
        try:
            await arrived
        finally:
            loop.remove_reader(descriptor)
            self._waiting = False

    @property
    def silent_for(self) -> float:
        """For how many seconds we have been waiting for the server."""
        return time.monotonic() - self._heard_at if self._waiting else 0.0

    def status(self, lsn: int, *, ask: bool = False) -> None:
        """Say that everything before `lsn` is stored; `ask` for an answer."""
        now = time.time_ns() // 1000 - EPOCH_MICROSECONDS
        try:
            self._pgconn.put_copy_data(_STATUS.pack(b"r", lsn, lsn, lsn, now, ask))
            self._pgconn.flush()  # what does not fit now goes with the next one
        except psycopg.Error as error:
            raise _gone(error) from error


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


@contextlib.asynccontextmanager
async def streaming(
    name: str, config: PostgresConfig, position: Position, publication: str
) -> AsyncIterator[Wire]:
    """Connect, see that it is still the same server, and start the stream behind `position`.

    Raise SourceUnavailable or SourceRejected.
    """
    async with replication(name, config) as connection:
        await _same_server(connection, position)
        timeout = await _sender_timeout(connection)
        await _take_bytes_as_they_are(connection)
        await _start(connection, position, publication)
        yield Wire(connection, timeout)


@contextlib.asynccontextmanager
async def replication(name: str, config: PostgresConfig) -> AsyncIterator[psycopg.AsyncConnection]:
    """Give a replication connection, for commands of its own (`row`). Raise as `streaming` does."""
    connection = await _connect(name, config)
    try:
        yield connection
    finally:
        await connection.close()


async def _connect(name: str, config: PostgresConfig) -> psycopg.AsyncConnection:
    seconds = config.timeout.total_seconds()
    with _pem_files(config) as files:
        try:
            information = conninfo.make_conninfo(
                config.url.get_secret_value(),
                **files,
                **_password(config),
                replication="database",
                application_name=f"{APPLICATION} {name}"[:63],
                client_encoding=SESSION_SETTINGS["client_encoding"],
                options=_options(config),
                connect_timeout=max(2, round(seconds)),
                keepalives_idle=30,
            )
            async with asyncio.timeout(seconds):
                return await psycopg.AsyncConnection.connect(information, autocommit=True)
        except TimeoutError as error:
            raise SourceUnavailable("connecting for replication: no answer in time") from error
        except psycopg.ProgrammingError as error:
            raise SourceRejected(f"connecting for replication: the url: {error}") from error
        except psycopg.Error as error:
            text = f"connecting for replication: {_line(str(error))}"
            refused = "must be superuser or replication role" in text or "start WAL sender" in text
            raise (SourceRejected if refused else SourceUnavailable)(text) from error


def _password(config: PostgresConfig) -> dict[str, str]:
    return {"password": config.password.get_secret_value()} if config.password is not None else {}


def _options(config: PostgresConfig) -> str:
    """Return the settings of the session, behind those of the url."""
    own = [
        f"-c {setting}={value.replace(' ', '')}"
        for setting, value in SESSION_SETTINGS.items()
        if setting != "client_encoding"
    ]
    given = conninfo.conninfo_to_dict(config.url.get_secret_value()).get("options")
    return " ".join([str(given), *own] if given else own)


@contextlib.contextmanager
def _pem_files(config: PostgresConfig) -> Iterator[dict[str, str]]:
    """Give configured PEM texts as files while connecting: libpq reads nothing else."""
    named = {"sslrootcert": config.ca, "sslcert": config.cert, "sslkey": config.key}
    texts = {parameter: text for parameter, text in named.items() if text is not None}
    if not texts:
        yield {}  # nothing is written where nothing has to be: a container's file system may be read-only
        return
    with tempfile.TemporaryDirectory(prefix="pointsman-") as folder:  # mode 0700
        files = {}
        for parameter, text in texts.items():
            path = Path(folder, parameter)
            path.touch(mode=0o600)
            path.write_text(text.get_secret_value())
            files[parameter] = str(path)
        if config.ca is not None:
            given = conninfo.conninfo_to_dict(config.url.get_secret_value()).get("sslmode")
            files["sslmode"] = str(given or "verify-full")
        yield files


async def _same_server(connection: psycopg.AsyncConnection, position: Position) -> None:
    """See that this is the server that the position was judged for: a name can be moved in between."""
    system_id, timeline, *_ = await row(connection, b"IDENTIFY_SYSTEM")
    found = (system_id, int(timeline))
    if found != (position.system_id, position.timeline):
        raise SourceUnavailable(
            f"the server changed while we connected: it is {found[0]} on timeline {found[1]}, "
            f"it was {position.system_id} on timeline {position.timeline}"
        )


async def _sender_timeout(connection: psycopg.AsyncConnection) -> float:
    """Return `wal_sender_timeout` in seconds."""
    (text,) = await row(connection, b"SHOW wal_sender_timeout")
    match = _DURATION(text)
    return int(match[1]) * _SECONDS[match[2]] if match else 0.0


async def _take_bytes_as_they_are(connection: psycopg.AsyncConnection) -> None:
    """Have a database of no encoding send what it has: it refuses to send as UTF-8 what is none."""
    if connection.pgconn.parameter_status(b"server_encoding") == b"SQL_ASCII":
        try:
            await connection.execute(b"SET client_encoding TO SQL_ASCII")
        except psycopg.Error as error:
            raise _gone(error) from error


async def row(connection: psycopg.AsyncConnection, command: bytes) -> tuple[str, ...]:
    """Return what the server answers to a replication command: one row. Bytes are read as UTF-8."""
    try:
        cursor = await connection.execute(command)
        found = await cursor.fetchone()
    except psycopg.Error as error:
        raise _gone(error) from error
    if found is None:
        raise SourceUnavailable(f"the server gave no answer to {command.decode()}")
    return tuple(value.decode() if isinstance(value, bytes) else str(value) for value in found)


async def _start(connection: psycopg.AsyncConnection, position: Position, publication: str) -> None:
    """Start the stream; wait a little while the slot is still in use by our own last connection."""
    command = (
        f"START_REPLICATION SLOT {quoted(position.slot)} LOGICAL {format_lsn(position.lsn)} "
        f"(proto_version '1', publication_names {literal(quoted(publication))}, messages 'true')"
    ).encode()
    for wait in (*_WAITS, None):
        result = await _execute(connection, command)
        if result.status == ExecStatus.COPY_BOTH:
            return
        if wait is None or _state(result) != _IN_USE:
            raise _ended(result)
        await asyncio.sleep(wait)


async def _execute(connection: psycopg.AsyncConnection, command: bytes) -> PGresult:
    """Run a command that psycopg itself would not let us run: one that answers with COPY BOTH."""
    pgconn = connection.pgconn
    wire = Wire(connection, 0)
    try:
        pgconn.send_query(command)
        pgconn.flush()
        while True:
            pgconn.consume_input()
            if not pgconn.is_busy():
                break
            await wire.readable()
        result = pgconn.get_result()
        if result is None:
            raise SourceUnavailable("the server gave no answer to START_REPLICATION")
        if result.status != ExecStatus.COPY_BOTH:
            while pgconn.get_result() is not None:
                pass
    except psycopg.Error as error:
        raise _gone(error) from error
    return result


def _state(result: PGresult) -> str:
    return (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()


def _ended(result: PGresult | None) -> SourceUnavailable | SourceRejected | SourceGap:
    """Return what it means that the server ended the stream, or did not begin it."""
    if result is None or result.status not in (ExecStatus.FATAL_ERROR, ExecStatus.NONFATAL_ERROR):
        return SourceUnavailable("the server ended the stream")
    state = _state(result)
    text = _line((result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"no reason given").decode())
    if state == _IN_USE:
        return SourceUnavailable(f"{text}: another consumer uses our slot; it must be ours alone")
    if state == _MISSING and "publication" in text:
        return SourceGap(
            f"{text}, where the changes that come next were made: they cannot be read",
            fix="pointsman sources setup, then pointsman sources rewind",
            facts={"reason": "publication-missing"},
        )
    if state in _REFUSED:
        return SourceRejected(text)
    return SourceUnavailable(text)


def _gone(error: psycopg.Error) -> SourceUnavailable:
    return SourceUnavailable(f"the replication connection is gone: {_line(str(error))}")


def _line(text: str) -> str:
    """Return the server's words on one line, cut."""
    return " ".join(text.split())[:400] or "no reason given"

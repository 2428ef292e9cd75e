"""How errors of the driver and of the socket read, and how a connection is described."""

import asyncio
import ssl

import asyncpg
import pytest
from asyncpg.exceptions import ClientConfigurationError

from tests.tables import every_row
from triggers.errors import SourceRejected, SourceUnavailable
from triggers.postgres.begin import branches
from triggers.postgres.config import PostgresConfig
from triggers.postgres.connection import connect_arguments, literal, mapped, pause, qualified, tls_context


def config(**changes):
    return PostgresConfig(kind="postgres", **{"url": "postgresql://anna@h/d", **changes})


def every_error():
    """Return every class of errors that the server may answer with."""
    found = [asyncpg.PostgresError]
    for one in found:
        found += one.__subclasses__()
    return found


def test_no_error_of_the_server_leaves_as_the_drivers():
    kinds = every_error()
    assert len(kinds) > 200
    for kind in kinds:
        with pytest.raises((SourceRejected, SourceUnavailable), match="reading"), mapped("reading"):
            raise kind("it says no")


@every_row(
    ("error", "expected"),
    [
        (asyncpg.InvalidPasswordError("x"), SourceRejected),
        (asyncpg.InvalidCatalogNameError("x"), SourceRejected),
        (asyncpg.InsufficientPrivilegeError("x"), SourceRejected),
        (asyncpg.UndefinedTableError("x"), SourceRejected),
        (asyncpg.UndefinedObjectError("x"), SourceUnavailable),
        (asyncpg.ObjectInUseError("x"), SourceUnavailable),
        (asyncpg.ObjectNotInPrerequisiteStateError("x"), SourceUnavailable),
        (asyncpg.TooManyConnectionsError("x"), SourceUnavailable),
        (asyncpg.CannotConnectNowError("x"), SourceUnavailable),
        (asyncpg.AdminShutdownError("x"), SourceUnavailable),
        (asyncpg.InterfaceError("x"), SourceUnavailable),
        (asyncpg.InternalClientError("x"), SourceUnavailable),
        (ClientConfigurationError("x"), SourceRejected),
        (ConnectionRefusedError(), SourceUnavailable),
        (ConnectionResetError("x"), SourceUnavailable),
        (TimeoutError(), SourceUnavailable),
        (OSError("x"), SourceUnavailable),
        (ssl.SSLError("x"), SourceUnavailable),
        (ssl.SSLCertVerificationError("x"), SourceRejected),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_an_error_says_whether_trying_again_helps(error, expected):
    with pytest.raises(expected, match="connecting"), mapped("connecting"):
        raise error


def test_a_bug_is_not_taken_for_trouble_outside():
    with pytest.raises(KeyError), mapped("reading"):
        raise KeyError("x")


def test_a_connection_says_whose_it_is_and_waits_no_longer_than_told():
    arguments = connect_arguments("orders", config(password="secret", timeout="3s"))
    assert arguments == {
        "dsn": "postgresql://anna@h/d",
        "password": "secret",
        "command_timeout": 3.0,
        "statement_cache_size": 0,
        "server_settings": {"application_name": "pointsman orders"},
    }


def test_tls_texts_that_cannot_be_read_are_refused():
    assert tls_context(config()) is None
    with pytest.raises(SourceRejected, match="not readable PEM"):
        tls_context(config(ca="no PEM"))
    with pytest.raises(SourceRejected, match="not readable PEM"):
        tls_context(config(cert="no PEM", key="nor this"))


@every_row(("text", "written"), [("plain", "'plain'"), ("it's", "'it''s'"), ("a\\b'c", " E'a\\\\b''c'")])
def test_text_is_written_as_sql(text, written):
    assert literal(text) == written


def test_names_are_written_as_sql():
    assert qualified('a"b', "C d") == '"a""b"."C d"'


def test_a_timeline_history_is_read():
    text = "1\t0/3000148\tno recovery target specified\n\n2\t1/A0\tbefore 2026-01-01\n# a comment\n"
    assert branches(text) == {1: 0x3000148, 2: 0x1000000A0}
    assert branches("") == {}


async def test_a_cancellation_counts_even_where_the_waiter_is_woken_in_the_same_instant():
    wake = asyncio.Event()
    waiting = asyncio.create_task(pause(60, wake))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    wake.set()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):  # asyncio.wait_for of Python 3.11 would swallow it
        await waiting


async def test_a_pause_ends_by_time_or_when_woken():
    wake = asyncio.Event()
    await pause(0.001, wake)
    wake.set()
    await pause(60, wake)
    assert not wake.is_set()

"""Plain SQL connections of a PostgreSQL source: how they are made, closed, and how their errors read.

Nothing here knows what is asked. The driver is untyped, so `Sql` says what is used of it; its errors
become those of `triggers.errors` in one place, `mapped`.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

import asyncpg
from pydantic import SecretStr

from triggers.errors import SourceRejected, SourceUnavailable
from triggers.postgres.config import PostgresConfig
from triggers.tls import tls_context as pem_context

APPLICATION: Final = "pointsman"
"""What `pg_stat_activity` shows of us, before the name of the source."""

Row = Mapping[str, Any]
Listener = Callable[[Any, int, str, str], None]
"""Called with the connection, the notifying pid, the channel and the payload."""


class Sql(Protocol):
    """What is used of a connection. Queries without rows to return go through `execute`."""

    async def fetch(
        self,
        query: str,
        *arguments: Any,
        timeout: float | None = None,  # noqa: ASYNC109  the driver's own
    ) -> list[Row]:
        """Return all rows; `timeout` in seconds, where it is not that of every statement."""

    async def fetchrow(self, query: str, *arguments: Any) -> Row | None:
        """Return the first row."""

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """Return the first value of the first row."""

    async def execute(self, query: str, *arguments: Any) -> str:
        """Run a statement; return its tag."""

    def transaction(self, **options: Any) -> AbstractAsyncContextManager[None]:
        """Begin a transaction; leaving it by an exception rolls back."""

    async def copy_from_query(
        self, query: str, *, output: Callable[[bytes], Awaitable[None]], **options: Any
    ) -> str:
        """Run `COPY (query) TO STDOUT` and hand over what comes."""

    async def add_listener(self, channel: str, callback: Listener) -> None:
        """LISTEN."""

    def add_termination_listener(self, callback: Callable[[Any], None]) -> None:
        """Have `callback` called once when the connection ends."""

    def get_server_pid(self) -> int:
        """Return the process id that the server told when we connected."""


_REJECTED: Final[tuple[type[BaseException], ...]] = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.SyntaxOrAccessError,
    asyncpg.FeatureNotSupportedError,
    asyncpg.InvalidNameError,
    asyncpg.ConfigurationLimitExceededError,
    asyncpg.DataError,
)
"""What no further attempt can mend."""


@contextlib.contextmanager
def mapped(what: str) -> Iterator[None]:
    """Turn every error of the driver and of the socket into ours; `what` says what was being done."""
    try:
        yield
    except (
        asyncpg.UndefinedObjectError
    ) as error:  # a slot that went away: the next run judges what that means
        raise SourceUnavailable(f"{what}: {_told(error)}") from error
    except asyncpg.PostgresError as error:
        text = f"{what}: {_told(error)}"
        raise (SourceRejected if isinstance(error, _REJECTED) else SourceUnavailable)(text) from error
    except ssl.SSLCertVerificationError as error:
        raise SourceRejected(f"{what}: the server's certificate: {error}") from error
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise SourceRejected(f"{what}: the url: {error}") from error
    except TimeoutError as error:
        raise SourceUnavailable(f"{what}: no answer in time") from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        raise SourceUnavailable(f"{what}: {error or type(error).__name__}") from error


def _told(error: asyncpg.PostgresError) -> str:
    """Return the server's message with its hint, on one line and cut."""
    parts = (str(error), getattr(error, "hint", None))
    return "; ".join(" ".join(part.split()) for part in parts if part)[:400]


@contextlib.asynccontextmanager
async def connected(name: str, config: PostgresConfig) -> AsyncIterator[Sql]:
    """Connect for a while. Statements are bound by `timeout`; close never waits for a server that is gone.

    Statements are not cached and nothing is set for the session: a pooler may stand between.
    """
    seconds = config.timeout.total_seconds()
    with mapped("connecting"):
        connection = await asyncpg.connect(**connect_arguments(name, config), timeout=seconds)
    try:
        yield connection
    finally:
        with contextlib.suppress(TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close(timeout=1)
        connection.terminate()


def connect_arguments(name: str, config: PostgresConfig) -> dict[str, Any]:
    """Return what asyncpg needs to connect."""
    arguments: dict[str, Any] = {
        "dsn": config.url.get_secret_value(),
        "command_timeout": config.timeout.total_seconds(),
        "statement_cache_size": 0,
        "server_settings": {"application_name": application_name(name)},
    }
    if config.password is not None:
        arguments["password"] = config.password.get_secret_value()
    context = tls_context(config)
    if context is not None:
        arguments["ssl"] = context
    return arguments


def application_name(name: str) -> str:
    """Return what the server shows of a source's connections."""
    return f"{APPLICATION} {name}"[:63]


def tls_context(config: PostgresConfig) -> ssl.SSLContext | None:
    """Return how to prove the server and ourselves, where PEM texts are configured; None: as the url says.

    Raise SourceRejected for texts that cannot be read.
    """
    if config.ca is None and config.cert is None:
        return None
    context = pem_context("", ca=config.ca, cert=config.cert, key=config.key)
    context.check_hostname = _mode(config.url) not in ("require", "verify-ca")
    return context


def _mode(url: SecretStr) -> str:
    """Return the sslmode of a url; with a CA and nothing said, the strictest."""
    return parse_qs(urlsplit(url.get_secret_value()).query).get("sslmode", ["verify-full"])[-1]


def quoted(name: str) -> str:
    """Return an identifier as it is written in SQL."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, table: str) -> str:
    """Return a table's name as it is written in SQL."""
    return f"{quoted(schema)}.{quoted(table)}"


def literal(text: str) -> str:
    """Return text as it is written in SQL, for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'" if "\\" not in text else _escaped(text)


def _escaped(text: str) -> str:
    return " E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


async def pause(seconds: float, wake: asyncio.Event) -> None:
    """Wait until woken, at most so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()
    wake.clear()

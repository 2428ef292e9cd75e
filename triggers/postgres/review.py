"""Says what is wrong or doubtful in a configuration, without asking anybody. Pure."""

from typing import Final
from urllib.parse import parse_qs, urlsplit

from triggers.base import Finding
from triggers.postgres.config import PostgresConfig, takes_table

_LOOPBACK: Final = ("", "localhost", "127.0.0.1", "::1")
_UNPROVEN: Final = ("disable", "allow", "prefer", "require")
"""Values of sslmode that do not prove which server answers."""


def url_problem(url: str) -> str:
    """Return what is wrong with a url, "" when nothing is. Never quotes it: it may hold a password."""
    try:
        parts = urlsplit(url)
        parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        return "it cannot be read as a url; write postgresql://user:password@host:port/database"
    if parts.scheme not in ("postgresql", "postgres"):
        return "it does not begin with postgresql://"
    return ""


def review(config: PostgresConfig) -> list[Finding]:
    """Return the findings, errors first."""
    url = config.url.get_secret_value()
    problem = url_problem(url)
    if problem:
        return [
            Finding(
                severity="error",
                code="bad-url",
                message=f"`url`: {problem}",
                fix="url: postgresql://user:password@host:5432/database?sslmode=verify-full",
                field="url",
            )
        ]
    return [*_of_tls(config, url), *_of_columns(config)]


def _of_tls(config: PostgresConfig, url: str) -> list[Finding]:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    mode = query.get("sslmode", ["prefer" if config.ca is None else "verify-full"])[-1]
    local = (parts.hostname or "") in _LOOPBACK and "host" not in query
    if local or mode not in _UNPROVEN:
        return []
    return [
        Finding(
            severity="warning",
            code="server-not-proven",
            message=f"sslmode {mode}: whoever answers at this address is believed and gets the password",
            fix="add sslmode=verify-full to the url, and `ca:` where the server's authority is your own",
            field="url",
        )
    ]


def _of_columns(config: PostgresConfig) -> list[Finding]:
    """A column filter of a table that is not taken is most likely a slip of the pen."""
    return [
        Finding(
            severity="warning",
            code="filter-without-table",
            message=f"`{field}` names {table}, which `tables` and `exclude_tables` leave out",
            fix="write the table as it stands in `tables`",
            field=field,
        )
        for field, tables in (("columns", config.columns), ("exclude_columns", config.exclude_columns))
        for table in tables
        if not takes_table(config, *table.split(".", 1))
    ]

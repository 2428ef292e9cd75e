"""One thing that the doctor looked at, and what was found. Values only."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

Section = Literal[
    "process", "files", "store", "configuration", "network", "sources", "connections", "instance"
]
Severity = Literal["ok", "warning", "error"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A finding, or that something is fine (`ok`, then without `code` and `fix`).

    `what` names the thing inside its section: a source, a port, a directory. `code` is a stable slug.
    """

    section: Section
    what: str
    severity: Severity = "ok"
    code: str = ""
    message: str
    fix: str = ""


def fine(section: Section, what: str, message: str) -> Row:
    """Return that something is as it should be."""
    return Row(section=section, what=what, message=message)


def doubtful(section: Section, what: str, code: str, message: str, fix: str) -> Row:
    """Return a warning."""
    return Row(section=section, what=what, severity="warning", code=code, message=message, fix=fix)


def wrong(section: Section, what: str, code: str, message: str, fix: str) -> Row:
    """Return an error."""
    return Row(section=section, what=what, severity="error", code=code, message=message, fix=fix)


def page(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the rows as the API and `-o json` show them."""
    return {"items": [msgspec.structs.asdict(row) for row in rows], "next": ""}


def sound(rows: Sequence[Row]) -> bool:
    """Say whether nothing was found."""
    return all(row.severity == "ok" for row in rows)

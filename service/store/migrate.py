"""Runs numbered migrations: each in one transaction together with the row that says it was done.

A store of a newer version is refused, so is one whose history differs from ours; a migration that was
killed half-way left nothing behind and runs again. This module knows no driver: a store hands itself in.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final, Literal, Protocol

from service.errors import Invalid, Problem

_FILE: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered file of SQL; `digest` is the SHA-256 of its text, in hex."""

    number: int
    name: str
    text: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a store says of a migration that it has."""

    number: int
    name: str
    digest: str


class Migrated(Protocol):
    """A store that can be migrated."""

    def applied(self) -> Sequence[Applied]:
        """Return the migrations it has, by number. Raise Invalid when it is not ours."""

    def apply(self, migration: Migration, reached: Callable[[str], None]) -> None:
        """Run one migration and record it, in one transaction, with the points inside and before_commit."""


def read(dialect: Literal["sqlite", "postgres"]) -> tuple[Migration, ...]:
    """Return this version's migrations, by number."""
    found = []
    for file in (resources.files("service.store") / "sql" / dialect).iterdir():
        match = _FILE.fullmatch(file.name)
        if match is not None:
            found.append(migration(int(match[1]), match[2], file.read_text("utf-8")))
    return tuple(sorted(found, key=lambda one: one.number))


def migration(number: int, name: str, text: str) -> Migration:
    """Return a migration with the digest of its text."""
    return Migration(number=number, name=name, text=text, digest=hashlib.sha256(text.encode()).hexdigest())


def migrate(database: Migrated, migrations: Sequence[Migration], *, reached: Callable[[str], None]) -> int:
    """Bring a store to the newest of these migrations and return how many ran.

    Raise Invalid, naming both versions, when the store is newer, or when it was made by other migrations
    than ours: nothing is run then.
    """
    applied = database.applied()
    problems = differences(applied, migrations)
    if problems:
        raise Invalid(problems)
    missing = migrations[len(applied) :]
    for one in missing:
        reached("migration.before")
        database.apply(one, reached)
        reached("migration.after_commit")
    return len(missing)


def differences(applied: Sequence[Applied], migrations: Sequence[Migration]) -> list[Problem]:
    """Return why a store with these migrations is none of ours: it is newer, or other ones made it."""
    return [*_newer(applied, migrations), *_differing(applied, migrations)]


def _newer(applied: Sequence[Applied], migrations: Sequence[Migration]) -> list[Problem]:
    ours = migrations[-1].number if migrations else 0
    theirs = applied[-1].number if applied else 0
    if theirs <= ours:
        return []
    return [
        Problem(
            message=f"the data is of version {theirs}, this program knows versions up to {ours}",
            code="store-newer",
            fix="start the newer program again, or restore a backup from before the upgrade",
        )
    ]


def _differing(applied: Sequence[Applied], migrations: Sequence[Migration]) -> list[Problem]:
    problems = []
    for place, (had, ours) in enumerate(zip(applied, migrations, strict=False), start=1):
        if (had.number, had.digest) != (ours.number, ours.digest):
            problems.append(
                Problem(
                    message=f"migration {place} of the data ({had.number:04} {had.name})"
                    f" is not this program's ({ours.number:04} {ours.name})",
                    code="store-differs",
                    fix="start the program that made this data",
                )
            )
    return problems

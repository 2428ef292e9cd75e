"""The statements behind names, rulesets, pinned files and small named values."""

import hashlib
import sqlite3
from collections.abc import Mapping

from service.errors import NotFound
from service.store.sqlite.ledger import Unit


def number(unit: Unit, kind: str, name: str, was: str | None) -> int:
    """Return the number of a name; a name that was another one's takes that one's number."""
    execute = unit.connection.execute
    find = "SELECT number FROM names WHERE kind = ? AND name = ?"
    row = execute(find, (kind, name)).fetchone()
    if row is not None:
        return int(row[0])
    if was is not None:
        row = execute(find, (kind, was)).fetchone()
        if row is not None:
            execute("UPDATE names SET name = ? WHERE kind = ? AND number = ?", (name, kind, row[0]))
            return int(row[0])
    row = execute(
        "INSERT INTO names SELECT ?1, coalesce(max(number), 0) + 1, ?2 FROM names WHERE kind = ?1"
        " RETURNING number",
        (kind, name),
    ).fetchone()
    return int(row[0])


def names(connection: sqlite3.Connection, kind: str) -> dict[int, str]:
    """Return the names of a kind by number."""
    return dict(connection.execute("SELECT number, name FROM names WHERE kind = ?", (kind,)))


def put_ruleset(unit: Unit, document: bytes, files: Mapping[str, bytes]) -> int:
    """Keep a ruleset; its digest is over the document and, by name, the digests of its files."""
    execute = unit.connection.execute
    digests = {name: hashlib.sha256(data).digest() for name, data in files.items()}
    whole = hashlib.sha256(hashlib.sha256(document).digest())
    for name in sorted(digests):
        whole.update(hashlib.sha256(name.encode()).digest() + digests[name])
    digest = whole.digest()
    row = execute("SELECT number FROM rulesets WHERE digest = ?", (digest,)).fetchone()
    if row is not None:
        return int(row[0])
    row = execute(
        "INSERT INTO rulesets (digest, document) VALUES (?, ?) RETURNING number", (digest, document)
    ).fetchone()
    for name, data in files.items():
        execute("INSERT OR IGNORE INTO files VALUES (?, ?)", (digests[name], data))
        execute("INSERT INTO pinned VALUES (?, ?, ?)", (row[0], name, digests[name]))
    unit.bytes += len(document) + sum(map(len, files.values()))
    return int(row[0])


def get_ruleset(connection: sqlite3.Connection, ruleset: int) -> tuple[bytes, dict[str, bytes]]:
    """Return a ruleset's document and files."""
    row = connection.execute("SELECT document FROM rulesets WHERE number = ?", (ruleset,)).fetchone()
    if row is None:
        raise NotFound(f"there is no ruleset {ruleset}")
    files = connection.execute(
        "SELECT p.name, f.data FROM pinned p JOIN files f ON f.digest = p.digest WHERE p.ruleset = ?",
        (ruleset,),
    )
    return row[0], dict(files)


def put(unit: Unit, name: str, value: bytes | None) -> None:
    """Keep or forget a value."""
    if value is None:
        unit.connection.execute("DELETE FROM keeps WHERE name = ?", (name,))
    else:
        unit.connection.execute("INSERT OR REPLACE INTO keeps VALUES (?, ?)", (name, value))


def get(connection: sqlite3.Connection, prefix: str) -> dict[str, bytes]:
    """Return the values whose names start with the prefix."""
    rows = connection.execute(
        "SELECT name, value FROM keeps WHERE name >= ?1 AND substr(name, 1, length(?1)) = ?1", (prefix,)
    )
    return dict(rows)

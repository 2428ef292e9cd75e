"""What the store knows of logins, read with sqlite3 and a key ring alone, while the service lies dead."""

import base64
import re
import sqlite3
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.crash import history

LOGIN: Final = "login/market"
_NONCE: Final = 12


class Kept(msgspec.Struct, frozen=True):
    """Which token of which login is kept: the number that the market gave it. 0, 0: none."""

    login: int = 0
    number: int = 0


def kept(data: Path) -> Kept:
    """Return which refresh token would be used next. Raise ValueError where it cannot be read."""
    database = data / "pointsman.db"
    if not database.exists() or not database.stat().st_size:
        return Kept()
    connection = history.connect(database)
    try:
        sealed = _value(connection, LOGIN)
    finally:
        connection.close()
    if sealed is None:
        return Kept()
    record = msgspec.json.decode(opened(sealed, keys(data / "seal.key")))
    _, login, number, _ = record["refresh"].split(".")
    return Kept(int(login), int(number))


def _value(connection: sqlite3.Connection, name: str) -> str | None:
    (there,) = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'keeps'").fetchone()
    if not there:
        return None
    row = connection.execute("SELECT value FROM keeps WHERE name = ?", (name,)).fetchone()
    return bytes(row[0]).decode() if row is not None else None


def keys(path: Path) -> dict[str, bytes]:
    """Return the keys of a ring by their names. Raise ValueError for anything but whole lines."""
    found = {}
    for line in path.read_text("ascii").splitlines():
        match = re.fullmatch(r"([0-9a-f]{8}) ([A-Za-z0-9+/]{43}=)", line)
        if match is None:
            raise ValueError(f"{path.name}: no key: {line[:12]!r}")
        found[match.group(1)] = base64.b64decode(match.group(2))
    if not found:
        raise ValueError(f"{path.name}: no key at all")
    return found


def opened(sealed: str, ring: dict[str, bytes]) -> bytes:
    """Return what was sealed. Raise ValueError or cryptography's InvalidTag where it cannot be opened."""
    form, name, coded = sealed.split(".")
    if form != "pm1" or name not in ring:
        raise ValueError(f"sealed as {form} with key {name}, and the ring has {', '.join(ring)}")
    raw = base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4))
    purpose = b"pointsman sealed secret, form 1, key " + name.encode()
    return AESGCM(ring[name]).decrypt(raw[:_NONCE], raw[_NONCE:], purpose)

"""Sealed secrets: text that only the holder of a key can read, so that it can stand in a file.

AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits; a sealed text names the key that it was sealed
with, so that keys can change. A key ring is a file of its own, readable by its owner alone, the newest key
first: new texts are sealed with that one, older keys only open. Nothing here knows a configuration.
"""

import base64
import binascii
import hashlib
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.replacing import write_private

RING_FILE: Final = "pointsman.key"
"""The key ring of sealed secrets, beside the configuration file unless POINTSMAN_SEAL_KEY names another."""

RING_VARIABLE: Final = "POINTSMAN_SEAL_KEY"
SEALED: Final = re.compile(r"pm1\.([0-9a-f]{8})\.([A-Za-z0-9_-]{38,120000})")
"""A sealed text: the form's number, the key's id, nonce and ciphertext in base64url without padding."""

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_PURPOSE: Final = b"pointsman sealed secret, form 1, key "
_LINE: Final = re.compile(r"([0-9a-f]{8}) ([A-Za-z0-9+/]{43}=)")


class Unsealable(Exception):
    """A key ring or a sealed text cannot be used; `fix` says what to do. Repeats nothing secret."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Ring:
    """Keys by their id, the newest first."""

    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def newest(self) -> str:
        """The id of the key that seals."""
        return next(iter(self.keys))

    def seal(self, text: str) -> str:
        """Return a text sealed with the newest key; sealed twice, it looks different each time."""
        name = self.newest
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self.keys[name]).encrypt(nonce, text.encode(), _PURPOSE + name.encode())
        return f"pm1.{name}.{base64.urlsafe_b64encode(nonce + sealed).rstrip(b'=').decode()}"

    def open(self, sealed: str) -> str:
        """Return the text that was sealed. Raise Unsealable."""
        found = SEALED.fullmatch(sealed)
        if found is None:
            raise Unsealable("this is no sealed text", "make one: pointsman secrets seal")
        name, coded = found.groups()
        key = self.keys.get(name)
        if key is None:
            raise Unsealable(
                f"it was sealed with key {name}, and the key ring has {', '.join(self.keys)}",
                "use the key ring that it was made with, or seal the secret again: pointsman secrets seal",
            )
        try:
            raw = base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4))
            text = AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _PURPOSE + name.encode())
            return text.decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise Unsealable(
                "the sealed text was changed or cut", "seal the secret again: pointsman secrets seal"
            ) from None


def ring_path(environment: Mapping[str, str], folder: Path) -> Path:
    """Return where the key ring of a configuration in this folder is."""
    said = environment.get(RING_VARIABLE)
    return Path(said) if said else folder / RING_FILE


def read_ring(path: Path) -> Ring:
    """Read a key ring. Raise Unsealable with what is wrong with it."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > 65_536:
            raise Unsealable(f"{path} is no key ring", "make one: pointsman secrets new-key")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise Unsealable(f"others may read or write the key ring {path}", f"chmod 600 {path}")
        lines = path.read_text("ascii").split("\n")
    except OSError as error:
        raise Unsealable(
            f"the key ring {path} cannot be read: {error.strerror}",
            f"make one: pointsman secrets new-key, or name the one in use with {RING_VARIABLE}",
        ) from error
    except UnicodeDecodeError:
        lines = ["not ASCII"]
    keys: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        key = base64.b64decode(found.group(2)) if found else b""
        if found is None or _id(key) != found.group(1):
            raise Unsealable(f"line {number} of the key ring {path} is no key", "restore it from its backup")
        keys[found.group(1)] = key
    if not keys:
        raise Unsealable(f"the key ring {path} is empty", "make a key: pointsman secrets new-key")
    return Ring(keys)


def add_key(path: Path) -> Ring:
    """Put a new key first in a ring, which is made if it is not there. Raise Unsealable for a broken one."""
    older = dict(read_ring(path).keys) if path.exists() else {}
    key = secrets.token_bytes(KEY_BYTES)
    ring = Ring({_id(key): key, **older})
    write_private(
        path, "".join(f"{name} {base64.b64encode(one).decode()}\n" for name, one in ring.keys.items())
    )
    return ring


def reseal(text: str, ring: Ring) -> tuple[str, int]:
    """Return a text with everything sealed in it sealed with the newest key, and how many were not yet."""
    count = 0

    def again(found: re.Match[str]) -> str:
        nonlocal count
        if found.group(1) == ring.newest:
            return found.group()
        count += 1
        return ring.seal(ring.open(found.group()))

    return SEALED.sub(again, text), count


def _id(key: bytes) -> str:
    return hashlib.sha256(b"pointsman key " + key).hexdigest()[:8]

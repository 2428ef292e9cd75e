"""Tokens of the admin API: made, listed and revoked; kept as hashes, shown once.

The first token is made at the first start and lies in the data directory, readable for its owner alone; the
command line reads it there. Roles: admin may do everything, operator may retry, discard and release, reader
may look.
"""

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Any, Final, Literal, get_args

import msgspec

from service.errors import Conflict, Invalid, NotFound, Problem, nearest
from service.replacing import write_private
from service.store.base import Store

Role = Literal["reader", "operator", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""From least to most: each may do what the one before may."""

TOKEN_FILE: Final = "admin.token"  # noqa: S105 - the name of a file, not a secret
"""Where the first token lies in the data directory."""

PREFIX: Final = "pmt_"
FIRST: Final = "first"
"""Name of the token that is made at the first start."""


class Token(msgspec.Struct, frozen=True):
    """What is kept of a token: never the token itself."""

    role: Role
    digest: str
    made_at: int
    made_by: str = ""


class Tokens:
    """The tokens of one instance, in memory for checking and in the store for keeps."""

    def __init__(self, store: Store, data: Path) -> None:
        self._store = store
        self._file = data / TOKEN_FILE
        self._tokens: dict[str, Token] = {}

    async def load(self, now: int) -> None:
        """Read the tokens; make the first one where there is none or its file is gone."""
        kept = await self._store.get("token/")
        self._tokens = {
            name.removeprefix("token/"): msgspec.json.decode(value, type=Token)
            for name, value in kept.items()
        }
        if FIRST not in self._tokens or not self._file.exists():
            token = await self._keep(FIRST, "admin", now, "")
            write_private(self._file, token + "\n")

    def role_of(self, token: str) -> tuple[str, Role] | None:
        """Return the name and role of a token, None when it is none of ours. Constant time per token."""
        digest = _digest(token)
        found = None
        for name, kept in self._tokens.items():
            if hmac.compare_digest(kept.digest, digest):
                found = (name, kept.role)
        return found

    def list_tokens(self) -> dict[str, Any]:
        """Return every token's name and role, never the token."""
        from service.usecases.messages import instant

        items = [
            {"name": name, "role": kept.role, "made_at": instant(kept.made_at), "made_by": kept.made_by}
            for name, kept in sorted(self._tokens.items())
        ]
        return {"items": items, "next": ""}

    async def make(self, name: str, role: str, *, now: int, by: str) -> dict[str, Any]:
        """Make a token and return it: this once and never again. Raise Invalid, or Conflict."""
        problems = []
        if role not in ROLES:
            near = nearest(role, ROLES)
            problems.append(
                Problem(
                    message="no such role",
                    code="unknown-role",
                    pointer="/role",
                    found=role[:80],
                    fix=f"did you mean {near}?" if near else f"one of {', '.join(ROLES)}",
                )
            )
        if not (0 < len(name) <= 63 and name.replace("-", "").replace("_", "").isalnum() and name.isascii()):
            problems.append(
                Problem(
                    message="a name is letters, digits, - and _, at most 63",
                    code="bad-name",
                    pointer="/name",
                    found=name[:80],
                )
            )
        if problems:
            raise Invalid(problems)
        if name in self._tokens:
            raise Conflict(f"there is a token {name} already; revoke it first")
        token = await self._keep(name, msgspec.convert(role, Role), now, by)
        return {"name": name, "role": role, "token": token}

    async def revoke(self, name: str) -> dict[str, Any]:
        """Make a token worthless at once. Raise NotFound."""
        if name not in self._tokens:
            near = nearest(name, list(self._tokens))
            raise NotFound(f"there is no token {name}" + (f"; did you mean {near}?" if near else ""))
        if name == FIRST:
            raise Conflict(f"the first token is replaced, not revoked: delete {self._file.name} and restart")
        await self._store.put(f"token/{name}", None)
        del self._tokens[name]
        return {"name": name, "revoked": True}

    async def _keep(self, name: str, role: Role, now: int, by: str) -> str:
        token = PREFIX + secrets.token_urlsafe(32)
        kept = Token(role, _digest(token), now, by)
        await self._store.put(f"token/{name}", msgspec.json.encode(kept))
        self._tokens[name] = kept
        return token


def read_token(data: Path) -> str | None:
    """Return the first token of an instance from its data directory, None when it cannot be read."""
    try:
        return (data / TOKEN_FILE).read_text("ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _digest(token: str) -> str:
    """Hash a token. SHA-256 is enough: a token is 256 random bits, not a password."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

"""A token with its times, and the form in which a login's tokens are kept over a restart. Values only."""

import hashlib
from typing import Final

import msgspec
from typing_extensions import override

from actions.auth.answers import Granted
from actions.auth.settings import OAuth2Settings
from actions.origins import origin_of

EARLY: Final = 10.0
"""Seconds before its end at which a token is replaced, or a tenth of its life where that is more."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An access token. Times in wall-clock seconds; None: the server did not say when it ends."""

    access: str
    fetched_at: float
    expires_at: float | None = None
    refresh_at: float | None = None
    scopes: tuple[str, ...] | None = None
    note: str = ""

    @override
    def __repr__(self) -> str:
        return f"Token(fetched_at={self.fetched_at}, expires_at={self.expires_at}, scopes={self.scopes})"

    def usable(self, now: float) -> bool:
        """Tell whether it has not ended."""
        return self.expires_at is None or now < self.expires_at

    def due(self, now: float) -> bool:
        """Tell whether a new one should be on its way."""
        return self.refresh_at is not None and now >= self.refresh_at


def make_token(granted: Granted, now: float, jitter: float) -> Token:
    """Return the token that was granted; `jitter` from 0 to 1 keeps many instances from asking at once."""
    expires_at = refresh_at = None
    if granted.expires_in is not None:
        life = granted.expires_in
        early = min(max(EARLY, life / 10) * (1 + jitter / 5), life / 2)  # a short life is used by half
        expires_at = now + life
        refresh_at = expires_at - early
    return Token(
        access=granted.access_token,
        fetched_at=now,
        expires_at=expires_at,
        refresh_at=refresh_at,
        scopes=granted.scopes,
        note=granted.note,
    )


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a login: its newest refresh token, and the access token while it lasts."""

    of: str  # which login this belongs to, see `fingerprint`
    refresh: str
    token: Token | None = None

    @override
    def __repr__(self) -> str:
        return f"Record(of={self.of!r}, token={self.token!r})"


def encode(record: Record) -> bytes:
    """Return a record as bytes. They are secret."""
    return msgspec.json.encode(record)


def decode(kept: bytes | None, of: str) -> Record | None:
    """Return a kept record; None for nothing, for junk, and for what belongs to another login."""
    if kept is None:
        return None
    try:
        record = msgspec.json.decode(kept, type=Record)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return record if record.of == of else None


def fingerprint(settings: OAuth2Settings) -> str:
    """Return which login this is: tokens got for another client, user or server are not ours.

    A refresh token in the configuration is part of it: a new one there replaces what has grown of the old.
    So are the parameters that URLs are made of, and where refresh tokens go: they go to who gave them (S12).
    """
    templates = settings.templates
    values = templates.values.items() if templates else ()
    elsewhere = origin_of(settings.refresh_url) not in ("", origin_of(settings.token_url))
    parts = (
        settings.grant,
        settings.token_url or settings.discovery,
        settings.client_id,
        settings.username,
        settings.refresh_token,
        *settings.scopes,
        *sorted(f"{name}={value}" for name, value in values if templates and value not in templates.hidden),
        *[origin_of(settings.refresh_url)] * elsewhere,
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]

"""Credentials that a request carries as they are, and the list of what never enters a message.

Basic, bearer and API key are schemes like signatures are. The deny list is wider than what verification
consumed: a request may bring secrets that nobody asked for. Pure.
"""

import base64
import binascii
import functools
import hmac
import re
from collections.abc import Sequence
from typing import Final

from typing_extensions import override

from triggers.keys import BadSecret, shared_key
from triggers.signatures import Outgoing, Received, Refusal, Scheme, form_pairs, octets

_DENIED: Final = re.compile(
    r"(^|[-.])("
    r"o?auth(orization|entication)?|(set-)?cookie2?|jwt|saml"
    r"|[a-z]*tokens?|[a-z]*secrets?|pass(word|wd|phrase|code)?|pwd|credentials?"
    r"|signatures?|sig|hmac|session(-?(id|key))?"
    r"|api-?keys?"
    r"|(functions|subscription|auth|shared|access|account|master|private|webhook|app|client|service)-?key"
    r")($|[-.0-9])"
    r"|^(referer|x-original-(url|uri)|x-rewrite-url|x-forwarded-(url|uri))$"  # may repeat the query
)
"""Names of headers and query parameters that hold credentials, with `-` or `_` between their words."""


@functools.lru_cache(maxsize=4096)
def is_credential(name: str) -> bool:
    """Say whether a header or query parameter of this lower-case name must never enter a message."""
    return _DENIED.search(name.replace("_", "-")) is not None


class Basic(Scheme, frozen=True, kw_only=True):
    """User name and password (RFC 7617). The secrets are the passwords."""

    username: str

    @property
    @override
    def reads_headers(self) -> frozenset[str]:
        return frozenset({"authorization"})

    @override
    def key(self, secret: str) -> bytes:
        return self.username.encode("utf-8") + b":" + shared_key(secret)

    @override
    def refusal(self, received: Received, keys: Sequence[bytes]) -> Refusal | None:
        given = _authorization(received, "basic")
        if given is None:
            return "missing-credentials"
        try:
            offered = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            return "bad-credentials"
        return _compare(offered, keys)

    @override
    def sign(self, outgoing: Outgoing, secret: str) -> dict[str, str]:
        return {"authorization": "Basic " + base64.b64encode(self.key(secret)).decode("ascii")}


class Bearer(Scheme, frozen=True, kw_only=True):
    """A token in `Authorization: Bearer`, or also in the query (`access_token`) when that is allowed."""

    in_query: bool = False

    @property
    @override
    def reads_headers(self) -> frozenset[str]:
        return frozenset({"authorization"})

    @property
    @override
    def reads_query(self) -> frozenset[str]:
        return frozenset({"access_token"})

    @override
    def refusal(self, received: Received, keys: Sequence[bytes]) -> Refusal | None:
        given = _authorization(received, "bearer")
        if given is None and self.in_query:
            given = _from_query(received.url, "access_token")
        if given is None:
            return "missing-credentials"
        return _compare(given, keys)

    @override
    def sign(self, outgoing: Outgoing, secret: str) -> dict[str, str]:
        return {"authorization": f"Bearer {_text(secret)}"}


class ApiKey(Scheme, frozen=True, kw_only=True):
    """A shared token in a header of its own or in a query parameter: exactly one of them is named."""

    header: str = ""
    query: str = ""

    @property
    @override
    def reads_headers(self) -> frozenset[str]:
        return frozenset({self.header} - {""})

    @property
    @override
    def reads_query(self) -> frozenset[str]:
        return frozenset({self.query} - {""})

    @override
    def refusal(self, received: Received, keys: Sequence[bytes]) -> Refusal | None:
        if self.header:
            text = received.headers.get(self.header)
            given = octets(text) if text else None
        else:
            given = _from_query(received.url, self.query)
        if not given:
            return "missing-credentials"
        return _compare(given, keys)

    @override
    def sign(self, outgoing: Outgoing, secret: str) -> dict[str, str]:
        if not self.header:
            raise BadSecret("the key goes into the URL's query, not into a header")
        return {self.header: _text(secret)}


def _text(secret: str) -> str:
    if not secret.strip():
        raise BadSecret("the secret is empty")
    return secret


def _authorization(received: Received, scheme: str) -> bytes | None:
    text = received.headers.get("authorization")
    if not text:
        return None
    named, _, value = text.partition(" ")
    return octets(value.strip(" ")) if named.lower() == scheme and value else None


def _from_query(url: str, name: str) -> bytes | None:
    """Return a parameter's value; None when it is absent or stands more than once."""
    query = octets(url).partition(b"?")[2].partition(b"#")[0]
    found = [value for key, value in form_pairs(query) if key == octets(name)]
    return found[0] if len(found) == 1 else None


def _compare(offered: bytes, keys: Sequence[bytes]) -> Refusal | None:
    """Compare with every key, also after one fitted: the time tells nothing."""
    matched = False
    for key in keys:
        matched |= hmac.compare_digest(key, offered)
    return None if matched else "bad-credentials"

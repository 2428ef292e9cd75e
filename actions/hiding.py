"""Takes a connection's credentials out of what others say, who may repeat what a request carried. Pure.

Only what people read goes through here; what rules work with stays as it came. A secret of fewer than four
characters is no secret, and would garble everything.
"""

import base64
import functools
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

import msgspec

from actions.base import Answer

MASK: Final = "***"
_MASK: Final = MASK.encode()
SHORTEST: Final = 4
LOOKED_AT: Final = 64 * 1024
"""Bytes of a body that are looked at; nobody is shown more, and the rest is left out."""


def hidden(text: str, secrets: Iterable[str]) -> str:
    """Return text without any of these secrets, in whatever spelling they are usually repeated."""
    for secret in secrets:
        for spelling, _ in _spellings(secret):
            text = text.replace(spelling, MASK)
    return text


def without_secrets(answer: Answer, secrets: tuple[str, ...], most: int = LOOKED_AT) -> Answer:
    """Return an answer as people may see it. Of a body longer than `most` the rest is gone."""
    if not secrets:
        return answer
    body = answer.body[:most]
    for secret in secrets:
        for _, spelling in _spellings(secret):
            body = body.replace(spelling, _MASK)
    headers = answer.headers
    together = "\n".join([value for _, value in headers])
    if hidden(together, secrets) != together:
        headers = tuple((name, hidden(value, secrets)) for name, value in headers)
    cut = len(answer.body) > most
    if not cut and body == answer.body and headers is answer.headers:
        return answer
    return msgspec.structs.replace(answer, headers=headers, body=body, truncated=cut or answer.truncated)


@functools.lru_cache(maxsize=256)
def _spellings(secret: str) -> tuple[tuple[str, bytes], ...]:
    """Return how a secret is written as it is, in URLs, in JSON and in base64, the longest first."""
    if len(secret) < SHORTEST:
        return ()
    encoded = base64.b64encode(secret.encode("utf-8", "replace")).decode("ascii")
    quoted = msgspec.json.encode(secret.encode("utf-8", "replace").decode())[1:-1].decode()
    found = {secret, quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace")}
    found |= {quoted, quoted.replace("/", "\\/"), encoded, encoded.rstrip("=")}
    return tuple((one, one.encode("utf-8", "replace")) for one in sorted(found, key=len, reverse=True))

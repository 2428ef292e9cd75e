"""Which names and values of a sample are credentials, or may be: they never come into a description. Pure."""

import re
from typing import Final

_SECRET: Final = (
    "apikey", "appkey", "accesskey", "authkey", "subscriptionkey", "secretkey", "privatekey", "functionskey",
    "token", "secret", "password", "passwd", "passphrase", "signature", "hmac", "credential", "credentials",
    "authorization", "authentication", "jwt", "sessionid", "session", "auth",
)  # fmt: skip
_PLAIN: Final = ("pagetoken", "nexttoken", "continuationtoken", "synctoken", "skiptoken", "cursortoken")
"""Names of what leads from page to page."""
_OF_QUERY: Final = frozenset({"key", "sig", "sid", "pwd", "code"})
_SEPARATORS: Final = re.compile(r"[^a-z0-9]")
_PIECES: Final = re.compile(r"[^A-Za-z0-9]+")
_WORD: Final = re.compile(r"[A-Za-z]?[a-z]*\d{0,2}|[A-Za-z]?[a-z]+(?:[A-Z][a-z]+)+|[A-Z]{1,12}|[Vv]?\d{1,4}")
_LONG: Final = 16


def is_secret(name: str, *, in_query: bool = False) -> bool:
    """Tell whether a header or parameter of this name carries a credential."""
    plain = _SEPARATORS.sub("", name.lower())
    if in_query and plain in _OF_QUERY:
        return True
    return plain.endswith(_SECRET) and not plain.endswith(_PLAIN)


def may_be_secret(value: str) -> bool:
    """Tell whether a value could be a credential: long, of one piece, and not made of words alone."""
    if len(value) < _LONG or any(sign.isspace() for sign in value):
        return False
    return not all(_WORD.fullmatch(piece) for piece in _PIECES.split(value))

"""What the headers of a sample are: inputs, a login, or the business of whoever sends. Pure."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from actions.drafting.curl import Asked
from actions.drafting.secrecy import is_secret, may_be_secret
from actions.specs.model import NEVER_SET
from actions.specs.reading import IDEMPOTENCY

_ELSEWHERE: Final = NEVER_SET | {"content-type", "accept", "accept-encoding"}
_OF_BROWSERS: Final = frozenset(
    ["accept-language", "cache-control", "dnt", "if-modified-since", "if-none-match", "origin", "pragma",
     "priority", "purpose", "referer", "upgrade-insecure-requests", "user-agent", "x-client-data"]
)  # fmt: skip
"""Headers that a browser sends with everything, beside those that begin with `sec-`."""
_OF_ONE_CALL: Final = re.compile(
    r"if-.*|traceparent|tracestate|baggage|x-(?:request|correlation|trace|amzn-trace)-id|date|range",
    re.IGNORECASE,
)
"""Headers whose value belongs to a single call."""
_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST: Final = 100

Scheme = dict[str, Any]


@dataclass(slots=True)
class Login:
    """The security schemes that a sample logs in by; `left_out` says whose values were not taken."""

    schemes: dict[str, Scheme] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, name: str, scheme: Scheme, what: str) -> None:
        """Note a way to log in; the same twice is one."""
        self.schemes[_NAME.sub("_", name)[:60] or "key"] = scheme
        self.left_out.append(what)

    def http(self, scheme: str, what: str) -> None:
        """Note a scheme of HTTP."""
        self.add(scheme, {"type": "http", "scheme": scheme}, what)

    def key(self, place: str, name: str, what: str) -> None:
        """Note a key in a header, the query or a cookie."""
        self.add(name, {"type": "apiKey", "in": place, "name": name}, what)


def of_headers(asked: Asked, login: Login) -> list[dict[str, Any]]:
    """Return the parameters that headers are; those that log in go to the login."""
    if asked.login:
        login.http(asked.login, "the login that an option or the URL gives")
    browser = any(name.lower().startswith("sec-") for name, _ in asked.headers)
    parameters = []
    for lower, (name, value) in {name.lower(): (name, value) for name, value in asked.headers}.items():
        if lower == "authorization":
            _authorization(value, login)
        elif lower == "cookie":
            _cookies(value, login)
        elif lower in _ELSEWHERE or (browser and (lower in _OF_BROWSERS or lower.startswith("sec-"))):
            continue
        elif is_secret(name):
            login.key("header", name, f"header {name}")
        else:
            parameters.append(_parameter(name, value))
    return parameters


def accepted(headers: tuple[tuple[str, str], ...]) -> str:
    """Return the one media type that a sample accepts, "" where it is a choice."""
    value = {name.lower(): text for name, text in headers}.get("accept", "")
    return value.strip() if value and not set(value) & set("*,;") else ""


def _authorization(value: str, login: Login) -> None:
    scheme = value.partition(" ")[0].lower()
    if scheme in ("bearer", "basic", "digest"):
        login.http(scheme, "header Authorization")
    else:
        login.key("header", "Authorization", "header Authorization")


def _cookies(value: str, login: Login) -> None:
    names = [one.partition("=")[0].strip() for one in value.split(";") if "=" in one]
    if len(names) == 1 and not re.search(r"[\s\",;\\=]", names[0]):
        login.key("cookie", names[0], f"cookie {names[0]}")
    else:
        login.key("header", "Cookie", "header Cookie")


def _parameter(name: str, value: str) -> dict[str, Any]:
    """Return a header as a parameter. A constant is sent as it was, unless it belongs to a single call."""
    single = bool(_OF_ONE_CALL.fullmatch(name) or IDEMPOTENCY.fullmatch(name))
    schema = {"type": "string"}  # as it was written: 2.10 is no number
    if not (single or may_be_secret(value)) and _constant(value):
        schema["default"] = value
    return {"name": name, "in": "header", **({} if single else {"required": True}), "schema": schema}


def _constant(value: str) -> bool:
    return 0 < len(value) <= _LONGEST and value.isascii() and value.isprintable() and "$" not in value

"""Reads what a token server answers: JSON or a form, with the liberties that real ones take. Pure."""

from collections.abc import Iterable
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec
from typing_extensions import override

from actions.auth.settings import without_secrets
from actions.base import Answer
from actions.transport import header_problems, retry_after

Cause = Literal["grant", "client", "busy", "nonsense"]
"""grant: what was presented is not taken (any longer) · client: we are not, or the request is wrong ·
busy: the server cannot now · nonsense: this is no token server."""

_BUSY: Final = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_GRANT: Final = frozenset(
    {"invalid_grant", "bad_verification_code", "bad_refresh_token", "interaction_required", "login_required",
     "consent_required", "access_denied", "expired_token"}
)  # fmt: skip
_PROOF_WANTED: Final = frozenset({"dpop", "mac", "pop", "hok"})
"""Types of tokens that a request must prove to own: we cannot."""

MAX_TOKEN: Final = 65536
_LONGEST: Final = 10 * 365 * 86_400.0


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """A token that we got. `expires_in` in seconds, None when the server did not say; `scopes` likewise."""

    access_token: str
    refresh_token: str = ""
    expires_in: float | None = None
    scopes: tuple[str, ...] | None = None
    note: str = ""

    @override
    def __repr__(self) -> str:
        return f"Granted(expires_in={self.expires_in}, scopes={self.scopes}, note={self.note!r})"


class Denied(msgspec.Struct, frozen=True, kw_only=True):
    """No token, and why; `code` is the server's own. `after` is its Retry-After in seconds."""

    cause: Cause
    code: str
    text: str
    after: float | None = None


def read_token(answer: Answer, hidden: Iterable[str], now: float, delimiter: str = " ") -> Granted | Denied:
    """Return what a token server's answer means. `hidden` never shows in any text."""
    hidden = tuple(hidden)
    fields = _fields(answer)
    token = _text(fields, "access_token")
    if 200 <= answer.status < 300 and token and "error" not in fields:
        return _granted(fields, token, hidden, now, delimiter)
    return _denied(answer, fields, hidden, now)


def _granted(
    fields: dict[str, Any], token: str, hidden: tuple[str, ...], now: float, delimiter: str
) -> Granted | Denied:
    kind = _text(fields, "token_type")
    if kind.lower() in _PROOF_WANTED:
        text = (
            f"the token server gives tokens of the type {without_secrets(kind, hidden)}, which we cannot use"
        )
        return Denied(cause="client", code="token_type", text=text)
    if len(token) > MAX_TOKEN or header_problems((("authorization", token),)):
        text = "the token server gave a token that no header can carry"
        return Denied(cause="nonsense", code="access_token", text=text)
    note = ""
    if kind and not kind.lower().startswith("bearer"):
        shown = without_secrets(kind, hidden)
        note = f"the token server calls the token's type {shown!r}; say `prefix` if Bearer is not taken"
    return Granted(
        access_token=token,
        refresh_token=_text(fields, "refresh_token"),
        expires_in=_lifetime(fields, now),
        scopes=_scopes(fields.get("scope"), delimiter),
        note=note,
    )


def _denied(answer: Answer, fields: dict[str, Any], hidden: tuple[str, ...], now: float) -> Denied:
    error = fields.get("error")
    if isinstance(error, dict):  # some wrap it: {"error": {"code": …, "message": …}}
        fields, error = error, error.get("code") or error.get("type") or error.get("status")
    code = without_secrets(str(error), hidden) if isinstance(error, str | int) and error != "" else ""
    words = _text(fields, "error_description") or _text(fields, "message") or _text(fields, "error_message")
    said = without_secrets(words, hidden)
    text = f"the token server answered {answer.status}"
    if code:
        text += f" {code}"
    if said:
        text += f": {said}"
    status = answer.status
    if code in _BUSY or status in (408, 425, 429) or status >= 500:
        return Denied(
            cause="busy", code=code, text=text, after=retry_after(answer.header("retry-after"), now)
        )
    if code in _GRANT:
        return Denied(cause="grant", code=code, text=text)
    if not code and (status < 400 or status in (404, 405)):
        hint = "and redirects are not followed" if 300 <= status < 400 else "and no token: is this its URL?"
        return Denied(cause="nonsense", code="", text=f"{text} {hint}")
    return Denied(cause="client", code=code, text=text)


def _fields(answer: Answer) -> dict[str, Any]:
    """Return the members of a JSON or form answer; nothing when it is neither. Goes by the body itself."""
    body = answer.body.strip()
    if body.startswith(b"{"):
        try:
            found = msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}
    if body[:1] in (b"<", b"[") or answer.truncated:
        return {}
    try:
        return dict(parse_qsl(body.decode("utf-8"), max_num_fields=64))
    except (UnicodeDecodeError, ValueError):
        return {}


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _lifetime(fields: dict[str, Any], now: float) -> float | None:
    """Return the seconds for which a token is good; zero, a negative number and junk say nothing."""
    seconds = _number(fields.get("expires_in"))
    if seconds is None:
        at = _number(fields.get("expires_on"))  # Azure AD v1
        seconds = at - now if at is not None and at > now else None
    return min(seconds, _LONGEST) if seconds is not None and seconds > 0 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e12 else None


def _scopes(value: Any, delimiter: str) -> tuple[str, ...] | None:
    if isinstance(value, list):
        return tuple(one for one in value if isinstance(one, str))
    if not isinstance(value, str):
        return None
    for mark in (delimiter, ",", ";"):
        if mark.strip():
            value = value.replace(mark, " ")
    return tuple(value.split())

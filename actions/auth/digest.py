"""HTTP digest authentication (RFC 7616, and what RFC 2617 and 2069 left in the field).

The first request goes out without credentials; the challenge it brings back is answered at once, and kept:
further calls answer it beforehand, counting. All calls of one origin share its nonce.
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import msgspec
from typing_extensions import override

from actions.auth.base import MASK, Fixed
from actions.auth.placing import with_header
from actions.base import Answer
from actions.errors import Refused
from actions.transport import Request, header_problems

MAX_ORIGINS: Final = 64

_HASHES: Final[dict[str, Callable[[bytes], str]]] = {
    "SHA-512-256": lambda data: hashlib.new("sha512_256", data).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}
"""By name, the strongest first. MD5 is what most devices speak."""
if "sha512_256" not in hashlib.algorithms_available:  # the system's library decides
    del _HASHES["SHA-512-256"]

_WORD: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PAIR: Final = re.compile(rf'[\s,]*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))\s*(?=,|$)', re.DOTALL)
_SCHEME: Final = re.compile(rf"[\s,]*({_WORD})(?:\s+|$|(?=,))(?!=)")
_MAX_FIELD: Final = 8192


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend asks for. `algorithm` is as it wrote it; `qop` is what we chose, "" for the old way."""

    realm: str
    nonce: str
    opaque: str | None
    algorithm: str
    hash_name: str
    session: bool
    qop: str
    stale: bool
    userhash: bool


class _Session:
    """The answers to one challenge: the nonce, how often it was used, and the key of a `-sess` algorithm.

    `proven`: the password was taken.
    """

    def __init__(self, challenge: Challenge, *, proven: bool) -> None:
        self.challenge = challenge
        self.proven = proven
        self.nonce = challenge.nonce
        self.count = 0
        self.cnonce = secrets.token_hex(16)
        self.secret = ""


class Digest(Fixed):
    """User name and password, proven without being sent."""

    needs_ready = True  # the challenge comes in an answer

    def __init__(self, user: str, password: str) -> None:
        if ":" in user or not (user + password).isprintable() or not user:
            raise Refused(
                "auth: a user name is not empty and holds no colon, and neither it nor the password a "
                "control character"
            )
        self._user = user
        self._password = password
        self._sessions: dict[str, _Session] = {}

    @override
    def apply(self, request: Request) -> Request:
        session = self._sessions.get(_origin(request))
        if session is None:
            return request
        return with_header(request, "authorization", self._field(session, request))

    @override
    def mask(self, request: Request) -> Request:
        return with_header(request, "authorization", f"Digest {MASK}")

    @override
    def secrets(self) -> tuple[str, ...]:
        return (self._password,)

    @override
    async def again(self, request: Request, answer: Answer, deadline: float) -> Request | None:
        origin = _origin(request)
        session = self._sessions.get(origin)
        if answer.status != 401:
            self.ended(request, answer)
            return None
        challenge = read_challenge(answer)
        if challenge is None:
            return None
        sent = request.header("authorization") or ""
        if (
            sent.startswith("Digest ")
            and not challenge.stale
            and _is_final(_nonce_of(sent), session, challenge)
        ):
            self._sessions.pop(origin, None)  # a good nonce and a wrong password: asking again is useless
            return None
        if session is None or session.nonce != challenge.nonce:
            if len(self._sessions) >= MAX_ORIGINS:
                self._sessions.clear()
            proven = session is not None and session.proven
            self._sessions[origin] = _Session(challenge, proven=proven)
        return self.apply(request)

    @override
    def ended(self, request: Request, answer: Answer) -> None:
        origin = _origin(request)
        session = self._sessions.get(origin)
        nonce = _nonce_of(request.header("authorization") or "")
        if session is None or session.nonce != nonce:
            return
        if answer.status == 401:
            self._sessions.pop(origin)
            return
        session.proven = True
        _take_next(session, answer)

    def _field(self, session: _Session, request: Request) -> str:
        """Return the value of the Authorization field; counts the use of the nonce."""
        challenge = session.challenge
        hashed = _HASHES[challenge.hash_name]
        session.count += 1
        count = f"{session.count:08x}"
        cnonce = session.cnonce if challenge.session else secrets.token_hex(16)
        target = _target(request)
        if not session.secret:
            session.secret = hashed(f"{self._user}:{challenge.realm}:{self._password}".encode())
            if challenge.session:
                session.secret = hashed(f"{session.secret}:{session.nonce}:{cnonce}".encode())
        what = f"{request.method}:{target}"
        if challenge.qop == "auth-int":
            what += f":{hashed(request.body)}"
        middle = f"{count}:{cnonce}:{challenge.qop}:" if challenge.qop else ""
        response = hashed(f"{session.secret}:{session.nonce}:{middle}{hashed(what.encode())}".encode())
        parts = [
            self._name(challenge, hashed),
            f"realm={_quoted(challenge.realm)}",
            f"nonce={_quoted(session.nonce)}",
            f"uri={_quoted(target)}",
            f'response="{response}"',
        ]
        if challenge.algorithm:
            parts.append(f"algorithm={challenge.algorithm}")
        if challenge.opaque is not None:
            parts.append(f"opaque={_quoted(challenge.opaque)}")
        if challenge.qop:
            parts += [f"qop={challenge.qop}", f"nc={count}", f'cnonce="{cnonce}"']
        if challenge.userhash:
            parts.append("userhash=true")
        value = "Digest " + ", ".join(parts)
        if header_problems((("authorization", value),)):
            raise Refused("auth: the backend's digest challenge holds characters that cannot be sent back")
        return value

    def _name(self, challenge: Challenge, hashed: Callable[[bytes], str]) -> str:
        if challenge.userhash:
            return f'username="{hashed(f"{self._user}:{challenge.realm}".encode())}"'
        if self._user.isascii():
            return f"username={_quoted(self._user)}"
        return f"username*=UTF-8''{quote(self._user, safe='')}"


def read_challenge(answer: Answer) -> Challenge | None:
    """Return the strongest digest challenge in an answer that we can meet, None where there is none."""
    found: list[Challenge] = []
    for name, value in answer.headers:
        if name == "www-authenticate":
            found += [
                one
                for scheme, given in read_challenges(value)
                if scheme == "digest" and (one := _challenge(given)) is not None
            ]
    order = list(_HASHES)
    return min(found, key=lambda one: order.index(one.hash_name), default=None)


def read_challenges(value: str) -> list[tuple[str, dict[str, str]]]:
    """Return the challenges of a WWW-Authenticate field: (scheme, parameters), names in lower case."""
    challenges: list[tuple[str, dict[str, str]]] = []
    at, value = 0, value[:_MAX_FIELD]
    while at < len(value):
        pair = _PAIR.match(value, at)
        if pair is not None and challenges:
            text = pair[3] if pair[2] is None else re.sub(r"\\(.)", r"\1", pair[2], flags=re.DOTALL)
            challenges[-1][1].setdefault(pair[1].lower(), text)
            at = pair.end()
            continue
        scheme = _SCHEME.match(value, at)
        if scheme is not None:
            challenges.append((scheme[1].lower(), {}))
            at = scheme.end()
            continue
        comma = value.find(",", at + 1)  # a token68, or junk: nothing of ours
        at = comma if comma >= 0 else len(value)
    return challenges


def _challenge(given: dict[str, str]) -> Challenge | None:
    algorithm = given.get("algorithm", "")
    hash_name, session = algorithm.upper() or "MD5", False
    if hash_name.endswith("-SESS"):
        hash_name, session = hash_name[:-5], True
    offered = [one.strip().lower() for one in given.get("qop", "").split(",") if one.strip()]
    qop = next((one for one in ("auth", "auth-int") if one in offered), "")
    if hash_name not in _HASHES or not given.get("nonce") or (offered and not qop) or (session and not qop):
        return None
    return Challenge(
        realm=given.get("realm", ""),
        nonce=given["nonce"],
        opaque=given.get("opaque"),
        algorithm=algorithm,
        hash_name=hash_name,
        session=session,
        qop=qop,
        stale=given.get("stale", "").lower() == "true",
        userhash=given.get("userhash", "").lower() == "true",
    )


def _take_next(session: _Session, answer: Answer) -> None:
    """Go over to the nonce that the backend wants from now on (Authentication-Info)."""
    following = answer.header("authentication-info")
    if following is None or "nextnonce" not in following.lower():
        return
    given = dict(read_challenges("Info " + following)).get("info", {})
    if given.get("nextnonce") and given["nextnonce"] != session.nonce:
        session.nonce, session.count = given["nextnonce"], 0


def _is_final(nonce: str, session: _Session | None, challenge: Challenge) -> bool:
    """Tell whether an answer to a nonce was refused for the password, and not for the nonce.

    Some servers do not say `stale`: where the password was taken before, another nonce says as much.
    """
    if session is None or session.challenge.realm != challenge.realm:
        return False
    if session.proven and challenge.nonce != nonce:
        return False
    return nonce in {challenge.nonce, session.nonce}


def _nonce_of(field: str) -> str:
    return dict(read_challenges(field)).get("digest", {}).get("nonce", "")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _origin(request: Request) -> str:
    return "/".join(request.url.split("?")[0].split("/")[:3])


def _target(request: Request) -> str:
    """Return the request target as it goes out: path and query."""
    rest = request.url[len(_origin(request)) :]
    return rest if rest.startswith("/") else f"/{rest}"

"""A backend that wants digest authentication, checked by the words of RFC 7616 and by code of its own."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field

from tests.fakes.token_server import Heard, Said

_FIELD = re.compile(r'([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))')


@dataclass
class DigestServer:
    """Challenges, and takes each nonce with each count once. `uses`: so often a nonce is good (0: always)."""

    user: str = "Mufasa"
    password: str = "Circle of Life"
    realm: str = 'the "inner" realm'
    algorithm: str | None = "SHA-256"
    qop: str | None = "auth"
    userhash: bool = False
    uses: int = 0
    next_after: int = 0
    forgets: bool = False
    says_stale: bool = True
    more: tuple[str, ...] = ()
    nonces: dict[str, set[str]] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)  # nonce → A1 of a -sess algorithm
    heard: list[Heard] = field(default_factory=list)
    challenged: int = 0
    taken: int = 0

    def hashed(self, text: str | bytes) -> str:
        data = text.encode() if isinstance(text, str) else text
        kind = (self.algorithm or "MD5").upper().removesuffix("-SESS")
        name = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}[kind]
        return hashlib.new(name, data, usedforsecurity=False).hexdigest()

    async def answer(self, heard: Heard) -> Said:
        self.heard.append(heard)
        header = heard.headers.get("authorization", "")
        if not header.startswith("Digest "):
            return self.challenge()
        given = {
            name: re.sub(r"\\(.)", r"\1", quoted) if quoted else bare
            for name, quoted, bare in _FIELD.findall(header[7:])
        }
        nonce = given["nonce"]
        if nonce not in self.nonces or (self.uses and len(self.nonces[nonce]) >= self.uses):
            return self.challenge(stale=self.says_stale)
        target = heard.path + (
            "?" + "&".join(f"{k}={v}" for k, v in heard.query.items()) if heard.query else ""
        )
        assert given["uri"] == target
        assert given["opaque"] == "0p4que"
        assert given.get("algorithm") == self.algorithm
        if not self._proves(given, heard):
            return self.challenge()
        if self.qop:
            assert given["nc"] not in self.nonces[nonce], "a count was used twice"
            self.nonces[nonce].add(given["nc"])
        self.taken += 1
        headers = ["Content-Type: application/json"]
        if self.next_after and len(self.nonces[nonce]) >= self.next_after:
            following = self._nonce()
            del self.nonces[nonce]
            self.sessions[following] = self.sessions.get(nonce, "")
            headers.append(f'Authentication-Info: rspauth="x", nextnonce="{following}", qop=auth')
        return Said(200, b'{"ok": true}', tuple(headers))

    def challenge(self, *, stale: bool = False) -> Said:
        self.challenged += 1
        realm = self.realm.replace('"', '\\"')
        parts = [f'realm="{realm}"', f'nonce="{self._nonce()}"', 'opaque="0p4que"']
        parts += [f'qop="{self.qop}"'] * bool(self.qop) + [f"algorithm={self.algorithm}"] * bool(
            self.algorithm
        )
        parts += ["stale=true"] * stale + ["userhash=true"] * self.userhash
        return Said(401, b"", (*self.more, "WWW-Authenticate: Digest " + ", ".join(parts)))

    def _nonce(self) -> str:
        nonce = secrets.token_hex(8)
        self.nonces[nonce] = set()
        return nonce

    def _proves(self, given: dict[str, str], heard: Heard) -> bool:
        name = self.hashed(f"{self.user}:{self.realm}") if self.userhash else self.user
        if given.get("username", "") != name and "username*" not in given:
            return False
        nonce = given["nonce"]
        secret = self.hashed(f"{self.user}:{self.realm}:{self.password}")
        if (self.algorithm or "").lower().endswith("-sess"):
            made = self.hashed(f"{secret}:{nonce}:{given['cnonce']}")
            # What the RFC says, and what servers do that keep nothing: the key anew from each request.
            kept = "" if self.forgets else self.sessions.get(nonce)
            secret = self.sessions[nonce] = kept or made
        what = f"{heard.method}:{given['uri']}"
        if given.get("qop") == "auth-int":
            what += f":{self.hashed(heard.body)}"
        if self.qop:
            assert given["qop"] in self.qop
            middle = f"{given['nc']}:{given['cnonce']}:{given['qop']}:"
        else:
            middle = ""
        return given["response"] == self.hashed(f"{secret}:{nonce}:{middle}{self.hashed(what)}")

"""The backend with logins, a process of its own: pages, jobs, ETags, and a token server that rotates refresh tokens.

`python -m tests.crash.calls.market OPTIONS` with OPTIONS as JSON; prints its port, then serves until its standard
input ends. Every request is written down before it is answered. A refresh token is taken once: whoever presents it
again ends the whole login (RFC 9700 §4.14.2), as strict providers do.
"""

import asyncio
import base64
import hashlib
import secrets
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from typing_extensions import override

from tests.crash.generator import digest
from tests.crash.journal import Journal
from tests.crash.ledger import SLOW, Peer, fate

LIFE: Final = 1
"""Seconds that an access token lasts, by what is said of it; half of them are used."""

GRACE: Final = 30.0
"""Seconds that it is taken for longer: on a busy machine nobody is to be told that it is late."""

PAGES: Final = 3
LOOKS: Final = 2
"""How often a job's state is asked for before it is done."""


class Options(msgspec.Struct):
    """What a market is told."""

    journal: str
    seed: int
    secret: str
    port: int = 0


class Login(msgspec.Struct):
    """What one login of a person has become: how many tokens it brought, the newest first of them the one that counts."""

    number: int
    granted: int = 0
    revoked: bool = False


class Token(msgspec.Struct, frozen=True):
    """An access or a refresh token: the n-th of a login. Login 0: of no person."""

    login: int
    number: int
    until: float = 0.0


class Said(msgspec.Struct, frozen=True):
    """One answer: `does` as in `ledger`, and what is said when all goes well."""

    does: str
    status: int = 200
    body: object = None
    headers: str = ""


class Market:
    """What all connections share."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.journal = Journal(Path(options.journal))
        self.times: Counter[str] = Counter()
        self.logins: list[Login] = [Login(0)]
        self.access: dict[str, Token] = {}
        self.refresh: dict[str, Token] = {}
        self.codes: dict[str, str] = {}  # code → challenge
        self.used: set[Token] = set()
        self.versions: Counter[str] = Counter()
        self.jobs: dict[str, int] = {}

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Said:
        """Write a request down, and say what is answered."""
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        place, _, uid = url.path.strip("/").partition("/")
        if place == "token":
            return self.token(dict(parse_qsl(body.decode())), headers)
        if place == "authorize":
            return self.authorize(query)
        if not self.known(headers, uid):
            return Said("ok", 401, {"why": "no token"})
        return (
            self.read(place, uid, query, headers)
            if method == "GET"
            else self.change(place, uid, headers, body)
        )

    # -- what needs a login

    def known(self, headers: Mapping[str, str], uid: str) -> bool:
        """Say whether a request has a token that counts."""
        token = self.access.get(headers.get("authorization", "").removeprefix("Bearer "))
        if token is None or self.logins[token.login].revoked or time.monotonic() > token.until:
            self.journal.write(e="denied", at=time.time(), uid=uid, key=headers.get("idempotency-key", ""))
            return False
        if token.login and token not in self.used:
            self.used.add(token)
            self.journal.write(e="use", at=time.time(), login=token.login, number=token.number)
            self.journal.sync()
        return True

    def read(self, place: str, uid: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Said:
        """Answer what changes nothing."""
        page = int(query.get("page", "0"))
        does = self.fate(f"GET {place}/{uid}/{page}")
        if does not in ("ok", "slow"):
            return Said(does)
        if place == "pages":
            found: dict[str, object] = {"value": [{"n": page * 2}, {"n": page * 2 + 1}]}
            if page + 1 < PAGES:
                found["nextLink"] = f"http://{headers['host']}/pages/{uid}?page={page + 1}"
            return Said(does, body=found)
        if place == "states":
            self.jobs[uid] += 1
            done = self.jobs[uid] > LOOKS
            self.journal.write(e="state", at=time.time(), uid=uid, done=done)
            return Said(
                does, body={"status": "Succeeded" if done else "Running"}, headers="retry-after: 0\r\n"
            )
        if place == "things":
            return Said(does, body={"uid": uid}, headers=f'etag: "{self.versions[uid]}"\r\n')
        return Said(does, body={"value": value_of(place, uid)})

    def change(self, place: str, uid: str, headers: Mapping[str, str], body: bytes) -> Said:
        """Perform what changes something, if it came as it must."""
        key = headers.get("idempotency-key", "")
        does = self.fate(f"{place}/{key}")
        problem = self.problem(place, uid, headers, body)
        self.journal.write(
            e="call",
            at=time.time(),
            op=place,
            uid=uid,
            key=key,
            body=digest(body),
            cause=headers.get("pointsman-causation", ""),
            does=str(problem) if problem else does,
        )
        if problem:
            return Said("ok", problem, {"why": "not as it must be"})
        done = does in ("ok", "slow", "cut")
        if done and place == "things":
            self.versions[uid] += 1
        if done and place == "jobs":
            self.jobs.setdefault(uid, 0)  # one for each key: a repeat is told of the same one
            return Said(does, 202, {}, f"operation-location: /states/{uid}\r\nretry-after: 0\r\n")
        return Said(does, body={"uid": uid})

    def problem(self, place: str, uid: str, headers: Mapping[str, str], body: bytes) -> int:
        """Return the status for a request that is not what it must be, else 0."""
        if place == "things":
            return 0 if headers.get("if-match") == f'"{self.versions[uid]}"' else 412
        if place == "gathered":
            return 0 if msgspec.json.decode(body)["found"] == [*range(PAGES * 2)] else 400
        wanted = {"policed": ("x-lookup", "lookups"), "hooked": ("x-before", "before")}.get(place)
        return 0 if wanted is None or headers.get(wanted[0]) == value_of(wanted[1], uid) else 400

    def fate(self, request: str) -> str:
        self.times[request] += 1
        return fate(self.options.seed, request, self.times[request])

    # -- tokens

    def authorize(self, query: Mapping[str, str]) -> Said:
        """Be the page where a person logs in, who always agrees."""
        code = secrets.token_urlsafe(12)
        self.codes[code] = query["code_challenge"]
        back = f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"
        return Said("ok", 302, {}, f"location: {back}\r\n")

    def token(self, form: Mapping[str, str], headers: Mapping[str, str]) -> Said:
        """Answer a token request."""
        self.times["token"] += 1
        does = fate(self.options.seed, f"token/{self.times['token']}", 1)
        if does not in ("ok", "slow", "cut"):
            return Said(does)
        if not self.client_is_known(form, headers):
            return _denied("invalid_client")
        grant = form.get("grant_type", "")
        if grant == "client_credentials":
            return Said(does, body=self.granted(Token(0, 0), refresh=False))
        if grant == "authorization_code":
            return self.by_code(does, form)
        return self.by_refresh(does, form.get("refresh_token", ""))

    def client_is_known(self, form: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        basic = base64.b64encode(f"crash:{self.options.secret}".encode()).decode()
        sent = headers.get("authorization", "") == f"Basic {basic}"
        return sent or form.get("client_secret", "") == self.options.secret

    def by_code(self, does: str, form: Mapping[str, str]) -> Said:
        challenge = self.codes.pop(form.get("code", ""), None)
        hashed = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if challenge is None or base64.urlsafe_b64encode(hashed).rstrip(b"=").decode() != challenge:
            return _denied("invalid_grant")
        login = Login(len(self.logins))
        self.logins.append(login)
        return Said(does, body=self.next(login, does))

    def by_refresh(self, does: str, presented: str) -> Said:
        token = self.refresh.get(presented)
        if token is None:
            self.journal.write(e="refused", at=time.time(), login=-1, number=-1)
            return _denied("invalid_grant")
        login = self.logins[token.login]
        if login.revoked or token.number != login.granted:
            login.revoked = True
            self.journal.write(e="refused", at=time.time(), login=token.login, number=token.number)
            return _denied("invalid_grant")
        return Said(does, body=self.next(login, does))

    def next(self, login: Login, does: str) -> dict[str, object]:
        """Grant the next tokens of a login; the refresh token before is void from now on."""
        login.granted += 1
        token = Token(login.number, login.granted)
        self.journal.write(e="grant", at=time.time(), login=token.login, number=token.number, does=does)
        self.journal.sync()
        return self.granted(token, refresh=True)

    def granted(self, token: Token, *, refresh: bool) -> dict[str, object]:
        name = f"{token.login}.{token.number}.{secrets.token_urlsafe(9)}"
        self.access[f"a.{name}"] = msgspec.structs.replace(token, until=time.monotonic() + LIFE + GRACE)
        found: dict[str, object] = {"access_token": f"a.{name}", "token_type": "Bearer", "expires_in": LIFE}
        if refresh:
            self.refresh[f"r.{name}"] = token
            found["refresh_token"] = f"r.{name}"
        return found


def value_of(place: str, uid: str) -> str:
    """Return what stands at a place that is asked first."""
    return digest(f"{place}/{uid}".encode())


def _denied(error: str) -> Said:
    return Said("ok", 400, {"error": error})


class Stall(Peer):
    """One connection of the service."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.buffer = b""

    @override
    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        said = self.market.answer(method, path, headers, body)
        if said.does == "cut":
            self.transport.abort()
        elif said.does in ("ok", "slow"):
            text = msgspec.json.encode(said.body)
            wait = SLOW if said.does == "slow" else 0.0
            asyncio.get_running_loop().call_later(wait, self.write, said.status, said.headers, text)
        else:
            after = {"429": "retry-after: 0\r\n", "429 later": "retry-after: 1\r\n"}.get(said.does, "")
            self.write(int(said.does[:3]), after, b'{"title":"not now"}')


async def serve(options: Options) -> None:
    """Serve until standard input ends."""
    market = Market(options)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Stall(market), "127.0.0.1", options.port, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    server.close()
    market.journal.close()


if __name__ == "__main__":
    asyncio.run(serve(msgspec.json.decode(sys.argv[1], type=Options)))

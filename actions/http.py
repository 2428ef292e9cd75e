"""Performs the operations of a description over HTTP.

What is sent is decided in `prepare`, which is pure; `call` adds what must not be kept (credentials) or
differs between attempts, and sends once through the guarded transport. Nothing is retried or judged here.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from typing_extensions import override

from actions.addresses import read_server
from actions.auth import Auth, NoAuth
from actions.base import Answer, Connector, Finding, OperationInfo, Prepared
from actions.egress import Egress, Resolver, SystemResolver, Transport
from actions.engines import DEFAULT, make_engine
from actions.errors import Refused
from actions.operations import Infos, find
from actions.serialize import Build, compile_operation
from actions.specs.model import Spec
from actions.transport import Engine, EngineSettings, Request, header_problems

USER_AGENT: Final = "Pointsman"
KEY_HEADER: Final = "Idempotency-Key"
_OURS: Final[tuple[tuple[str, str], ...]] = (("User-Agent", USER_AGENT), ("Accept-Encoding", "identity"))
_KEYLESS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing: no key is sent unless the operation declares a header for it."""


class HTTPLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection may use: calls at a time, seconds to connect, bytes of an answer that are kept."""

    in_flight: int = 16
    connect_timeout: float = 5.0
    max_answer_bytes: int = 1 << 20


class Certificates(msgspec.Struct, frozen=True, kw_only=True):
    """PEM text: an authority to trust besides the system's, and our certificate together with its key."""

    ca: bytes = b""
    identity: bytes = b""


class _Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """What is worked out once for an operation. `declared` are its header parameters, in lower case."""

    id: str
    build: Build
    key_header: str
    quoted: bool
    declared: frozenset[str]
    auth: Auth

    def with_ours(self, request: Request, key: str) -> Request:
        """Return the request with the headers that are ours and the same for every attempt.

        What the arguments set themselves stays. The key of the standard header is a structured field's
        string (draft-ietf-httpapi-idempotency-key-header, RFC 9651 §3.3.3); vendors' own take it bare.
        """
        ours = _OURS
        if self.key_header and key:
            ours = (*ours, (self.key_header, sf_string(key) if self.quoted else key))
        if self.declared:
            given = {name.lower() for name, _ in request.headers}
            ours = tuple(pair for pair in ours if pair[0].lower() not in given)
        return Request(request.method, request.url, (*request.headers, *ours), request.body)

    def with_attempt(self, request: Request, headers: Mapping[str, str]) -> Request:
        """Return the request with the headers of one attempt; they win over what the arguments set."""
        kept = request.headers
        if self.declared:
            names = {name.lower() for name in headers}
            kept = tuple(pair for pair in kept if pair[0].lower() not in names)
        return Request(request.method, request.url, (*kept, *headers.items()), request.body)


class HTTPConnector(Connector):
    """Performs operations of a `Spec` at one server. Belongs to one event loop."""

    def __init__(
        self,
        name: str,
        spec: Spec,
        *,
        server: str,
        auth: Auth | None = None,
        egress: Egress | None = None,
        limits: HTTPLimits | None = None,
        certificates: Certificates | None = None,
        engine: str | Callable[[EngineSettings], Engine] = DEFAULT,
        resolver: Resolver | None = None,
    ) -> None:
        """Take over engine and resolver. Raise Refused when the server's URL cannot be called at all."""
        limits, certificates = limits or HTTPLimits(), certificates or Certificates()
        place, problems = read_server(server)
        if place is None:
            raise Refused(f"{name}: server {server[:200]!r}: " + "; ".join(problems))
        self.name = name
        self._spec = spec
        self._server = place.origin + place.path
        self._auth = auth or NoAuth()
        settings = EngineSettings(
            name=name,
            host=place.host,
            in_flight=limits.in_flight,
            connect_timeout=limits.connect_timeout,
            ca_pem=certificates.ca,
            identity_pem=certificates.identity,
        )
        self._transport = Transport(
            name=name,
            server=place,
            egress=egress or Egress(),
            engine=make_engine(engine, settings) if isinstance(engine, str) else engine(settings),
            resolver=resolver or SystemResolver(),
            max_answer_bytes=limits.max_answer_bytes,
        )
        self._compiled: dict[str, _Compiled] = {}

    @override
    async def check(self) -> list[Finding]:
        found = [*await self._transport.check(), *self._login_findings()]
        in_clear = self._server.startswith("http://") and not isinstance(self._auth, NoAuth)
        if in_clear and self._transport.egress.public:
            found.append(
                Finding(
                    severity="warning",
                    code="credentials-in-clear",
                    message=f"{self.name}: credentials go over http:// for everybody on the way to read",
                    fix="use https://",
                )
            )
        return found

    def _login_findings(self) -> list[Finding]:
        """Tell of operations that want a login while there is none."""
        if not isinstance(self._auth, NoAuth):
            return []
        wanting = [
            one.id for one in self._spec.operations.values() if one.security and () not in one.security
        ]
        if not wanting:
            return []
        return [
            Finding(
                severity="warning",
                code="no-credentials",
                message=f"{self.name}: {len(wanting)} operations want a login ({', '.join(wanting[:3])}, …) "
                "and the connection has no `auth`",
                fix="add `auth`; the description knows "
                + (", ".join(self._spec.security_schemes) or "no way"),
            )
        ]

    @override
    async def open(self) -> None:
        """Nothing to do: connections are made when the first call needs one."""

    @override
    def operations(self) -> Mapping[str, OperationInfo]:
        return Infos(self._spec)

    @override
    def prepare(self, operation: str, arguments: Mapping[str, Any], *, key: str) -> Prepared:
        compiled = self._compiled.get(operation) or self._compile(operation)
        parts = compiled.build(arguments)
        headers = parts.headers
        if parts.body is not None and parts.content_type:
            headers = (*headers, ("Content-Type", parts.content_type))
        request = Request(parts.method, parts.url, headers, parts.body or b"")
        problems = self._transport.problems(request)
        if problems:
            raise Refused(
                f"{compiled.id} cannot be called: " + "; ".join(problems),
                tuple(("", text) for text in problems),
            )
        return Prepared(
            operation=compiled.id,
            key=key,
            digest=_digest(request),
            request=compiled.with_ours(request, key),
        )

    @override
    async def call(self, prepared: Prepared, *, deadline: float, headers: Mapping[str, str]) -> Answer:
        return await self._transport.send(self._complete(prepared, headers), deadline=deadline)

    @override
    def show(self, prepared: Prepared) -> dict[str, Any]:
        compiled = self._compiled.get(prepared.operation) or self._compile(prepared.operation)
        request = compiled.auth.mask(prepared.request)
        return {
            "method": request.method,
            "url": request.url,
            "headers": dict(request.headers),
            "body": request.body.decode("utf-8", "replace"),
        }

    @override
    async def login_again(self) -> bool:
        return await self._auth.renew()

    @override
    async def close(self) -> None:
        await self._transport.close()

    def _complete(self, prepared: Prepared, headers: Mapping[str, str]) -> Request:
        """Return the request of one attempt: credentials come last, so nothing can stand in their place."""
        request: Request = prepared.request
        compiled = self._compiled.get(prepared.operation) or self._compile(prepared.operation)
        if headers:
            problems = header_problems(headers.items())
            if problems:
                raise Refused(f"{self.name}: " + "; ".join(problems))
            request = compiled.with_attempt(request, headers)
        return compiled.auth.apply(request)

    def _compile(self, name: str) -> _Compiled:
        operation = find(self._spec, name, self.name)
        header = operation.key_header or ("" if operation.method in _KEYLESS else KEY_HEADER)
        compiled = _Compiled(
            id=operation.id,
            build=compile_operation(operation, self._spec, self._server),
            key_header=header,
            quoted=header.lower() == KEY_HEADER.lower(),
            declared=frozenset(one.name.lower() for one in operation.parameters if one.location == "header"),
            auth=self._auth.choose([[need.scheme for need in needs] for needs in operation.security]),
        )
        self._compiled[operation.id] = compiled
        if name in self._spec.aliases:  # only names of the description: callers cannot make this grow
            self._compiled[name] = compiled
        return compiled


def sf_string(text: str) -> str:
    """Return text as a structured field's string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _digest(request: Request) -> bytes:
    """Return a hash over what the arguments made. The encoding is of a plain tuple: names may change."""
    whole = msgspec.msgpack.encode((request.method, request.url, request.headers, request.body))
    return hashlib.blake2b(whole, digest_size=16).digest()

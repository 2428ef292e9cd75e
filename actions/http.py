"""Performs the operations of a description over HTTP.

What is sent is decided in `prepare`, which is pure; `call` adds what must not be kept (credentials, the
connection's own parameters by way of policies) or differs between attempts, and sends through the guarded
transport. Nothing is retried or judged here; what a login's protocol wants (a token first, an answer to a
challenge) belongs to the call.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any, Final

import msgspec
from typing_extensions import override

from actions.addresses import read_server
from actions.auth import Auth, NoAuth
from actions.base import Answer, Connector, Difference, Finding, OperationInfo, Prepared, Reached, unarmed
from actions.drift import Drift
from actions.egress import Egress, Resolver, Transport
from actions.engines import DEFAULT
from actions.errors import Refused
from actions.following import Send, follow
from actions.hooks import Hook, performs
from actions.keys import KEY_HEADER, key_writer
from actions.operations import Infos, find
from actions.origins import Certificates, HTTPLimits, Origins, make_origins
from actions.places import Place, other_sites, own_server, secret_values
from actions.policies import OperationPolicies, compile_policies
from actions.presets import Completion, completion
from actions.raw import RAW, compile_raw
from actions.serialize import Build, compile_operation
from actions.specs.filling import bound
from actions.specs.model import Operation, Spec
from actions.transport import Engine, EngineSettings, Request, header_problems

USER_AGENT: Final = "Pointsman"
CAUSE_HEADER: Final = "pointsman-causation"
"""What a call is known by to the backend and in the logs: the message that brought it about."""
_OURS: Final[tuple[tuple[str, str], ...]] = (("User-Agent", USER_AGENT), ("Accept-Encoding", "identity"))
_KEYLESS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing: no key is sent unless the operation declares a header for it."""


Finish = Callable[[Request], Request]
Exchange = Callable[[Request, Finish], Awaitable[tuple[Request, Answer]]]


class _Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """What is worked out once for an operation, as it is described or the raw one.

    `sets_headers`: arguments may become headers. `keyless` are the methods for which no key is sent. `masked`
    are the policies with stars for secrets, for showing. `in_steps`: a call may be more than one request.
    """

    id: str
    operation: Operation
    in_steps: bool
    build: Build
    completion: Completion
    key_header: str
    write_key: Callable[[str], str]
    sets_headers: bool
    keyless: frozenset[str]
    auth: Auth
    transport: Transport
    policies: OperationPolicies | None
    masked: OperationPolicies | None

    def with_ours(self, request: Request, key: str) -> Request:
        """Return the request with the headers that are ours and the same for every attempt.

        What the arguments set themselves stays.
        """
        ours = _OURS
        if key and request.method not in self.keyless:
            ours = (*ours, (self.key_header, self.write_key(key)))
        if self.sets_headers:
            given = {name.lower() for name, _ in request.headers}
            ours = tuple(pair for pair in ours if pair[0].lower() not in given)
        return Request(request.method, request.url, (*request.headers, *ours), request.body)

    def with_attempt(self, request: Request, headers: Mapping[str, str]) -> Request:
        """Return the request with the headers of one attempt; they win over what the arguments set."""
        kept = request.headers
        if self.sets_headers:
            names = {name.lower() for name in headers}
            kept = tuple(pair for pair in kept if pair[0].lower() not in names)
        return Request(request.method, request.url, (*kept, *headers.items()), request.body)


class HTTPConnector(Connector):
    """Performs operations of a `Spec` at its servers. Belongs to one event loop."""

    def __init__(
        self,
        name: str,
        spec: Spec,
        *,
        server: str | Place,
        auth: Auth | None = None,
        egress: Egress | None = None,
        limits: HTTPLimits | None = None,
        certificates: Certificates | None = None,
        engine: str | Callable[[EngineSettings], Engine] = DEFAULT,
        resolver: Resolver | None = None,
        origins: Origins | None = None,
        drift: Drift | None = None,
        hook: Hook | None = None,
        hooked: Collection[str] = (),
        reached: Reached = unarmed,
    ) -> None:
        """Take over engine and resolver, or the origins, and the hook. Raise Refused for what can never work.

        The hook performs the operations that are named in `hooked`, or else those that need code.
        """
        self.name = name
        self._spec = spec
        self._place = server if isinstance(server, Place) else Place(url=server)
        place, problems = read_server(self._place.url)
        if place is None:
            raise Refused(f"{name}: server {self._place.url[:200]!r}: " + "; ".join(problems))
        self._server = place.origin + place.path
        self._hidden = secret_values(spec, self._place.parameters)
        self._auth = auth or NoAuth()
        self._origins = origins or make_origins(
            name,
            egress=egress,
            limits=limits,
            certificates=certificates,
            engine=engine,
            resolver=resolver,
        )
        self._drift = drift
        self._hook = hook
        self._hooked = _hooked(spec, hooked) if hook is not None else frozenset()
        self._transport = self._origins.transport(place)
        self._reached = reached
        self._compiled: dict[str, _Compiled] = {}

    @override
    async def check(self) -> list[Finding]:
        found = [*await self._transport.check(), *self._login_findings()]
        if self._hook is not None:
            found += await self._hook.check()
        in_clear = self._server.startswith("http://") and not isinstance(self._auth, NoAuth)
        if not isinstance(self._auth, NoAuth):
            found += other_sites(self.name, self._spec, self._place, self._server)
        if in_clear and self._origins.egress.public:
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
    def prepare(
        self, operation: str, arguments: Mapping[str, Any], *, key: str, at: float = 0.0, preset: str = ""
    ) -> Prepared:
        compiled = self._compiled.get(operation) or self._compile(operation)
        arguments = compiled.completion.complete(arguments, preset, key, at)
        parts = compiled.build(arguments)
        if self._drift is not None and compiled.id != RAW:
            self._drift.check_arguments(compiled.operation, arguments)
        headers = parts.headers
        if parts.body is not None and parts.content_type:
            headers = (*headers, ("Content-Type", parts.content_type))
        request = Request(parts.method, parts.url, headers, parts.body or b"")
        problems = compiled.transport.problems(request)
        if problems:
            raise Refused(
                f"{compiled.id} cannot be called: " + "; ".join(problems),
                tuple(("", text) for text in problems),
            )
        whole = compiled.with_ours(request, key)
        return Prepared(
            operation=compiled.id,
            key=key,
            digest=_digest(request),
            request=whole,
        )

    @override
    async def call(self, prepared: Prepared, *, deadline: float, headers: Mapping[str, str]) -> Answer:
        compiled = self._compiled.get(prepared.operation) or self._compile(prepared.operation)
        auth = compiled.auth
        if compiled.in_steps or prepared.follow is not None:
            answer = await self._call_in_steps(compiled, prepared, deadline, headers)
        else:
            request = auth.apply(self._attempt(compiled, prepared.request, headers))
            answer = await compiled.transport.send(request, deadline=deadline)
        if self._drift is not None and compiled.id != RAW:
            self._drift.check_answer(compiled.operation, answer)
        return answer

    async def _call_in_steps(
        self, compiled: _Compiled, prepared: Prepared, deadline: float, headers: Mapping[str, str]
    ) -> Answer:
        """Make a call that needs more than one request: a token, a policy's own call, a challenge."""
        now = asyncio.get_running_loop().time
        until = now() + deadline
        auth = compiled.auth
        if auth.needs_ready:
            await auth.ready(deadline)

        async def exchange(own: Request, finish: Finish = _as_it_is) -> tuple[Request, Answer]:
            """Send a request that has its credentials, answer a challenge to it; return what was sent last.

            `finish` is done to what the login has set, each time that it does.
            """
            sent = finish(own)
            answer = await self._sendable(sent).send(sent, deadline=until - now())
            again = await auth.again(own, answer, until - now())
            if again is None:
                return sent, answer
            sent = finish(again)
            answer = await self._sendable(sent).send(sent, deadline=until - now())
            auth.ended(again, answer)
            return sent, answer

        async def signed(request: Request) -> Answer:
            return (await exchange(request))[1]

        async def send(request: Request) -> Answer:
            return await signed(auth.apply(request))

        request = self._attempt(compiled, prepared.request, headers)
        perform: Send = send
        policies = compiled.policies
        if policies is not None:
            fetch = partial(self._fetched, signed if policies.fetches_login else send)
            completed = await policies.complete(request, fetch, auth.apply)
            if isinstance(completed, Answer):
                return completed  # what a policy had to fetch first could not be had
            request, perform = completed, partial(_policed, policies, auth, exchange)
        if self._hook is not None and compiled.id in self._hooked:
            perform = partial(
                self._by_hook, compiled.id, headers.get(CAUSE_HEADER, prepared.key), send, until
            )
        if prepared.follow is None:
            return await perform(request)
        ask = send if self._hook is not None and compiled.id in self._hooked else None
        left = until - now()
        return await follow(
            request,
            compiled.operation,
            prepared.follow,
            perform,
            deadline=left,
            ask=ask,
            reached=self._reached,
        )

    async def _fetched(self, send: Send, request: Request) -> Answer:
        """Send what a policy has to know before the operation is called."""
        answer = await send(request)
        self._reached("call.fetched")
        return answer

    async def _hook_sent(self, send: Send, request: Request) -> Answer:
        """Send what a hook wants to be sent."""
        self._reached("call.hook_asked")
        answer = await send(request)
        self._reached("call.hook_answered")
        return answer

    async def _by_hook(
        self, operation: str, correlation: str, send: Send, until: float, request: Request
    ) -> Answer:
        """Let the hook perform an operation; what it sends has the login of the connection."""
        hook = self._hook
        if hook is None:
            raise Refused(f"{operation}: there is no hook")
        left = until - asyncio.get_running_loop().time()
        sent = partial(self._hook_sent, send)
        return await hook.execute(operation, request, sent, correlation=correlation, deadline=left)

    def _sendable(self, request: Request) -> Transport:
        """Return the transport for a request that policies or logins have changed. Raise Refused."""
        transport = self._origins.at(request.url)
        problems = transport.problems(request)
        if problems:
            raise Refused(f"{self.name}: cannot be sent: " + "; ".join(problems))
        return transport

    @override
    def show(self, prepared: Prepared) -> dict[str, Any]:
        compiled = self._compiled.get(prepared.operation) or self._compile(prepared.operation)
        request, masked = prepared.request, compiled.masked
        request = compiled.auth.mask(request if masked is None else masked.request(request))
        request = request if masked is None else masked.signed(request)
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
    def secrets(self) -> tuple[str, ...]:
        return (*self._auth.secrets(), *self._hidden)

    @override
    def login(self) -> Auth:
        return self._auth

    @override
    def differences(self) -> list[Difference]:
        return self._drift.report() if self._drift is not None else []

    @override
    async def close(self) -> None:
        if self._hook is not None:
            await self._hook.close()
        await self._auth.close()
        await self._origins.close()

    def _attempt(self, compiled: _Compiled, request: Request, headers: Mapping[str, str]) -> Request:
        """Return the request with the headers of one attempt."""
        if not headers:
            return request
        problems = header_problems(headers.items())
        if problems:
            raise Refused(f"{self.name}: " + "; ".join(problems))
        return compiled.with_attempt(request, headers)

    def _compile(self, name: str) -> _Compiled:
        described = find(self._spec, name, self.name)
        operation, raw = bound(described, self._spec, self._place.parameters), described.id == RAW
        header = operation.key_header or KEY_HEADER
        server = self._server_of(operation)
        hooked = operation.id in self._hooked
        policies = None if hooked else self._policies(operation)
        if policies is not None:
            server = policies.server(server)
            policies = policies.below(server) if raw else policies
        auth = self._auth.choose([[need.scheme for need in needs] for needs in operation.security])
        compiled = _Compiled(
            id=operation.id,
            operation=described,
            in_steps=auth.needs_ready or policies is not None or hooked,
            build=compile_raw(server, auth.mask(Request("GET", server)))
            if raw
            else compile_operation(operation, self._spec, server),
            completion=completion(operation, self._spec, self._place.parameters),
            key_header=header,
            write_key=key_writer(operation, header, self._spec.registry),
            sets_headers=raw or any(one.location == "header" for one in operation.parameters),
            keyless=frozenset() if operation.key_header else _KEYLESS,
            auth=auth,
            transport=self._origins.at(server),
            policies=policies,
            masked=policies.masked() if policies is not None else None,
        )
        self._compiled[operation.id] = compiled
        if name in self._spec.aliases:  # only names of the description: callers cannot make this grow
            self._compiled[name] = compiled
        return compiled

    def _policies(self, operation: Operation) -> OperationPolicies | None:
        """Return the policies of an operation; a server that the connection itself names is not overruled."""
        return compile_policies(self._spec, operation, self._place.parameters, hosts=self._place.own)

    def _server_of(self, operation: Operation) -> str:
        """Return the base URL of an operation. Raise Refused where its own server cannot be used."""
        if not (self._place.own and operation.servers):
            return self._server
        return own_server(operation.servers[0], self._server, self._place.variables)


def _as_it_is(request: Request) -> Request:
    return request


async def _policed(policies: OperationPolicies, auth: Auth, exchange: Exchange, request: Request) -> Answer:
    """Make a call whose policies look at what the login has set, and at the answer."""
    if policies.fetches_login:  # it stands in the request already
        return policies.answer(*await exchange(request, _as_it_is))
    return policies.answer(*await exchange(auth.apply(request), policies.signed))


def _hooked(spec: Spec, named: Collection[str]) -> frozenset[str]:
    """Return the ids of the operations that a hook performs. Raise Refused for names of none."""
    found = {name: spec.find(name) for name in named}
    unknown = [name for name, one in found.items() if one is None]
    left_out = [name for name in unknown if spec.why_left_out(name) is not None]
    if left_out:
        raise Refused(f"the hook is to perform {', '.join(left_out)}, left out of the connector")
    if unknown:
        from difflib import get_close_matches  # rare, and slow to import

        near = [one for name in unknown for one in get_close_matches(name, list(spec.operations), n=1)]
        meant = f"; did you mean {', '.join(near)}?" if near else ""
        missing = ", ".join(unknown)
        raise Refused(f"the hook is to perform {missing}, which the description does not have{meant}")
    listed = tuple(one.id for one in found.values() if one is not None)
    return frozenset(one.id for one in spec.operations.values() if performs(one, listed))


def _digest(request: Request) -> bytes:
    """Return a hash over what the arguments made. The encoding is of a plain tuple: names may change."""
    whole = msgspec.msgpack.encode((request.method, request.url, request.headers, request.body))
    return hashlib.blake2b(whole, digest_size=16).digest()

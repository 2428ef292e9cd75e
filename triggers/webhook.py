"""The webhook source: one address, `POST /hooks/{name}`.

`receive` decides a request in a fixed order: handshakes that need no proof, verification over the raw bytes,
handshakes that do, then decoding. Whoever is not genuine gets one and the same 401 and leaves nothing behind
but a count; what is genuine and unreadable is kept as a reject. Sockets, limits and storing are not its
business.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictInt
from typing_extensions import override

from triggers.base import (
    Batch,
    Finding,
    HttpRequest,
    HttpSource,
    Reject,
    Reply,
    SourceConfig,
    SourceContext,
    problem,
)
from triggers.cloudevents import decode, mode_of
from triggers.errors import BadEvent, SourceRejected
from triggers.expressions import compile_expressions
from triggers.handshakes import (
    cloudevents_options,
    graph_validation,
    meta_subscription,
    slack_url_verification,
)
from triggers.keys import BadSecret
from triggers.message import DataFormat, TriggerMessage
from triggers.presets import GENERIC
from triggers.quantities import Size
from triggers.signatures import Received, Verifier
from triggers.verification import NoVerify, VerifyConfig
from triggers.wrapping import Wrapper, describe, joined

UNAUTHENTICATED: Final = problem(401, "bad-signature", "Not authenticated", www_authenticate="Webhook")
"""The one answer to everybody who is not genuine, whatever the scheme and whatever was wrong."""

_MEDIA_REASONS: Final = frozenset({"unsupported-charset", "unsupported-encoding", "unsupported-format"})

_FIXED_FORMS: Final[Mapping[str, DataFormat]] = {
    "json": "json",
    "form": "form",
    "text": "text",
    "binary": "binary",
}

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RespondConfig(_Closed):
    """The answer once the message is stored."""

    status: StrictInt = Field(default=200, ge=200, le=299, description="The status: it says that we have it.")
    headers: dict[
        Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{0,127}$")],
        Annotated[str, Field(pattern=r"^[\t -~]*$")],
    ] = Field(default={}, description="Headers of the answer.", examples=[{"content-type": "text/xml"}])
    body: str = Field(default="", max_length=16_384, description="The body.", examples=["<Response/>"])


class SlackHandshake(_Closed):
    """Slack's `url_verification`; implied by `verify: {scheme: slack}`."""

    kind: Literal["slack"] = Field(description="Slack.")


class MetaHandshake(_Closed):
    """Meta's `hub.challenge` (Facebook, Instagram, WhatsApp)."""

    kind: Literal["meta"] = Field(description="Meta.")
    verify_tokens: tuple[SecretStr, ...] = Field(
        min_length=1, max_length=8, description="The verify tokens that were given to Meta."
    )


class GraphHandshake(_Closed):
    """Microsoft Graph's `validationToken`."""

    kind: Literal["microsoft-graph"] = Field(description="Microsoft Graph.")


class WebhookConfig(SourceConfig):
    """One webhook address."""

    model_config = ConfigDict(hide_input_in_errors=True)

    expressions: ClassVar[tuple[str, ...]] = ("id", "type", "subject")

    kind: Literal["webhook"] = Field(description="Requests to /hooks/{name of the source}.")
    verify: VerifyConfig = Field(
        description="How to tell who sent a request; say {scheme: none} for not at all."
    )
    id: str | None = Field(
        default=None,
        min_length=1,
        description="CEL: the message's id, by which repeats are known. Absent: the provider's, or random.",
        examples=["data.event_id"],
    )
    type: str | None = Field(
        default=None, min_length=1, description="CEL: the message's type. Absent: what the provider sends."
    )
    subject: str | None = Field(
        default=None, min_length=1, description="CEL: the message's subject. Absent: what the provider sends."
    )
    body: Literal["auto", "json", "form", "text", "binary", "cloudevents"] = Field(
        default="auto",
        description="How bodies are read. `auto`: as CloudEvents or by Content-Type; otherwise always so.",
    )
    max_body: Size = Field(
        default=1024 * 1024, gt=0, le=256 * 1024 * 1024, description="The largest body that is taken."
    )
    methods: tuple[Method, ...] = Field(
        default=("POST",), min_length=1, description="The methods that deliver."
    )
    respond: RespondConfig | None = Field(
        default=None, description="The answer once stored. Absent: 202 with the message's id."
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s@]+(/[^?#\s]*)?$",
        description="This hook's whole address as the sender calls it, where the address is signed.",
        examples=["https://hooks.example.com/hooks/twilio"],
    )
    handshake: Annotated[
        SlackHandshake | MetaHandshake | GraphHandshake | None, Field(discriminator="kind")
    ] = Field(default=None, description="What the provider asks before it delivers.")
    allowed_origins: tuple[Annotated[str, Field(min_length=1, max_length=253)], ...] = Field(
        default=(),
        description="Senders that get permission by CloudEvents' OPTIONS handshake; `*`: all. Absent: none.",
        examples=[["eventgrid.azure.net"]],
    )
    allowed_rate: StrictInt | None = Field(
        default=None, ge=1, description="Requests a minute that such senders are granted. Absent: no limit."
    )


class WebhookSource(HttpSource[WebhookConfig]):
    """One webhook address. `refusals` counts by slug why requests were not genuine."""

    kind: ClassVar[str] = "webhook"
    Config: ClassVar[type[SourceConfig]] = WebhookConfig

    def __init__(
        self, name: str, config: WebhookConfig, *, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        super().__init__(name, config)
        self.refusals: Counter[str] = Counter()
        self._random = random
        handshake = config.handshake
        self._meta_tokens = (
            tuple(token.get_secret_value().encode() for token in handshake.verify_tokens)
            if isinstance(handshake, MetaHandshake)
            else ()
        )
        self._slack = isinstance(handshake, SlackHandshake) or config.verify.preset.handshake == "slack"
        self._graph = isinstance(handshake, GraphHandshake)
        extra = {"OPTIONS"} if config.allowed_origins else set()
        extra |= {"GET"} if self._meta_tokens else set()
        self._methods = frozenset({*config.methods, *extra})
        self._form = _FIXED_FORMS.get(config.body)
        self._cloudevents = self._form is None
        self._reply = _reply(config)
        self._origins = tuple(origin.lower() for origin in config.allowed_origins)
        self._verifier: Verifier | None = None
        self._drop_headers = frozenset[str]()
        self._drop_query = frozenset[str]()
        self._wrapper: Wrapper | None = None

    @property
    @override
    def methods(self) -> frozenset[str]:
        return self._methods

    @property
    @override
    def max_body_bytes(self) -> int:
        return self.config.max_body

    @override
    def review(self) -> list[Finding]:
        return [
            *self.config.verify.check(),
            *_check_tokens(self._meta_tokens),
            *_check_meaning(self.config),
        ]

    @override
    async def open(self, context: SourceContext) -> None:
        config = self.config
        try:
            if not isinstance(config.verify, NoVerify):
                self._verifier = Verifier(config.verify.schemes(), config.verify.texts())
                self._drop_headers = self._verifier.reads_headers
                self._drop_query = self._verifier.reads_query
        except BadSecret as error:
            raise SourceRejected(f"{self.name}: {error}") from error
        if any(not token for token in self._meta_tokens):
            raise SourceRejected(f"{self.name}: a verify token is empty")
        self._wrapper = Wrapper(
            source=f"/sources/{self.name}",
            preset=config.verify.preset,
            form=self._form,
            expressions=compile_expressions(config, context),
            random=self._random,
        )

    @override
    async def close(self) -> None:
        self._wrapper = None

    @override
    def receive(self, request: HttpRequest) -> Reply | Batch:
        wrapper = self._wrapper
        if wrapper is None:
            return problem(503, "not-open", "The source is not open", retry_after="5")
        headers = joined(request.headers)
        if request.method == "OPTIONS":
            return cloudevents_options(
                headers, origins=self._origins, rate=self.config.allowed_rate, methods=self.config.methods
            )
        if request.method == "GET" and self._meta_tokens and "hub." in request.query:
            return meta_subscription(request.query, self._meta_tokens)
        if self._verifier is not None:
            refusal = self._verifier.refusal(
                Received(
                    headers=headers,
                    body=request.body,
                    now=request.now,
                    method=request.method,
                    url=self._url(request),
                )
            )
            if refusal is not None:
                self.refusals[refusal] += 1
                return UNAUTHENTICATED
        reply = graph_validation(request.query) if self._graph else None
        if self._slack and reply is None:
            reply = slack_url_verification(request.body)
        return reply or self._decoded(request, headers, wrapper)

    def _decoded(self, request: HttpRequest, headers: Mapping[str, str], wrapper: Wrapper) -> Batch:
        meta = describe(
            request.method,
            headers,
            request.query,
            drop_headers=self._drop_headers,
            drop_query=self._drop_query,
        )
        try:
            return Batch(items=self._items(request, headers, meta, wrapper), reply=self._reply)
        except BadEvent as bad:
            reject = Reject(reason=bad.reason, detail=bad.detail, data=request.body, meta=meta)
            return Batch(items=(reject,), reply=_refused(bad))

    def _items(
        self, request: HttpRequest, headers: Mapping[str, str], meta: dict[str, Any], wrapper: Wrapper
    ) -> tuple[TriggerMessage, ...]:
        """Return the messages that a genuine request carries. Raise BadEvent."""
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise BadEvent("unsupported-encoding", "send the body without Content-Encoding")
        mode = mode_of(headers) if self._cloudevents else None
        if mode is None:
            if self.config.body == "cloudevents":
                raise BadEvent("invalid-cloudevent", "the request carries no CloudEvent")
            return (wrapper.wrap(headers, request.body, meta),)
        events = decode(headers, request.body, mode)
        if mode == "binary":  # they are attributes now
            kept = {name: value for name, value in meta["headers"].items() if not name.startswith("ce-")}
            meta = {**meta, "headers": kept}
        return tuple(msgspec.structs.replace(event, meta=meta) for event in events)

    def _url(self, request: HttpRequest) -> str:
        """Return the address that the sender called."""
        base = self.config.public_url or f"{request.scheme}://{request.host}{request.path}"
        return f"{base}?{request.query}" if request.query else base


def _reply(config: WebhookConfig) -> Reply | None:
    """Return the answer once stored: the configured one, the provider's, or None for what is usual."""
    respond, preset = config.respond, config.verify.preset
    if respond is not None:
        headers = tuple((name.lower(), value) for name, value in respond.headers.items())
        return Reply(status=respond.status, headers=headers, body=respond.body.encode("utf-8"))
    if preset.content_type:
        return Reply(status=200, headers=(("content-type", preset.content_type),), body=preset.answer)
    return None


def _refused(bad: BadEvent) -> Reply:
    """Return the answer to a genuine sender whose body cannot become a message."""
    if bad.reason in _MEDIA_REASONS:
        headers = {"accept_encoding": "identity"} if bad.reason == "unsupported-encoding" else {}
        return problem(415, "unsupported-media-type", "Unsupported media type", bad.detail, **headers)
    if bad.reason == "invalid-cloudevent":
        return problem(400, "invalid-cloudevent", "Not a valid CloudEvent", bad.detail)
    if bad.reason == "too-deep":
        return problem(400, "too-deep", "The body is nested too deep", bad.detail)
    return problem(400, "invalid-body", "The body cannot be read", bad.detail)


def _check_tokens(tokens: tuple[bytes, ...]) -> list[Finding]:
    return [
        Finding(
            severity="error",
            code="empty-secret",
            message="the verify token is empty",
            fix="give the token that Meta was told",
            field=f"handshake.verify_tokens.{place}",
        )
        for place, token in enumerate(tokens)
        if not token
    ]


def _check_meaning(config: WebhookConfig) -> list[Finding]:
    """Return what is allowed and probably not meant."""
    findings = []

    def warn(code: str, message: str, fix: str, field: str) -> None:
        findings.append(Finding(severity="warning", code=code, message=message, fix=fix, field=field))

    verify = config.verify
    if verify.preset.id in ((), GENERIC.id) and config.id is None and config.body != "cloudevents":
        warn(
            "random-id",
            "no id is sure to come from outside: a repeated request would become a second message",
            "say where the id is, for example id: data.event_id",
            "id",
        )
    if verify.signs_url and config.public_url is None:
        warn(
            "no-public-url",
            "the sender signs the address it calls; behind a proxy we may see another one",
            "set public_url to the whole address",
            "public_url",
        )
    if isinstance(config.handshake, GraphHandshake) and verify.signs_body:
        warn("handshake-unsigned", "Microsoft Graph signs nothing", "use an api-key in the query", "verify")
    return findings

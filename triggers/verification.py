"""The `verify:` part of a webhook's configuration: which scheme, with which secrets and options.

Shape and meaning only: each model says which schemes (`triggers.signatures`, `triggers.credentials`) it
stands for. Nothing here sees a request.
"""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StrictBool, model_validator
from typing_extensions import override

from triggers.base import Finding
from triggers.credentials import ApiKey, Basic, Bearer
from triggers.keys import Algorithm, BadSecret, KeyForm
from triggers.presets import GENERIC, GITHUB_SHA1, PRESETS, Preset
from triggers.quantities import Duration
from triggers.signatures import Encoding, Scheme, Signature, TwilioSignature, Verifier

HeaderName = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_.-]{0,127}$")]

DEFAULT_TOLERANCE: Final = timedelta(minutes=5)
_LONGEST: Final = timedelta(hours=1)
_SHORTEST: Final = timedelta(seconds=10)
_TOLERANCE: Final = "How far the sender's timestamp may be from our clock, both ways."


class Verify(BaseModel):
    """What every scheme with secrets has."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    scheme: str
    secrets: tuple[SecretStr, ...] = Field(
        min_length=1,
        max_length=8,
        description="Every secret that is live now: two while one is being replaced. Any of them will do.",
    )

    @property
    def preset(self) -> Preset:
        """What is known of the sender."""
        return PRESETS.get(self.scheme, GENERIC)

    def schemes(self) -> tuple[Scheme, ...]:
        """Return the schemes; a request is genuine when one of them says so."""
        return self.preset.schemes

    def texts(self) -> tuple[str, ...]:
        """Return the secrets in plain."""
        return tuple(secret.get_secret_value() for secret in self.secrets)

    @property
    def signs_url(self) -> bool:
        """Whether the address that the sender called is part of what is signed."""
        return any(
            isinstance(scheme, TwilioSignature) or "{url}" in getattr(scheme, "signed", "")
            for scheme in self.schemes()
        )

    @property
    def signs_body(self) -> bool:
        """Whether a request without a signature cannot be genuine."""
        return any(isinstance(scheme, (Signature, TwilioSignature)) for scheme in self.schemes())

    def check(self) -> list[Finding]:
        """Return what is wrong with each secret, without ever showing it."""
        findings = []
        for place, text in enumerate(self.texts()):
            try:
                Verifier(self.schemes(), (text,))
            except BadSecret as error:
                findings.append(
                    Finding(
                        severity="error",
                        code="bad-secret" if text else "empty-secret",
                        message=str(error),
                        fix="give the secret as the provider shows it",
                        field=f"verify.secrets.{place}",
                    )
                )
        return findings


class GitHubVerify(Verify):
    """GitHub: `X-Hub-Signature-256`."""

    scheme: Literal["github"] = Field(description="The provider.")
    sha1: StrictBool = Field(
        default=False, description="Whether `X-Hub-Signature` (SHA-1) will do too: old Enterprise Servers."
    )

    @override
    def schemes(self) -> tuple[Scheme, ...]:
        return (*super().schemes(), GITHUB_SHA1) if self.sha1 else super().schemes()


class ProviderVerify(Verify):
    """A provider that signs or names a token, without a timestamp."""

    scheme: Literal["gitlab", "gitea", "gogs", "bitbucket", "shopify", "twilio"] = Field(
        description="The provider."
    )


class TimedVerify(Verify):
    """A provider that signs a timestamp too: what is too old, or from the future, is refused."""

    scheme: Literal["stripe", "slack", "sendgrid", "standard-webhooks"] = Field(description="The provider.")
    tolerance: Duration = Field(default=DEFAULT_TOLERANCE, description=_TOLERANCE)

    @override
    def schemes(self) -> tuple[Scheme, ...]:
        seconds = self.tolerance.total_seconds()
        return tuple(msgspec.structs.replace(scheme, tolerance=seconds) for scheme in super().schemes())

    @override
    def check(self) -> list[Finding]:
        return super().check() + _check_tolerance(self.tolerance)


class HmacVerify(Verify):
    """Any signature in a header: what is signed, how, and how it is written."""

    scheme: Literal["hmac"] = Field(description="A signature that is described here.")
    header: HeaderName = Field(description="The header with the signature.", examples=["X-Signature"])
    algorithm: Algorithm = Field(
        default="sha256", description="HMAC with this hash, or a public-key signature."
    )
    encoding: Encoding = Field(default="hex", description="How the signature is written.")
    prefix: str = Field(default="", max_length=64, description="What stands before it: `sha256=`, `v1=`.")
    separator: str = Field(
        default="", max_length=1, description="What parts the items of the header, if it is a list: `,`."
    )
    timestamp_header: HeaderName | None = Field(default=None, description="The header with the timestamp.")
    timestamp_prefix: str = Field(
        default="", max_length=64, description="The timestamp's prefix, if it is an item of the header: `t=`."
    )
    timestamp_unit: Literal["s", "ms"] = Field(
        default="s", description="What the timestamp counts since 1970."
    )
    id_header: HeaderName | None = Field(default=None, description="The header with the message's id.")
    signed: str = Field(
        default="{body}",
        max_length=512,
        description="What is signed: text with {body}, {timestamp}, {id}, {url}, {method}.",
        examples=["{timestamp}.{body}"],
    )
    key: KeyForm = Field(default="text", description="How the secret stands for the key's bytes.")
    tolerance: Duration = Field(default=DEFAULT_TOLERANCE, description=_TOLERANCE)

    @property
    @override
    def preset(self) -> Preset:
        if self.id_header is None:
            return GENERIC
        return Preset(schemes=(), id=(f"{{header.{self.id_header.lower()}}}",))

    @override
    def schemes(self) -> tuple[Scheme, ...]:
        return (self._signature(),)

    @model_validator(mode="after")
    def _sound(self) -> "HmacVerify":
        problems = self._signature().problems()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @override
    def check(self) -> list[Finding]:
        timed = "{timestamp}" in self.signed
        return super().check() + (_check_tolerance(self.tolerance) if timed else [])

    def _signature(self) -> Signature:
        return Signature(
            header=self.header.lower(),
            algorithm=self.algorithm,
            encoding=self.encoding,
            prefix=self.prefix,
            separator=self.separator,
            timestamp_header=(self.timestamp_header or "").lower(),
            timestamp_prefix=self.timestamp_prefix,
            timestamp_unit=self.timestamp_unit,
            id_header=(self.id_header or "").lower(),
            signed=self.signed,
            key_form=self.key,
            tolerance=self.tolerance.total_seconds(),
        )


class BasicVerify(Verify):
    """User name and password (RFC 7617); the secrets are the passwords."""

    scheme: Literal["basic"] = Field(description="User name and password.")
    username: str = Field(min_length=1, pattern="^[^:]*$", description="The user name; not a secret.")

    @override
    def schemes(self) -> tuple[Scheme, ...]:
        return (Basic(username=self.username),)


class BearerVerify(Verify):
    """A token in `Authorization: Bearer`."""

    scheme: Literal["bearer"] = Field(description="A bearer token.")
    query: StrictBool = Field(
        default=False, description="Whether the query's `access_token` will do too. It ends up in logs."
    )

    @override
    def schemes(self) -> tuple[Scheme, ...]:
        return (Bearer(in_query=self.query),)

    @override
    def check(self) -> list[Finding]:
        return super().check() + ([_in_query()] if self.query else [])


class ApiKeyVerify(Verify):
    """A shared token in a header or a query parameter of any name."""

    scheme: Literal["api-key"] = Field(description="A shared token.")
    header: HeaderName | None = Field(default=None, description="The header with the token.")
    query: str | None = Field(default=None, min_length=1, description="The query parameter with the token.")

    @model_validator(mode="after")
    def _one_place(self) -> "ApiKeyVerify":
        if (self.header is None) == (self.query is None):
            raise ValueError("the token is either in a `header` or in a `query` parameter: name one")
        return self

    @override
    def schemes(self) -> tuple[Scheme, ...]:
        return (ApiKey(header=(self.header or "").lower(), query=self.query or ""),)

    @override
    def check(self) -> list[Finding]:
        return super().check() + ([_in_query()] if self.query else [])


class NoVerify(BaseModel):
    """Nothing is verified: everybody who knows the address may send."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scheme: Literal["none"] = Field(description="Nothing is verified.")

    @property
    def preset(self) -> Preset:
        """What is known of the sender."""
        return GENERIC

    @property
    def signs_url(self) -> bool:
        """Whether the address that the sender called is part of what is signed."""
        return False

    @property
    def signs_body(self) -> bool:
        """Whether a request without a signature cannot be genuine."""
        return False

    def check(self) -> list[Finding]:
        """Return that nothing is verified."""
        return [
            _warning("unverified", "everybody who knows the address can send", "verify with a secret", "")
        ]


def _warning(code: str, message: str, fix: str, option: str) -> Finding:
    field = f"verify.{option}" if option else "verify"
    return Finding(severity="warning", code=code, message=message, fix=fix, field=field)


def _in_query() -> Finding:
    return _warning("token-in-query", "tokens in addresses end up in logs", "use a header", "query")


def _check_tolerance(tolerance: timedelta) -> list[Finding]:
    if tolerance > _LONGEST:
        text = "so long can a captured request be sent again"
        return [_warning("long-tolerance", text, "5m is usual", "tolerance")]
    if tolerance < _SHORTEST:
        text = "clocks differ by more than that"
        return [_warning("short-tolerance", text, "5m is usual", "tolerance")]
    return []


def _none(value: Any) -> Any:
    return {"scheme": "none"} if value == "none" else value


VerifyConfig = Annotated[
    GitHubVerify
    | ProviderVerify
    | TimedVerify
    | HmacVerify
    | BasicVerify
    | BearerVerify
    | ApiKeyVerify
    | NoVerify,
    Field(discriminator="scheme"),
    BeforeValidator(_none),
]
"""Exactly one way to tell who sent a request."""

SCHEME_NAMES: Final = tuple(
    name
    for model in get_args(get_args(VerifyConfig)[0])
    for name in get_args(model.model_fields["scheme"].annotation)
)
"""What `verify.scheme` may be."""

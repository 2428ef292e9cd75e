"""The shape of a connection's `auth`: how it logs in. What a login does is `actions.auth`'s business.

Secrets are `SecretStr` here; in files they are references. What the description may say instead is optional.
"""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, StrictInt, WithJsonSchema, model_validator
from typing_extensions import override

from service.config.closed import Closed
from service.config.values import Duration, Refused

WAYS = ("bearer", "basic", "digest", "api_key", "jwt", "oauth2")
"""The ways to log in; a login is exactly one of them."""

URL = Annotated[
    str,
    Field(pattern=r"^https?://[^\s@#]+$"),
    WithJsonSchema({"type": "string", "pattern": r"^https?://[^\s@#]+$"}),
]

PageURL = Annotated[
    str,
    Field(pattern=r"^https?://[^\s@]+$"),
    WithJsonSchema({"type": "string", "pattern": r"^https?://[^\s@]+$"}),
]
"""What a browser opens: some have a fragment."""


def _listed(value: Any) -> Any:
    return tuple(value.split()) if isinstance(value, str) else value


def _one_or_more(item: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


Scopes = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_listed),
    WithJsonSchema(_one_or_more({"type": "string", "minLength": 1})),
]
Status = Annotated[StrictInt, Field(ge=100, le=599)]
Statuses = Annotated[
    tuple[Status, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, int) else value),
    WithJsonSchema(_one_or_more({"type": "integer", "minimum": 100, "maximum": 599})),
]


class BasicLogin(Closed):
    """User name and password (RFC 7617)."""

    username: str = Field(min_length=1, description="The user name; not a secret.")
    password: SecretStr = Field(description="The password.")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None, description="For Kafka only: how the password is proven (SASL); absent: PLAIN."
    )


class DigestLogin(Closed):
    """User name and password, proven without being sent (RFC 7616)."""

    username: str = Field(min_length=1, description="The user name; not a secret.")
    password: SecretStr = Field(description="The password.")


class AssertionConfig(Closed):
    """A JSON Web Token that we sign ourselves (RFC 7519, 7523)."""

    key: SecretStr = Field(description="What signs: a private key in PEM, a JWK, or a shared secret.")
    algorithm: (
        Literal[
            "RS256",
            "RS384",
            "RS512",
            "PS256",
            "PS384",
            "PS512",
            "ES256",
            "ES384",
            "ES512",
            "EdDSA",
            "HS256",
            "HS384",
            "HS512",
        ]
        | None
    ) = Field(default=None, description="How it is signed; absent: what is usual for the key.")
    key_id: str | None = Field(default=None, description="`kid` of the header: which key it is.")
    issuer: str | None = Field(default=None, description="`iss`; absent: the client id.")
    subject: str | None = Field(default=None, description="`sub`: for whom; absent: none.")
    audience: str | None = Field(default=None, description="`aud`: who is to take it; absent: the token URL.")
    lifetime: Duration = Field(default=timedelta(minutes=5), description="How long one is good.")
    claims: dict[str, str | StrictInt] = Field(default={}, description="More claims, by name.")


class ExpiredConfig(Closed):
    """Which answers of the backend mean that the token has expired, beside 401; all that is said must fit."""

    status: Statuses = Field(default=(), description="One of these statuses.")
    body_contains: str | None = Field(default=None, min_length=1, description="This text in the body.")

    @model_validator(mode="after")
    def _something(self) -> "ExpiredConfig":
        if not self.status and self.body_contains is None:
            raise Refused("`expired_when` says nothing", "give one of status, body_contains")
        return self


class OAuth2Config(Closed):
    """Tokens of an OAuth 2 server (RFC 6749): fetched when they are needed, renewed before they end."""

    grant: (
        Literal["client_credentials", "password", "refresh_token", "jwt_bearer", "authorization_code"] | None
    ) = Field(
        default=None,
        description="How a token is got; absent: what fits the fields given and the description. With "
        "authorization_code a person logs in once: pointsman connections login NAME.",
    )
    token_url: URL | None = Field(default=None, description="Where tokens come from.")
    refresh_url: URL | None = Field(
        default=None, description="Where refresh tokens are taken; absent: token_url."
    )
    authorization_url: PageURL | None = Field(default=None, description="Where people log in.")
    discovery: URL | None = Field(
        default=None, description="An issuer that tells these URLs itself (OpenID Connect Discovery)."
    )
    client_id: str | SecretStr | None = Field(default=None, description="Who we are to the token server.")
    client_secret: SecretStr | None = Field(default=None, description="What proves it.")
    client_auth: (
        Literal["auto", "client_secret_basic", "client_secret_post", "private_key_jwt", "none"] | None
    ) = Field(
        default=None,
        description="How we prove it; absent: with the secret in the header, or in the form where that is "
        "not taken.",
    )
    scopes: Scopes = Field(default=(), description="What the token is to be good for; a list, or words.")
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=3, description="What stands between scopes; absent: a space."
    )
    username: str | None = Field(default=None, min_length=1, description="For the grant password.")
    password: SecretStr | None = Field(default=None, description="For the grant password.")
    refresh_token: SecretStr | None = Field(
        default=None, description="The first refresh token; what it is replaced by is kept, sealed."
    )
    assertion: AssertionConfig | None = Field(
        default=None, description="What is signed for the grant jwt_bearer, or to prove the client."
    )
    extra: dict[str, str | SecretStr] = Field(
        default={}, description="More fields of token requests: audience, resource, …"
    )
    authorization_extra: dict[str, str | SecretStr] = Field(
        default={}, description="More fields of the address where people log in: prompt, access_type, …"
    )
    redirect: URL | None = Field(
        default=None, description="Where the browser comes back to; it is registered with the token server."
    )
    expired_when: ExpiredConfig | None = Field(
        default=None, description="Which answers mean that the token has expired, beside 401."
    )

    @model_validator(mode="after")
    def _pair(self) -> "OAuth2Config":
        if (self.username is None) != (self.password is None):
            raise Refused("`username` and `password` go together", "give both or neither")
        return self


class SchemeLogin(Closed):
    """The credentials of one security scheme: exactly one way to log in."""

    bearer: SecretStr | None = Field(default=None, description="A token for `Authorization: Bearer`.")
    basic: BasicLogin | None = Field(default=None, description="User name and password.")
    digest: DigestLogin | None = Field(
        default=None, description="User name and password, proven without being sent."
    )
    api_key: SecretStr | None = Field(default=None, description="An API key.")
    jwt: AssertionConfig | None = Field(
        default=None, description="A token that we sign ourselves, anew when the last one ends."
    )
    oauth2: OAuth2Config | None = Field(default=None, description="Tokens of an OAuth 2 server.")
    in_: Literal["header", "query", "cookie"] | None = Field(
        default=None,
        alias="in",
        description="Where the API key or token goes, if the description does not say.",
    )
    name: str | None = Field(
        default=None,
        min_length=1,
        description="Name of that header, parameter or cookie, if the description does not say.",
    )
    prefix: str | None = Field(
        default=None,
        max_length=64,
        description="What stands before the API key or token, its space included; absent: nothing before a "
        "key, `Bearer ` before a token.",
        examples=["Token "],
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "SchemeLogin":
        kinds = self._kinds()
        if len(kinds) != 1:
            raise Refused(
                f"one way to log in is wanted, {len(kinds)} are given: {', '.join(kinds) or 'none'}",
                self._choice(),
            )
        placed = self.api_key is not None or self.oauth2 is not None or self.jwt is not None
        if not placed and (self.in_ is not None or self.name is not None):
            raise Refused("`in` and `name` belong to `api_key`, `jwt` and `oauth2`", "remove them")
        if (self.in_ is None) != (self.name is None):
            raise Refused("`in` and `name` go together", "give both, or neither: the description says it")
        if self.prefix is not None and not placed and self.bearer is None:
            raise Refused("`prefix` belongs to `api_key`, `bearer`, `jwt` and `oauth2`", "remove it")
        return self

    def _kinds(self) -> list[str]:
        return [kind for kind in WAYS if getattr(self, kind) is not None]

    def _choice(self) -> str:
        return f"give one of {', '.join(WAYS)}"


class LoginConfig(SchemeLogin):
    """How a connection logs in: one way; or several security schemes of the description together."""

    schemes: dict[str, SchemeLogin] | None = Field(
        default=None,
        min_length=1,
        description="Credentials by the name of the description's security scheme, where several are wanted.",
    )

    @override
    def _kinds(self) -> list[str]:
        return super()._kinds() + ["schemes"] * (self.schemes is not None)

    @override
    def _choice(self) -> str:
        return f"give one of {', '.join(WAYS)}; for several at once use schemes: {{name: {{…}}, …}}"

"""Signed statements about ourselves: JWTs as grants, as proof of the client, and as tokens of their own.

Pure but for the randomness of `jti`; the time is handed in.
"""

import secrets
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from joserfc import jwk, jwt
from joserfc.errors import JoseError
from typing_extensions import override

from actions.auth.base import MASK, Fixed
from actions.auth.placing import AUTHORIZATION, Spot
from actions.errors import Refused
from actions.transport import Request

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    "HS256", "HS384", "HS512",
)  # fmt: skip
LIFETIME: Final = 300
"""Seconds. Most servers refuse what is valid for more than an hour, some for more than ten minutes."""

_FAMILIES: Final[dict[str, tuple[str, ...]]] = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
    "oct": ("HS256", "HS384", "HS512"),
}
_CURVES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """What to sign and with what: a private key as PEM, a JWK, or a shared secret. `lifetime` in seconds."""

    key: Any = field(repr=False)
    algorithm: str
    key_id: str = ""
    issuer: str = ""
    subject: str = ""
    audience: str = ""
    lifetime: int = LIFETIME
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def sign(self, now: float, *, issuer: str = "", subject: str = "", audience: str = "") -> str:
        """Return the compact JWT; what the assertion does not say itself is taken from the arguments."""
        claims: dict[str, Any] = {
            "iss": self.issuer or issuer,
            "sub": self.subject or subject,
            "aud": self.audience or audience,
            "iat": int(now),
            "exp": int(now) + self.lifetime,
            "jti": secrets.token_urlsafe(16),
        }
        claims = {name: value for name, value in claims.items() if value} | dict(self.claims)
        header = {"alg": self.algorithm, **({"kid": self.key_id} if self.key_id else {})}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # which algorithm is good enough is the other side's choice
            return jwt.encode(header, claims, self.key, algorithms=[self.algorithm])


def read_assertion(given: Mapping[str, Any]) -> Assertion:
    """Return what a configured assertion means. Raise Refused with every problem, never with the key."""
    key, problems = _read_key(str(given.get("key") or ""))
    algorithm = given.get("algorithm") or ""
    if key is not None:
        fitting = _FAMILIES[key.key_type]
        if not algorithm:
            algorithm = _CURVES.get(str(getattr(key, "curve_name", "")), fitting[0])
        if algorithm not in fitting:
            problems.append(f"the key signs with {', '.join(fitting)}, not with {algorithm}")
    if problems:
        raise Refused("auth: assertion: " + "; ".join(problems))
    return Assertion(
        key=key,
        algorithm=algorithm,
        key_id=given.get("key_id") or "",
        issuer=given.get("issuer") or "",
        subject=given.get("subject") or "",
        audience=given.get("audience") or "",
        lifetime=int(given.get("lifetime") or LIFETIME),
        claims=given.get("claims") or {},
    )


def _read_key(text: str) -> tuple[Any, list[str]]:
    text = text.strip()
    if not text:
        return None, ["it needs a key"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a short secret is the other side's choice
        try:
            if text.startswith("{"):
                key = jwk.import_key(msgspec.json.decode(text, type=dict[str, Any]))
            elif text.startswith("-----BEGIN"):
                key = jwk.import_key(text)
            else:
                key = jwk.import_key(text, "oct")
        except (JoseError, ValueError, TypeError, KeyError, msgspec.MsgspecError):
            return None, ["the key is neither a private key in PEM, nor a JWK, nor a shared secret"]
    if key.key_type == "oct" and text.startswith("-----BEGIN"):
        return None, ["the key is no private key in PEM that we can read; an encrypted one must be decrypted"]
    if key.key_type != "oct" and not key.is_private:
        return None, ["the key is a public one: nothing can be signed with it"]
    return key, []


class SelfSigned(Fixed):
    """A token that we sign ourselves for each few minutes: no token server is asked."""

    def __init__(self, assertion: Assertion, clock: Callable[[], float], spot: Spot = AUTHORIZATION) -> None:
        self._assertion = assertion
        self._clock = clock
        self._spot = spot
        self._token = ""
        self._until = 0.0

    @override
    def apply(self, request: Request) -> Request:
        now = self._clock()
        if now >= self._until:
            self._token = self._assertion.sign(now)
            self._until = now + 0.8 * self._assertion.lifetime
        return self._spot.put(request, self._token)

    @override
    def mask(self, request: Request) -> Request:
        return self._spot.put(request, MASK)

    @override
    def secrets(self) -> tuple[str, ...]:
        return (self._token,)

"""Turns configured secrets into keys, and does what public keys do. Pure.

A wrong secret is a `BadSecret`, which never repeats it. Whether a signature fits is a bool: nothing that a
sender wrote makes these functions raise.
"""

import base64
from typing import Any, Final, Literal

Algorithm = Literal["sha1", "sha256", "sha384", "sha512", "ecdsa-p256", "ed25519"]
"""HMAC with that hash, or a public-key signature (ECDSA: P-256 with SHA-256, DER)."""

KeyForm = Literal["text", "hex", "base64", "whsec"]
"""What the bytes of an HMAC key are: the secret's own, decoded ones, or Standard Webhooks' `whsec_…`."""

PUBLIC: Final = ("ecdsa-p256", "ed25519")
"""The algorithms whose key for verifying is not the key for signing."""


class BadSecret(ValueError):
    """A secret that cannot be used with this scheme: a mistake in the configuration. Never repeats it."""


def shared_key(secret: str, form: KeyForm = "text") -> bytes:
    """Return the bytes of a shared secret. Raise BadSecret when it is empty or not what `form` says."""
    if form == "whsec":
        if secret.startswith(("whpk_", "whsk_")):
            raise BadSecret("the secret is an Ed25519 key, not a shared one")
        secret = secret.removeprefix("whsec_")
    try:
        if form == "text":
            key = secret.encode("utf-8", "surrogatepass")
        else:
            key = bytes.fromhex(secret) if form == "hex" else from_base64(secret)
    except ValueError:
        raise BadSecret(f"the secret is not {'hex' if form == 'hex' else 'base64'}") from None
    if not key or not secret.strip():
        raise BadSecret("the secret is empty")
    return key


def public_key(secret: str, algorithm: Algorithm) -> Any:
    """Return the key that verifies. Raise BadSecret."""
    if not secret:
        raise BadSecret("the key is empty")
    return _ecdsa_public(secret) if algorithm == "ecdsa-p256" else _ed25519_public(secret)


def fits(key: Any, raw: bytes, content: bytes, algorithm: Algorithm) -> bool:
    """Say whether a signature of `content` was made with the private half of this key."""
    # `cryptography` takes 30 ms to import: only a source with public keys pays for it.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    how = (ECDSA(SHA256()),) if algorithm == "ecdsa-p256" else ()
    try:
        key.verify(raw, content, *how)
    except (InvalidSignature, ValueError):
        return False
    return True


def make(secret: str, content: bytes, algorithm: Algorithm) -> bytes:
    """Return a signature of `content` by a private key. Raise BadSecret."""
    return _ecdsa_sign(secret, content) if algorithm == "ecdsa-p256" else _ed25519_sign(secret, content)


def from_base64(text: str) -> bytes:
    """Return the bytes of base64, with or without its padding. Raise ValueError."""
    text = text.rstrip("=")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _der(secret: str) -> bytes:
    """Return the DER bytes of a key that is written as PEM or as its bare base64."""
    lines = [line for line in secret.strip().splitlines() if not line.startswith("-----")]
    try:
        return from_base64("".join(lines))
    except ValueError:
        raise BadSecret("the key is neither PEM nor base64") from None


def _ecdsa_public(secret: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(_der(secret))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadSecret("the key is not a public key") from error
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise BadSecret("the key is not an ECDSA public key on P-256")
    return key


def _ecdsa_sign(secret: str, content: bytes) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    try:
        key = load_der_private_key(_der(secret), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadSecret("to sign with ECDSA, give the private key") from error
    if not isinstance(key, EllipticCurvePrivateKey):
        raise BadSecret("the key is not an ECDSA private key")
    return key.sign(content, ECDSA(SHA256()))


def _ed25519_private(secret: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    raw = from_base64(secret.removeprefix("whsk_"))
    return Ed25519PrivateKey.from_private_bytes(raw[:32])  # where there are 64, the public half follows


def _ed25519_public(secret: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        if secret.startswith("whsk_"):
            return _ed25519_private(secret).public_key()
        if secret.startswith("whpk_"):
            return Ed25519PublicKey.from_public_bytes(from_base64(secret.removeprefix("whpk_")))
    except ValueError:
        raise BadSecret("the key is not an Ed25519 key of 32 bytes in base64") from None
    raise BadSecret("an Ed25519 key starts with whpk_ (to verify) or whsk_ (to sign)")


def _ed25519_sign(secret: str, content: bytes) -> bytes:
    if not secret.startswith("whsk_"):
        raise BadSecret("to sign with Ed25519, give the private key (whsk_…)")
    try:
        signature: bytes = _ed25519_private(secret).sign(content)
    except ValueError:
        raise BadSecret("the key is not an Ed25519 key of 32 bytes in base64") from None
    return signature

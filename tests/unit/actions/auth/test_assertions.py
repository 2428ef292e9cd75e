import pytest
from joserfc import jwk, jwt

from actions.auth.assertions import SelfSigned, read_assertion
from actions.errors import Refused
from actions.transport import Request
from tests.fakes.keys import EC_PEM, RSA_PEM
from tests.fakes.token_server import public_key
from tests.tables import every_row

SHARED = "a shared secret of thirty-two chars"
PLAIN = Request("GET", "https://h/x")


@every_row(
    ("key", "algorithm", "wanted"),
    [
        (RSA_PEM, None, "RS256"),
        (RSA_PEM, "PS384", "PS384"),
        (EC_PEM, None, "ES256"),
        (SHARED, None, "HS256"),
        (SHARED, "HS512", "HS512"),
    ],
)
def test_what_is_signed_can_be_checked_with_the_other_half(key, algorithm, wanted):
    other = jwk.import_key(key, "oct") if key == SHARED else public_key(key)
    assertion = read_assertion(
        {"key": key, "algorithm": algorithm, "issuer": "me", "claims": {"scope": "a b"}}
    )
    read = jwt.decode(assertion.sign(1000.0, audience="you"), other, algorithms=[wanted])
    assert read.header["alg"] == wanted
    assert read.claims.pop("jti")
    assert read.claims == {"iss": "me", "aud": "you", "iat": 1000, "exp": 1300, "scope": "a b"}


def test_a_jwk_is_a_key():
    text = jwk.import_key(EC_PEM, "EC").as_json(private=True) if hasattr(jwk.ECKey, "as_json") else None
    import json

    text = text or json.dumps(jwk.import_key(EC_PEM, "EC").as_dict(private=True))
    assert read_assertion({"key": text}).algorithm == "ES256"


@every_row(
    ("given", "words"),
    [
        ({"key": ""}, "needs a key"),
        ({"key": "{"}, "neither a private key"),
        ({"key": '{"kty": "RSA"}'}, "neither a private key"),
        ({"key": "-----BEGIN PRIVATE KEY-----\nnope\n-----END PRIVATE KEY-----"}, "private key in PEM"),
        ({"key": EC_PEM, "algorithm": "RS256"}, "signs with ES256"),
        ({"key": SHARED, "algorithm": "RS256"}, "signs with HS256"),
    ],
)
def test_what_cannot_sign_is_refused_and_not_repeated(given, words):
    with pytest.raises(Refused, match=words) as raised:
        read_assertion(given)
    assert given["key"][20:] not in str(raised.value) or not given["key"][20:]


def test_a_public_key_cannot_sign():
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(EC_PEM.encode(), None).public_key()
    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    with pytest.raises(Refused, match="public one"):
        read_assertion({"key": pem})


def test_a_token_of_our_own_is_signed_anew_before_it_ends():
    now = 1000.0
    auth = SelfSigned(read_assertion({"key": SHARED, "issuer": "app"}), lambda: now)
    first = auth.apply(PLAIN).header("authorization")
    assert first.startswith("Bearer eyJ")
    now += 239
    assert auth.apply(PLAIN).header("authorization") == first
    now += 2
    assert auth.apply(PLAIN).header("authorization") != first
    assert auth.mask(PLAIN).header("authorization") == "Bearer ***"
    assert SHARED not in repr(auth._assertion)

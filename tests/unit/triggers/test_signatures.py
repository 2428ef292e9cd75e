"""Signatures: what is signed verifies, anything changed does not, and nothing that is sent raises."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.tables import every_row
from triggers.keys import BadSecret
from triggers.presets import GITHUB_SHA1, PRESETS, sign
from triggers.signatures import (
    Received,
    Scheme,
    Signature,
    Verifier,
    form_pairs,
    octets,
    with_body_hash,
)

NOW = 1_700_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "https://hooks.example.com/hooks/in?a=1"
_PRIVATE = generate_private_key(SECP256R1())
_SIGNING = base64.b64encode(
    _PRIVATE.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
).decode()
_VERIFYING = base64.b64encode(
    _PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
_PEM = _PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

_KEY = generate_rsa(public_exponent=65537, key_size=1024)
_RSA = base64.b64encode(_KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()
_RSA_PUBLIC = base64.b64encode(
    _KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()

_OWN = {
    "hmac-sha512-base64url": (Signature(header="x-sig", algorithm="sha512", encoding="base64url"),),
    "hmac-everything": (
        Signature(
            header="x-sig",
            algorithm="sha384",
            prefix="s=",
            timestamp_header="x-at",
            timestamp_unit="ms",
            id_header="x-id",
            signed="{method} {url}\n{id}|{timestamp}|{body}",
        ),
    ),
    "github-sha1": (GITHUB_SHA1,),
}
_ALL: dict[str, tuple[Scheme, ...]] = {**{name: preset.schemes for name, preset in PRESETS.items()}, **_OWN}


def _keys(name: str) -> tuple[str, str]:
    """Return the secret to sign with and the one to verify with."""
    return (_SIGNING, _VERIFYING) if name == "sendgrid" else (SECRET, SECRET)


def _body(name: str) -> bytes:
    return b"From=%2B1&Body=hi" if name == "twilio" else b'{"a": 1}'


def _refusal(name: str, headers: dict[str, str], **changed: Any) -> str | None:
    values = {"body": _body(name), "now": NOW, "url": URL, "method": "POST", **changed}
    return Verifier(_ALL[name], (_keys(name)[1],)).refusal(Received(headers=headers, **values))


def _signed(name: str) -> dict[str, str]:
    return sign(_ALL[name], _keys(name)[0], _body(name), now=NOW, id="msg_1", url=URL)


@every_row("name", _ALL)
def test_what_is_signed_verifies(name: str) -> None:
    assert _refusal(name, _signed(name)) is None


@every_row("name", [name for name in _ALL if name != "gitlab"])
def test_another_body_does_not(name: str) -> None:
    assert _refusal(name, _signed(name), body=_body(name) + b"0") == "bad-signature"


@every_row("name", [name for name in _ALL if name not in ("gitlab", "twilio")])
def test_each_bit_of_the_body_counts(name: str) -> None:
    body, headers = _body(name), _signed(name)
    for place in range(len(body) * 8):
        flipped = bytearray(body)
        flipped[place // 8] ^= 1 << place % 8
        assert _refusal(name, headers, body=bytes(flipped)) == "bad-signature"


@every_row("name", _ALL)
def test_no_header_at_all_does_not(name: str) -> None:
    assert _refusal(name, {}) in ("missing-signature", "missing-credentials")


@every_row("name", _ALL)
def test_each_bit_of_a_header_counts(name: str) -> None:
    for header, value in _signed(name).items():
        for place in range(len(value)):
            flipped = value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]
            assert _refusal(name, {**_signed(name), header: flipped}) is not None, (header, flipped)


def test_a_signature_has_one_spelling() -> None:
    header = "x-twilio-email-event-webhook-signature"
    for _ in range(50):  # signatures of this kind are of 70 to 72 bytes
        headers = _signed("sendgrid")
        if headers[header].endswith("="):
            break
    text = headers[header].rstrip("=")
    sign_after = chr(ord(text[-1]) + 1) if text[-1].isalnum() else text[-1]
    other = text[:-1] + sign_after + "=" * (-len(text) % 4)
    assert _refusal("sendgrid", {**headers, header: other}) == "malformed-signature"


@every_row("name", _ALL)
def test_each_header_that_is_signed_with_must_be_there(name: str) -> None:
    for header in _signed(name):
        left = {key: value for key, value in _signed(name).items() if key != header}
        assert (_refusal(name, left) or "").startswith("missing-")


@every_row("name", [name for name in _ALL if getattr(_ALL[name][0], "tolerance", 0)])
def test_time_is_bounded_both_ways(name: str) -> None:
    timed = any("{timestamp}" in getattr(scheme, "signed", "") for scheme in _ALL[name])
    assert _refusal(name, _signed(name), now=NOW + 299) is None
    assert _refusal(name, _signed(name), now=NOW + 300.9) is None
    assert _refusal(name, _signed(name), now=NOW + 301) == ("timestamp-too-old" if timed else None)
    assert _refusal(name, _signed(name), now=NOW - 301) == ("timestamp-in-future" if timed else None)


@every_row(
    "stamp", ["1700000000.7", "1700000000e0", " 1700000000", "+1700000000", "x", "-1", "१७", "9" * 400]
)
def test_a_timestamp_has_one_spelling(stamp: str) -> None:
    headers = {**_signed("slack"), "x-slack-request-timestamp": stamp}
    assert _refusal("slack", headers) == "malformed-timestamp"


def test_every_live_secret_will_do() -> None:
    verifier = Verifier(PRESETS["github"].schemes, ("old", "new"))
    for secret in ("old", "new"):
        headers = sign("github", secret, b"x", now=NOW)
        assert verifier.refusal(Received(headers=headers, body=b"x", now=NOW)) is None
    headers = sign("github", "older", b"x", now=NOW)
    assert verifier.refusal(Received(headers=headers, body=b"x", now=NOW)) == "bad-signature"


def test_upper_case_hex_is_refused() -> None:
    headers = {name: value.upper().replace("SHA", "sha") for name, value in _signed("github").items()}
    assert _refusal("github", headers) == "bad-signature"


def test_sha1_is_taken_only_when_asked_for() -> None:
    headers = sign((GITHUB_SHA1,), SECRET, b'{"a": 1}', now=NOW)
    assert _refusal("github", headers) == "missing-signature"
    both = Verifier((*PRESETS["github"].schemes, GITHUB_SHA1), (SECRET,))
    assert both.refusal(Received(headers=headers, body=b'{"a": 1}', now=NOW)) is None


def test_more_signatures_than_a_rotation_needs_are_malformed() -> None:
    signature = _signed("standard-webhooks")["webhook-signature"]
    headers = {**_signed("standard-webhooks"), "webhook-signature": " ".join([signature] * 17)}
    assert _refusal("standard-webhooks", headers) == "malformed-signature"


def test_ed25519_signs_and_verifies() -> None:
    private = "whsk_" + base64.b64encode(bytes(range(32))).decode()
    headers = sign("standard-webhooks", private, b"{}", now=NOW, id="msg_1")
    assert headers["webhook-signature"].startswith("v1a,")
    verifier = Verifier(PRESETS["standard-webhooks"].schemes, (private, SECRET))
    assert verifier.refusal(Received(headers=headers, body=b"{}", now=NOW)) is None
    assert verifier.refusal(Received(headers=headers, body=b"{ }", now=NOW)) == "bad-signature"
    mixed = sign("standard-webhooks", SECRET, b"{}", now=NOW, id="msg_1")
    assert verifier.refusal(Received(headers=mixed, body=b"{}", now=NOW)) is None


def test_a_pem_key_verifies_too() -> None:
    verifier = Verifier(PRESETS["sendgrid"].schemes, (_PEM,))
    headers = sign("sendgrid", _SIGNING, b"[]", now=NOW)
    assert verifier.refusal(Received(headers=headers, body=b"[]", now=NOW)) is None


@every_row("name", _ALL)
def test_an_empty_secret_is_refused(name: str) -> None:
    for blank in ("", " ", "\t\n"):
        with pytest.raises(BadSecret):
            Verifier(_ALL[name], (blank,))
    with pytest.raises(BadSecret):
        Verifier(_ALL[name], ())
    with pytest.raises(BadSecret):
        sign(_ALL[name], "", b"", now=NOW)


@every_row(
    ("name", "secret"),
    [
        ("standard-webhooks", "whsec_"),
        ("standard-webhooks", "whsec_%%%"),
        ("standard-webhooks", "whpk_QUJD"),
        ("standard-webhooks", "whpk_%"),
        ("sendgrid", "nonsense"),
        ("sendgrid", "%%"),
        ("sendgrid", base64.b64encode(b"nonsense").decode()),
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_repeated(name: str, secret: str) -> None:
    with pytest.raises(BadSecret) as caught:
        Verifier(PRESETS[name].schemes, (secret,))
    assert secret not in str(caught.value)


def test_keys_are_decoded_as_configured() -> None:
    plain = Signature(header="s")
    for form, written in (("hex", b"key".hex()), ("base64", base64.b64encode(b"key").decode())):
        coded = Signature(header="s", key_form=form)  # type: ignore[arg-type]
        assert sign((coded,), written, b"x", now=NOW) == sign((plain,), "key", b"x", now=NOW)


@every_row(
    ("declared", "word"),
    [
        ({"signed": "{timestamp}"}, "{body}"),
        ({"signed": "{body}{what}"}, "{what}"),
        ({"timestamp_header": "t"}, "{timestamp}"),
        ({"signed": "{timestamp}{body}"}, "no header or prefix"),
        ({"signed": "{id}{body}"}, "no header says"),
        ({"signed": "{timestamp}{body}", "timestamp_prefix": "t="}, "separator"),
        (
            {
                "signed": "{timestamp}{body}",
                "timestamp_prefix": "t=",
                "timestamp_header": "t",
                "separator": ",",
            },
            "not in both",
        ),
    ],
)
def test_unsafe_declarations_are_named(declared: dict[str, str], word: str) -> None:
    assert any(word in problem for problem in Signature(header="s", **declared).problems())  # type: ignore[arg-type]


def test_presets_are_sound() -> None:
    for preset in PRESETS.values():
        for scheme in preset.schemes:
            assert not isinstance(scheme, Signature) or scheme.problems() == []


def test_twilio_signs_other_bodies_through_the_url() -> None:
    body = b'{"a": 1}'
    url = with_body_hash(URL, body)
    headers = {**sign("twilio", SECRET, body, now=NOW, url=url), "content-type": "application/json"}
    assert _refusal("twilio", headers, body=body, url=url) is None
    assert _refusal("twilio", headers, body=body + b" ", url=url) == "bad-signature"
    assert _refusal("twilio", headers, body=body, url=URL) == "unsigned-body"
    with pytest.raises(BadSecret):
        sign("twilio", SECRET, b"other", now=NOW, url=url)


def test_twilio_takes_text_of_any_language() -> None:
    body = b"Body=Zo%C3%AB+%F0%9F%98%80"
    assert _refusal("twilio", sign("twilio", SECRET, body, now=NOW, url=URL), body=body) is None


@every_row("url", ["https://h:443/x", "https://h/x", "https://[::1]:443/x", "http://h:8080/x"])
def test_twilio_ignores_where_the_port_stands(url: str) -> None:
    headers = sign("twilio", SECRET, b"", now=NOW, url=url)
    port = url.removeprefix("http").removeprefix("s://").removeprefix("://")
    assert _refusal("twilio", headers, body=b"", url=url) is None
    if ":443" in url:
        assert _refusal("twilio", headers, body=b"", url=url.replace(":443", "")) is None
    assert _refusal("twilio", headers, body=b"", url=f"https://other/{port}") == "bad-signature"


@given(st.sampled_from(sorted(_ALL)), st.binary(max_size=80), st.data())
def test_nothing_that_is_sent_raises_or_verifies(name: str, body: bytes, data: st.DataObject) -> None:
    text = st.one_of(
        st.text(max_size=60),
        st.text(alphabet="v1a,=t0. \u00e9\ud800", max_size=60),
        st.sampled_from(
            ["v1", "v1,", "v1,,", "v1a,AAAA", "sha256=", "t=,v1=", "t=1700000000,v1=é", "Basic é"]
        ),
    )
    names = sorted({"content-type", "authorization"}.union(*(scheme.reads_headers for scheme in _ALL[name])))
    headers = data.draw(st.dictionaries(st.sampled_from(names), text))
    url = data.draw(st.one_of(st.just(URL), st.text(max_size=60), st.just("https://[x/?bodySHA256=é")))
    assert _refusal(name, headers, body=body, url=url) is not None


def test_twilio_signs_the_url_alone_when_there_is_none_to_take_apart() -> None:
    url = "https://[x/y"
    assert _refusal("twilio", sign("twilio", SECRET, b"", now=NOW, url=url), body=b"", url=url) is None


@every_row(
    ("scheme", "secret"),
    [
        ("standard-webhooks", "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
        ("standard-webhooks", "whsk_QUJD"),
        ("sendgrid", _VERIFYING),
        ("sendgrid", _RSA),
    ],
)
def test_only_the_private_key_signs(scheme: str, secret: str) -> None:
    with pytest.raises(BadSecret):
        sign(scheme, secret, b"", now=NOW, id="x")


def test_a_key_of_another_kind_does_not_verify() -> None:
    with pytest.raises(BadSecret, match="P-256"):
        Verifier(PRESETS["sendgrid"].schemes, (_RSA_PUBLIC,))


def test_the_most_telling_refusal_is_told() -> None:
    private = "whsk_" + base64.b64encode(bytes(range(32))).decode()
    verifier = Verifier(PRESETS["standard-webhooks"].schemes, (SECRET, private))
    headers = sign("standard-webhooks", SECRET, b"{}", now=NOW, id="msg_1")
    assert verifier.refusal(Received(headers=headers, body=b"[]", now=NOW)) == "bad-signature"


def test_nothing_is_signed_without_a_scheme() -> None:
    with pytest.raises(BadSecret):
        sign((), SECRET, b"", now=NOW)


def test_a_hex_signature_by_a_public_key() -> None:
    scheme = Signature(header="s", algorithm="ecdsa-p256", encoding="hex")
    url_safe = Signature(header="s", algorithm="ecdsa-p256", encoding="base64url")
    for one in (scheme, url_safe):
        headers = sign((one,), _SIGNING, b"x", now=NOW)
        verifier = Verifier((one,), (_VERIFYING,))
        assert verifier.refusal(Received(headers=headers, body=b"x", now=NOW)) is None
        assert (
            verifier.refusal(Received(headers={"s": "zz\u00e9"}, body=b"x", now=NOW)) == "malformed-signature"
        )


@given(st.text())
def test_octets_of_a_header_are_those_of_the_wire(text: str) -> None:
    raw = octets(text)
    assert raw.decode("latin-1") == text or max(text) > "\xff"


def test_form_pairs_are_decoded_bytes() -> None:
    assert form_pairs(b"a=1&&b&c=%C3%AB+x&=&%zz=%") == [
        (b"a", b"1"),
        (b"b", b""),
        (b"c", b"\xc3\xab x"),
        (b"", b""),
        (b"%zz", b"%"),
    ]

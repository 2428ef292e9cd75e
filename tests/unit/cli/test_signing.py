"""Signing and verifying by hand."""

import json

import pytest

from tests.tables import every_row
from triggers.presets import PRESETS

STANDARD = "whsec_" + "QUFB" * 8
SYMMETRIC = sorted(set(PRESETS) - {"sendgrid", "twilio"})  # Twilio signs a body that is no form by its URL


@pytest.mark.parametrize("scheme", SYMMETRIC)
def test_what_was_signed_is_genuine_and_what_was_changed_is_not(pointsman, tmp_path, scheme):
    secret = STANDARD if scheme == "standard-webhooks" else "a-secret-of-some-length"
    (tmp_path / "key").write_text(secret + "\n", "utf-8")
    (tmp_path / "body").write_bytes(b'{"a":1}')
    url = ["--url", "https://example.com/hook"]
    form = ["--body", "@body"]
    signed = pointsman("signature", "sign", scheme, "--secret", "@key", *form, *url)
    assert signed.code == 0, signed.err
    headers = [word for line in signed.out.splitlines() for word in ("-H", line)]
    good = pointsman("signature", "verify", scheme, "--secret", "wrong-but-long-enough-x"
                     if scheme != "standard-webhooks" else "whsec_" + "QkJC" * 8,
                     "--secret", "@key", *headers, *form, *url)  # fmt: skip
    assert (good.code, good.out) == (0, "genuine: yes\nreason:  -\n")
    bad = pointsman("signature", "verify", scheme, "--secret", "@key", *headers, "--body", '{"a":2}', *url)
    assert bad.code == (0 if scheme == "gitlab" else 1)  # GitLab sends a token, it signs nothing
    assert bad.err == ""


def test_a_body_comes_through_a_pipe_and_a_secret_may_begin_with_a_hyphen(pointsman):
    words = ("signature", "sign", "github", "--secret", "-secret-of-some-length", "-o", "json")
    piped = pointsman(*words, "--body", "-", stdin=b"body")
    assert json.loads(piped.out) == json.loads(pointsman(*words, "--body", "body").out)
    assert json.loads(pointsman(*words, stdin=b"body").out) == json.loads(piped.out)


def test_every_signing_is_of_a_new_message(pointsman):
    words = ("signature", "sign", "standard-webhooks", "--secret", STANDARD, "--body", "x", "-o", "json")
    one, two = json.loads(pointsman(*words).out), json.loads(pointsman(*words).out)
    assert one["webhook-id"] != two["webhook-id"]


@every_row(
    ("words", "said"),
    [
        (["sign", "githib", "--secret", "x"], "did you mean github?"),
        (["sign", "standard-webhooks", "--secret", "x"], "error: "),
        (["sign", "github", "--secret", "@none"], "cannot read none"),
        (["sign", "github", "--secret", "x", "--body", "@none"], "cannot read none"),
        (["verify", "github", "--secret", "x", "-H", "nonsense"], "a header is `name: value`"),
    ],
)
def test_what_cannot_be_signed_is_said(pointsman, words, said):
    ran = pointsman("signature", *words)
    assert ran.code in (1, 2)
    assert said in ran.err
    assert "Traceback" not in ran.err

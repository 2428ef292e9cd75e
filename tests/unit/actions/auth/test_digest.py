import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.auth import Digest
from actions.auth.digest import read_challenge, read_challenges
from actions.base import Answer
from actions.errors import Refused
from actions.transport import Request
from tests.tables import every_row

REQUEST = Request("GET", "http://www.example.org/dir/index.html")
REALM = "http-auth@example.org"
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def challenged(*fields):
    return Answer(status=401, headers=tuple(("www-authenticate", one) for one in fields))


def of(algorithm):
    return f'Digest realm="{REALM}", qop="auth, auth-int", algorithm={algorithm}, nonce="{NONCE}", opaque="{OPAQUE}"'


@pytest.mark.parametrize(
    ("fields", "response"),
    [
        (["MD5"], "8ca523f5e9506fed4657c9700eebdbec"),
        (["SHA-256"], "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        (["MD5", "SHA-256"], "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
async def test_the_example_of_rfc_7616_comes_out(monkeypatch, fields, response):
    monkeypatch.setattr("actions.auth.digest.secrets.token_hex", lambda _: CNONCE)
    answer = challenged(*map(of, fields))
    sent = await Digest("Mufasa", "Circle of Life").again(REQUEST, answer, 1)
    given = dict(read_challenges(sent.header("authorization")))["digest"]
    assert given == {
        "username": "Mufasa", "realm": REALM, "uri": "/dir/index.html", "algorithm": fields[-1], "nonce": NONCE,
        "nc": "00000001", "cnonce": CNONCE, "qop": "auth", "response": response, "opaque": OPAQUE,
    }  # fmt: skip


async def test_the_example_of_rfc_2617_comes_out(monkeypatch):
    monkeypatch.setattr("actions.auth.digest.secrets.token_hex", lambda _: "0a4f113b")
    field = (
        'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    sent = await Digest("Mufasa", "Circle Of Life").again(REQUEST, challenged(field), 1)
    given = dict(read_challenges(sent.header("authorization")))["digest"]
    assert given["response"] == "6629fae49393a05397450978507c4ef1"
    assert "algorithm" not in given


def test_nothing_is_sent_before_a_challenge_and_nothing_is_shown():
    digest = Digest("u", "p4ssword")
    assert digest.apply(REQUEST) == REQUEST
    assert digest.mask(REQUEST).header("authorization") == "Digest ***"
    assert "p4ssword" not in repr(digest)


async def test_a_nonce_belongs_to_the_origin_that_gave_it():
    digest = Digest("u", "p")
    await digest.again(REQUEST, challenged(of("MD5")), 1)
    assert digest.apply(REQUEST).header("authorization")
    assert digest.apply(Request("GET", "http://www.example.org:81/")).header("authorization") is None


async def test_a_realm_that_cannot_be_sent_back_is_refused():
    with pytest.raises(Refused, match="cannot be sent back"):
        await Digest("u", "p").again(REQUEST, challenged('Digest realm="ü", nonce="n"'), 1)


@every_row(("user", "password"), [("", "p"), ("a:b", "p"), ("u", "p\n")])
def test_what_digest_cannot_carry_is_refused(user, password):
    with pytest.raises(Refused):
        Digest(user, password)


@every_row(
    ("field", "found"),
    [
        ("Basic", [("basic", {})]),
        ("NTLM TlRMTVNTUAACAAAA==", [("ntlm", {})]),
        ('Basic realm="a, b", Digest realm=x, nonce="n"', [("basic", {"realm": "a, b"}), ("digest", {"realm": "x", "nonce": "n"})]),
        ('Digest  realm = "a\\"b" ,, nonce=n', [("digest", {"realm": 'a"b', "nonce": "n"})]),
        ('Negotiate, Digest nonce="="', [("negotiate", {}), ("digest", {"nonce": "="})]),
        ("", []),
        ("=,=", []),
    ],
)  # fmt: skip
def test_challenges_are_told_apart(field, found):
    assert read_challenges(field) == found


@given(st.text(max_size=300))
def test_no_field_breaks_the_reader(text):
    read_challenge(challenged(text))


@given(
    st.lists(
        st.sampled_from(["Digest ", 'realm="x"', ", ", "nonce=", '"', "\\", "qop", "=", "a" * 50]),
        max_size=40,
    )
)
def test_reading_takes_no_long(parts):
    read_challenge(challenged("".join(parts) * 20))

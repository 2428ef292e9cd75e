import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actions.auth.answers import Denied, Granted, read_token
from actions.base import Answer
from tests.tables import every_row

NOW = 1_800_000_000.0


def answer(body, status=200, **headers):
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Answer(status=status, headers=tuple(headers.items()), body=data)


def granted(body):
    found = read_token(answer(body), (), NOW)
    assert isinstance(found, Granted), found
    return found


@every_row(
    ("fields", "seconds"),
    [
        ({"expires_in": 60}, 60),
        ({"expires_in": "60"}, 60),
        ({"expires_in": 60.5}, 60.5),
        ({"expires_on": str(int(NOW) + 90)}, 90),
        ({"expires_on": 5}, None),
        ({"expires_in": "NaN"}, None),
        ({"expires_in": "1e400"}, None),
        ({"expires_in": 1e300}, None),
        ({"expires_in": 10**11}, 10 * 365 * 86_400.0),
        ({"expires_in": None}, None),
    ],
)
def test_how_long_a_token_lasts(fields, seconds):
    assert granted({"access_token": "t", **fields}).expires_in == seconds


@every_row(
    ("scope", "scopes"),
    [("a b", ("a", "b")), ("a,b", ("a", "b")), (["a", 1], ("a",)), ("", ()), (None, None), (7, None)],
)
def test_which_scopes_were_granted(scope, scopes):
    assert granted({"access_token": "t", "scope": scope}).scopes == scopes


def test_a_form_and_a_byte_of_space_are_read():
    assert granted(b" access_token=a%2Bb&expires_in=5&scope=x,y").access_token == "a+b"


@every_row(
    ("status", "body", "cause"),
    [
        (400, {"error": "invalid_grant"}, "grant"),
        (400, {"error": "invalid_client"}, "client"),
        (401, {"error": "invalid_client"}, "client"),
        (400, {"error": "invalid_scope"}, "client"),
        (503, {"error": "invalid_grant"}, "busy"),
        (400, {"error": "slow_down"}, "busy"),
        (200, {"error": "invalid_grant", "access_token": "t"}, "grant"),
        (500, b"", "busy"),
        (429, b"", "busy"),
        (404, b"", "nonsense"),
        (301, b"", "nonsense"),
        (200, b"", "nonsense"),
        (200, b"\xff\xfe", "nonsense"),
        (200, b'{"access_token": ""}', "nonsense"),
        (401, b"", "client"),
        (400, {"error": ["a"]}, "client"),
        (400, {"error": {}}, "client"),
        (400, {"error": 7}, "client"),
    ],
)
def test_why_there_is_no_token(status, body, cause):
    found = read_token(answer(body, status), (), NOW)
    assert isinstance(found, Denied)
    assert found.cause == cause
    assert str(status) in found.text


def test_what_the_server_says_is_short_and_printable():
    found = read_token(answer({"error": "x", "error_description": "a\n\x1b[31m" + "b" * 1000}, 400), (), NOW)
    assert len(found.text) < 330
    assert found.text.isprintable()


def test_a_token_is_never_shown():
    assert "t0ken" not in repr(granted({"access_token": "t0ken", "refresh_token": "t0ken"}))


@given(st.binary(max_size=200), st.integers(200, 599))
def test_no_answer_breaks_the_reader(body, status):
    read_token(answer(body, status), ("s",), NOW)


@given(st.recursive(st.none() | st.text() | st.integers() | st.booleans(), lambda inner: st.dictionaries(
    st.sampled_from(["access_token", "error", "scope", "expires_in", "token_type", "code", "message"]), inner)))  # fmt: skip
def test_no_document_breaks_the_reader(value):
    read_token(answer(value, 400), ("s",), NOW)
    read_token(answer(value, 200), ("s",), NOW)

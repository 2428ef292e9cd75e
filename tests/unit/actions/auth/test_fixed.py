import base64

import pytest

from actions.auth import All, APIKey, Basic, Bearer, NoAuth, read_auth
from actions.errors import Refused
from actions.specs.model import SecurityScheme
from actions.transport import Request
from tests.tables import every_row

PLAIN = Request("GET", "https://h/x?a=1", (("Accept", "application/json"),))
SECRET = "s3cr&t=/"


def test_a_bearer_token_goes_into_authorization():
    assert Bearer(SECRET).apply(PLAIN).header("Authorization") == f"Bearer {SECRET}"


def test_user_name_and_password_are_encoded_in_utf_8():
    value = Basic("jürgen", "pä:ss").apply(PLAIN).header("authorization")
    assert base64.b64decode(value.removeprefix("Basic ")).decode() == "jürgen:pä:ss"


@every_row(
    ("auth", "seen"),
    [
        (APIKey("header", "X-Key", SECRET), lambda one: one.header("x-key") == SECRET),
        (
            APIKey("query", "api key", SECRET),
            lambda one: one.url == "https://h/x?a=1&api%20key=s3cr%26t%3D%2F",
        ),
        (APIKey("cookie", "sid", SECRET), lambda one: one.header("Cookie") == f"sid={SECRET}"),
    ],
    ids=["header", "query", "cookie"],
)
def test_a_key_goes_where_the_scheme_says(auth, seen):
    applied = auth.apply(PLAIN)
    assert seen(applied)
    assert applied.header("accept") == "application/json"
    assert auth.apply(applied) == applied


def test_credentials_replace_what_stands_in_their_place():
    request = Request(
        "GET", "https://h/x?key=mine&b=2", (("AUTHORIZATION", "Basic eA=="), ("Cookie", "a=1; sid=mine"))
    )
    both = All((Bearer("t"), APIKey("cookie", "sid", "s"), APIKey("query", "key", "k")))
    applied = both.apply(request)
    assert applied.url == "https://h/x?b=2&key=k"
    assert applied.headers == (("authorization", "Bearer t"), ("cookie", "a=1; sid=s"))


def test_a_key_in_the_query_needs_no_query_before():
    assert APIKey("query", "k", "v").apply(Request("GET", "https://h/x")).url == "https://h/x?k=v"


@every_row(
    "auth",
    [
        Bearer(SECRET),
        Basic("user", SECRET),
        APIKey("header", "X-Key", SECRET),
        APIKey("query", "k", SECRET),
        APIKey("cookie", "sid", SECRET),
        All((Bearer(SECRET), APIKey("query", "k", SECRET))),
    ],
)
async def test_masked_it_shows_the_place_but_no_secret(auth):
    text = str(auth.mask(PLAIN))
    assert "***" in text
    for hidden in (SECRET, "s3cr%26t", base64.b64encode(f"user:{SECRET}".encode()).decode()):
        assert hidden not in text
    assert SECRET not in repr(auth)
    assert await auth.renew() is False


def test_nothing_is_added_without_a_login():
    assert NoAuth().apply(PLAIN) is PLAIN
    assert NoAuth().mask(PLAIN) is PLAIN


@every_row(
    "make",
    [
        lambda: Bearer("token\n"),
        lambda: Bearer(""),
        lambda: Bearer("tokén"),
        lambda: Basic("a:b", "c"),
        lambda: Basic("a", "c\r\n"),
        lambda: APIKey("header", "X-Key", "a\r\nHost: evil"),
        lambda: APIKey("header", "Host", "evil"),
        lambda: APIKey("header", "Content-Length", "0"),
        lambda: APIKey("header", "X Key", "a"),
        lambda: APIKey("header", "X-Key", ""),
        lambda: APIKey("query", "", "a"),
        lambda: APIKey("cookie", "a=b", "c"),
        lambda: APIKey("cookie", "a", "c; d=e"),
    ],
)
def test_what_cannot_be_sent_is_refused_without_repeating_it(make):
    with pytest.raises(Refused) as caught:
        make()
    assert "evil" not in str(caught.value)
    assert "tok" not in str(caught.value).replace("token", "")


def scheme(name, kind="apiKey", location="header", parameter="X-Key"):
    return SecurityScheme(name=name, kind=kind, location=location, parameter=parameter)


def test_logins_are_read_from_plain_values():
    assert isinstance(read_auth(None, {}), NoAuth)
    assert isinstance(read_auth({"bearer": "t"}, {}), Bearer)
    assert isinstance(read_auth({"basic": {"username": "u", "password": "p"}}, {}), Basic)
    named = read_auth({"api_key": "k", "in": "query", "name": "key"}, {})
    assert named.apply(PLAIN).url.endswith("&key=k")


def test_the_description_says_where_a_key_goes():
    auth = read_auth({"api_key": "k"}, {"key": scheme("key"), "oauth": scheme("oauth", "oauth2", "", "")})
    assert auth.apply(PLAIN).header("x-key") == "k"


@every_row("schemes", [{}, {"a": scheme("a"), "b": scheme("b", parameter="Y-Key")}])
def test_a_key_without_a_place_is_refused(schemes):
    with pytest.raises(Refused, match="`in` and `name`"):
        read_auth({"api_key": "k"}, schemes)


def test_an_operation_gets_the_schemes_it_asks_for():
    schemes = {"a": scheme("a", parameter="X-A"), "b": scheme("b", parameter="X-B"), "t": scheme("t", "http")}
    login = {"schemes": {"a": {"api_key": "1"}, "b": {"api_key": "2"}, "t": {"bearer": "3"}}}
    auth = read_auth(login, schemes)

    def names(*alternatives):
        return [name for name, _ in auth.choose(alternatives).apply(Request("GET", "https://h/")).headers]

    assert names(("a",)) == ["X-A"]
    assert names(("a", "b")) == ["X-A", "X-B"]
    assert names(("unknown",), ("b", "t")) == ["X-B", "authorization"]
    assert names() == names(("unknown",)) == ["X-A", "X-B", "authorization"]


def test_every_wrong_scheme_is_told():
    login = {"schemes": {"typo": {"bearer": "x"}, "a": {"bearer": "x\n"}, "b": {"bearer": "fine"}}}
    with pytest.raises(Refused) as caught:
        read_auth(login, {"a": scheme("a"), "b": scheme("b")})
    assert [pointer for pointer, _ in caught.value.problems] == ["/schemes/typo", "/schemes/a"]
    assert "it has a, b" in str(caught.value)

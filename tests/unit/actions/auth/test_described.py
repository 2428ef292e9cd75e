from actions.auth import Described, NoAuth, read_auth
from actions.auth.described import takes
from actions.specs.model import ConnectionParameter, SecurityScheme
from actions.transport import Request
from tests.tables import every_row

PLAIN = Request("GET", "https://h/x")


def postman(kind, scheme="", **variables):
    return SecurityScheme(
        name="login",
        kind=kind,
        scheme=scheme,
        location="header" * (kind == "apiKey"),
        parameter="X-Key" * (kind == "apiKey"),
        extras={"x-postman-variables": {word: [name] for word, name in variables.items()}},
    )


def implied(scheme, **values):
    known = Described(schemes={"login": scheme}, values=values)
    return read_auth(None, known).apply(PLAIN).headers


def test_the_variables_of_a_collection_are_a_login():
    assert implied(postman("http", "bearer", token="jwt"), jwt="t") == (("authorization", "Bearer t"),)
    assert implied(postman("http", "bearer", bearerToken="jwt"), jwt="t") == (("authorization", "Bearer t"),)
    assert implied(postman("apiKey", value="k"), k="v") == (("X-Key", "v"),)
    basic = postman("http", "basic", username="u", password="p")
    assert implied(basic, u="a", p="b") == (("authorization", "Basic YTpi"),)


@every_row(
    "scheme",
    [
        postman("http", "bearer", token="other"),
        postman("http", "hawk", key="jwt"),
        SecurityScheme(
            name="login",
            kind="http",
            scheme="bearer",
            extras={"x-postman-variables": {"token": ["jwt", "b"]}},
        ),
        SecurityScheme(name="login", kind="http", scheme="bearer", extras={"x-postman-variables": 7}),
        SecurityScheme(name="login", kind="http", scheme="bearer", extras={"power-platform": {}}),
        SecurityScheme(name="login", kind="apiKey", problem="is not declared"),
        SecurityScheme(name="login", kind="mutualTLS"),
    ],
)
def test_what_is_not_enough_is_no_login(scheme):
    assert isinstance(read_auth(None, Described(schemes={"login": scheme}, values={"jwt": "t"})), NoAuth)


def test_a_default_counts_and_what_nobody_knows_is_hidden():
    known = {
        "a": ConnectionParameter(name="a", default="d"),
        "s": ConnectionParameter(name="s", kind="secret"),
    }
    described = Described(parameters=known, values={"s": "x"})
    assert (described.value("a"), described.value("s"), described.value("zzz")) == ("d", "x", "")
    assert [described.hidden(name) for name in ("a", "s", "zzz")] == [False, True, True]
    assert takes(SecurityScheme(name="n", kind="http")) == {}

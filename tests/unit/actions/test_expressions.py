"""The expression language of policies: what parses, what it comes to, and what is an error."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.expressions import (
    QUOTES,
    ExpressionError,
    Function,
    Method,
    Part,
    Path,
    Scalar,
    Text,
    parse,
    parse_path,
    render,
    scalars,
    show,
)
from tests.examples import examples
from tests.tables import every_row


class Fake:
    """Values of a few names."""

    method = "PATCH"

    def named(self, function: Function, name: str) -> str | None:
        return {"sub": "acme", "port": "81"}.get(name) if function != "headers" else None

    def at(self, path: Path) -> str | None:
        return "7" if path.steps == ("a", 0, "@odata.etag") else None


@every_row(
    ("text", "parts"),
    [
        ("plain", (Text("plain"),)),
        ("", ()),
        ("@headers('x')", (Scalar("headers", "x"),)),
        ("@{headers('x')}y", (Scalar("headers", "x"), Text("y"))),
        ("@HEADERS('x')", (Scalar("headers", "x"),)),
        ("@header('x')", (Scalar("headers", "x"),)),
        ("@queryParameters( 'x' , 'd' )", (Scalar("queryParameters", "x", "d"),)),
        ("@connectionParameters('x',null)", (Scalar("connectionParameters", "x", ""),)),
        ("@connectionParameters('x', 443)", (Scalar("connectionParameters", "x", "443"),)),
        ("@connectionParameters(‘x’,’d’)", (Scalar("connectionParameters", "x", "d"),)),
        ("@connectionParameters('a b:c')", (Scalar("connectionParameters", "a b:c"),)),
        ("@body()", (Path("body"),)),
        ("@body().a.b[0]", (Path("body", ("a", "b", 0)),)),
        ("@body()['@odata.etag']", (Path("body", ("@odata.etag",)),)),
        ("@body()?['a']?.b", (Path("body", ("a", "b")),)),
        ("x {@body().x}!", (Text("x "), Path("body", ("x",)), Text("!"))),
        ("[{@body().x}]", (Text("["), Path("body", ("x",)), Text("]"))),
        ("@{triggerBody().value[0].Id}", (Path("triggerBody", ("value", 0, "Id")),)),
        ("@Request.OriginalHTTPMethod", (Method(),)),
        ("@{ request.originalHttpMethod }", (Method(),)),
        ("{ @body().x }", (Text("{ "), Path("body", ("x",)), Text(" }"))),
        ("@odata.nextLink", (Text("@odata.nextLink"),)),
        ("me@host.com", (Text("me@host.com"),)),
        ("@", (Text("@"),)),
        ("@@headers('x')", (Text("@"), Scalar("headers", "x"))),
    ],
)
def test_parses(text: str, parts: tuple[Part, ...]) -> None:
    assert parse(text) == parts


def test_member_access_belongs_to_paths_alone() -> None:
    assert parse("https://@connectionParameters('sub').host.com/@headers('v')/x") == (
        Text("https://"),
        Scalar("connectionParameters", "sub"),
        Text(".host.com/"),
        Scalar("headers", "v"),
        Text("/x"),
    )


@every_row(
    ("text", "said"),
    [
        ("@queryParamters('x')", "there is no function queryParamters; did you mean queryParameters?"),
        ("a @conectionParameters('x')", "did you mean connectionParameters?"),
        ("@bdy().x", "did you mean body?"),
        ("@concat('a','b')", "there is no function concat; there are connectionParameters"),
        ("@Request.OriginalMethod", "did you mean @Request.OriginalHTTPMethod?"),
        ("@headers(x)", "headers wants a name in quotes"),
        ("@headers('x'", "a default or a closing parenthesis is missing"),
        ("@headers('x', y)", "a default or a closing parenthesis is missing"),
        ("@{headers('x')", "never closed"),
        ("@{nothing}", "no function is called"),
        ("@body('x')", "takes nothing"),
    ],
)
def test_what_is_misspelt_is_an_error_that_names_what_was_meant(text: str, said: str) -> None:
    with pytest.raises(ExpressionError, match=said.replace("?", r"\?")) as caught:
        parse(text)
    assert 0 <= caught.value.offset <= len(text)


def test_values_are_put_in_and_what_is_missing_is_its_default_or_empty() -> None:
    text = "@connectionParameters('sub').x/@headers('none','d')/@headers('none')/@body().a[0]['@odata.etag']"
    assert render(parse(text), Fake()) == "acme.x/d//7"
    assert render(parse("@Request.OriginalHTTPMethod"), Fake()) == "PATCH"
    assert render(parse("/a b/@connectionParameters('sub')"), Fake(), str.upper) == "/a b/ACME"
    assert [one.name for one in scalars(parse(text))] == ["sub", "none", "none"]


@every_row(
    ("text", "path"),
    [
        ("@body()", Path("body")),
        ("body()", Path("body")),
        ("@body.people.Age", Path("body", ("people", "Age"))),
        ("{@body().x}", Path("body", ("x",))),
        ("@item().people", Path("item", ("people",))),
        ("body", Path("here", ("body",))),
        ("", Path("here")),
        ("null", Path("here")),
        ("['@odata.id']", Path("here", ("@odata.id",))),
        ("@odata.type", Path("here", ("@odata.type",))),
        ("a.b[0]['c d']", Path("here", ("a", "b", 0, "c d"))),
        ("first name.x-y", Path("here", ("first name", "x-y"))),
    ],
)
def test_paths_are_read_as_vendors_write_them(text: str, path: Path) -> None:
    assert parse_path(text) == path


@every_row("text", ["a..b", "@body() x.y", "@boddy().x", "a[", "@body().a b"])
def test_what_is_no_path_is_an_error(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_path(text)


ODD = st.text(alphabet="@{}()'‘’\".[]?,/ abyBODYheadrs0129\\\nRequest", max_size=40)
NAMES = st.text(min_size=1, max_size=8).filter(lambda text: not set(text) & set(QUOTES))
PARTS = st.one_of(
    st.builds(
        Scalar,
        st.sampled_from(["connectionParameters", "queryParameters", "headers"]),
        NAMES,
        st.none() | NAMES,
    ),
    st.builds(
        Path,
        st.sampled_from(["body", "triggerBody", "item"]),
        st.lists(NAMES | st.integers(0, 99)).map(tuple),
    ),
    st.just(Method()),
)


@examples(300)
@given(st.text() | ODD)
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    with suppress(ExpressionError):
        parse_path(text)
    try:
        parts = parse(text)
    except ExpressionError:
        return
    assert parse(show(parts)) == parts


@examples(200)
@given(st.lists(PARTS, max_size=4), st.sampled_from(["", "/", ".x", " ", "{", "}", "@", "a@b.c"]))
def test_what_is_printed_parses_to_the_same(parts: list[Part], between: str) -> None:
    whole: list[Part] = []
    for part in parts:
        whole += [Text(between), part] if between else [part]
    assert parse(show(tuple(whole))) == tuple(whole)


@every_row(
    "text",
    [
        "@{__import__('os').system('id')}",
        "@body().__class__.__mro__",
        "{{7*7}}",
        "${7*7}",
        "#{T(java.lang.Runtime).getRuntime().exec('id')}",
        "%s%n{0.__class__}",
    ],
)
def test_payloads_of_other_languages_are_text_or_errors(text: str) -> None:
    try:
        parts = parse(text)
    except ExpressionError:
        return
    assert "49" not in render(parts, Fake())
    assert render(parts, Fake()) in {text, ""}

from actions.auth.settings import without_secrets
from actions.auth.templates import fill_form, fill_url, missing, named, uses
from tests.tables import every_row

VALUES = named({"token:CustomHost": ".eu", "ClientId": "id&1", "redirecturl": "https://r/?a", "Scope": "a b"})


@every_row(
    ("template", "filled"),
    [
        ("https://accounts.zoho{CustomHost}/oauth", "https://accounts.zoho.eu/oauth"),
        ("https://accounts.zoho{customhost}/oauth", "https://accounts.zoho.eu/oauth"),
        ("https://accounts.zoho{ token:CustomHost }/oauth", "https://accounts.zoho.eu/oauth"),
        ("https://x/{unknown}/", "https://x//"),
        ("https://x/{not a name}", "https://x/{not a name}"),
    ],
)
def test_a_url_takes_values_as_they_are(template, filled):
    assert fill_url(template, VALUES) == filled


def test_a_form_takes_values_encoded():
    template = "client_id={ClientId}&redirect_uri={RedirectUrl}&scope={Scopes}&s={scope}"
    filled = "client_id=id%261&redirect_uri=https%3A%2F%2Fr%2F%3Fa&scope=a%20b&s=a%20b"
    assert fill_form(template, VALUES) == filled


def test_what_nobody_knows_is_named_once_as_written():
    assert missing(["{Region}{region}{ClientId}", "{State}"], VALUES) == ["Region", "region", "State"]


def test_a_placeholder_is_found_in_any_case():
    assert uses("refresh={RefreshToken}", "refreshtoken")
    assert not uses("refresh={Code}", "refreshtoken")


@every_row("spelling", ["s3cr&t/+=", "s3cr%26t%2F%2B%3D", "czNjciZ0Lys9", "x s3cr&t/+= y"])
def test_a_secret_is_hidden_in_every_spelling(spelling):
    assert "***" in without_secrets(f"wrong: {spelling}", ["s3cr&t/+="])
    assert "s3cr" not in without_secrets(f"wrong: {spelling}", ["s3cr&t/+="])


def test_where_a_short_secret_would_have_to_be_hidden_nothing_is_said():
    assert without_secrets("a banana", ["an"]) == ""
    assert without_secrets("a pear", ["an"]) == "a pear"

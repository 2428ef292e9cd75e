import msgspec
import pytest

from actions.auth.discovery import discover
from actions.base import Answer
from actions.errors import Refused, RetryLater
from tests.tables import every_row

GOOD = {"issuer": "https://a.example/t", "token_endpoint": "https://a.example/token"}


async def found(url, document=None, status=200):
    asked = []

    async def fetch(request, deadline):
        asked.append(request.url)
        body = (
            document
            if isinstance(document, bytes)
            else msgspec.json.encode(GOOD if document is None else document)
        )
        return Answer(status=status, body=body)

    return (await discover(fetch, url, 1.0)), asked[0]


@every_row(
    ("url", "asked"),
    [
        ("https://a.example/t", "https://a.example/t/.well-known/openid-configuration"),
        ("https://a.example/t/", "https://a.example/t/.well-known/openid-configuration"),
        (
            "https://a.example/t/.well-known/openid-configuration",
            "https://a.example/t/.well-known/openid-configuration",
        ),
        (
            "https://a.example/.well-known/oauth-authorization-server/t",
            "https://a.example/.well-known/oauth-authorization-server/t",
        ),
    ],
)
async def test_the_issuer_or_its_document_may_be_named(url, asked):
    provider, where = await found(url)
    assert (provider.token_url, where) == ("https://a.example/token", asked)


@every_row(
    "page",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://a.example/\x1b]0;x",
        "https://a.example/ x",
        "//a",
    ],
)
async def test_a_page_that_no_browser_may_be_sent_to_is_not_trusted(page):
    with pytest.raises(Refused, match="no browser may be sent to"):
        await found("https://a.example/t", GOOD | {"authorization_endpoint": page})


@every_row("page", ["https://a.example/in?p=1", "https://a.example/app#/in"])
async def test_a_page_may_have_a_query_or_be_part_of_another(page):
    provider, _ = await found("https://a.example/t", GOOD | {"authorization_endpoint": page})
    assert provider.authorization_url == page


@every_row(
    ("says", "trusted"),
    [
        ("https://a.example/t", True),
        ("https://a.example/t/", True),
        ("https://a.example/{tenantid}", True),
        ("https://aXexample/t", False),
        ("https://a.example/t/x", False),
        ("https://a.example/{tenantid}/v2.0", False),
        ("https://a.example", False),
        ("", False),
        (None, False),
        (7, False),
        ("{", False),
        (".*", False),
    ],
)
async def test_only_the_issuer_that_was_asked_is_trusted(says, trusted):
    if trusted:
        await found("https://a.example/t", GOOD | {"issuer": says})
        return
    with pytest.raises(Refused, match="not trusted"):
        await found("https://a.example/t", GOOD | {"issuer": says})


@every_row(
    "document",
    [b"", b"[]", b"\xff", b"{", b"[" * 100_000, {"issuer": GOOD["issuer"]}, GOOD | {"token_endpoint": 7}],
)
async def test_what_is_no_metadata_is_refused(document):
    with pytest.raises(Refused, match="discovery"):
        await found("https://a.example/t", document)


@every_row(("status", "error"), [(503, RetryLater), (429, RetryLater), (404, Refused), (302, Refused)])
async def test_a_provider_in_trouble_is_asked_later_and_a_wrong_one_is_not(status, error):
    with pytest.raises(error):
        await found("https://a.example/t", status=status)


async def test_junk_beside_what_is_needed_does_no_harm():
    provider, _ = await found(
        "https://a.example/t",
        GOOD | {"authorization_endpoint": 7, "token_endpoint_auth_methods_supported": ["a", 7], "x": None},
    )
    assert (provider.authorization_url, provider.client_auth, provider.names_issuer) == ("", ("a",), False)

"""The mock against a validator that others wrote: openapi-core agrees on more than 2,000 real operations.

What the mock accepts openapi-core accepts too, but for what it is known not to do: fragments and constant
queries in paths, several variables in a server's URL, and bytes for which somebody declared an object.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest
from pytest_socket import disable_socket, enable_socket

from actions.errors import Refused
from actions.mock.judging import MockBackend
from actions.samples import Calls
from actions.specs.model import media_kind
from tests.corpora import corpus
from tests.corpora.wired import Wired, wired

LARGEST = 200_000  # bytes of a document: openapi-core takes its time
METHODS = frozenset(["get", "put", "post", "delete", "options", "head", "patch", "trace"])
EXPLAINED = {
    "XeroAPI+Xero-OpenAPI/xero-projects.yaml": "it counts words beside a $ref, which mean nothing in 3.0",
    "openapi/facebook.ads/openapi.yaml": "it does not read objects whose members stand in the query alone",
    "openapi/mailscript/openapi.yml": "it wants exactly one of several open objects",
    "openapi/paylocity/openapi.yml": "it wants the header Authorization as a parameter",
    "openapi/zuora.revenue/openapi.yml": "it does not read lists of a form that are JSON",
    "codat.io/sync-for-expenses/prealpha.json": "it does not take one part for a schema that is a file",
    "ritekit.com/1.0.0/openapi.yaml": "the example of the description does not fit its own schema",
}
NOT_FOUND = frozenset(["PathNotFound", "OperationNotFound", "ServerNotFound"])


@pytest.fixture(scope="module", autouse=True)
def _no_network() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


def unlocked(root: Any) -> Any:
    """Return a document that asks for no login: openapi-core looks no further where one is missing."""
    document = json.loads(json.dumps(root))
    document.pop("security", None)
    for item in document.get("paths", {}).values():
        for method in METHODS & item.keys():
            item[method].pop("security", None)
    return document


def as_theirs(request: Wired) -> MockRequest:
    """Return a request as openapi-core takes it."""
    url = urlsplit(request.target)
    headers = dict(request.headers)
    cookies = [one.strip().split("=", 1) for one in headers.get("Cookie", "").split(";") if one]
    return MockRequest(
        request.origin,
        request.method.lower(),
        unquote(url.path),
        args=parse_qsl(url.query, keep_blank_values=True),  # type: ignore[arg-type]
        headers=headers,
        cookies=dict(cookies),
        data=request.body or None,
        content_type=headers.get("Content-Type", ""),
    )


def test_openapi_core_agrees_on_two_thousand_operations() -> None:
    wanted = [
        one
        for one in corpus.expected("openapi")
        if one["dialect"] in ("openapi3.0", "openapi3.1") and one["bytes"] < LARGEST
    ]
    found: Counter[str] = Counter()
    differ = []
    for one in wanted:
        spec = corpus.read(corpus.folder("openapi", one["file"]), one["file"].rpartition("/")[2])
        mock, calls = MockBackend(spec), Calls(spec)
        judge = OpenAPI.from_dict(unlocked(spec.registry.root), config=Config(spec_validator_cls=None))
        for operation in spec.operations.values():
            try:
                request = wired(spec, operation, calls)
            except Refused:
                continue
            ours = operation.id in mock.judge(*request[1:]).fits
            try:
                judge.validate_request(as_theirs(request))
            except (re.error, RecursionError):  # a pattern that Python cannot compile, a schema in itself
                found["openapi-core fails"] += 1
            except OpenAPIError as error:
                reason = type(error).__name__
                opaque = media_kind(dict(request.headers).get("Content-Type", "")) == "binary"
                if ours and reason not in NOT_FOUND and not opaque:
                    differ.append((one["file"], operation.id, repr(error.__cause__ or error)[:300]))
                found["known limit" if ours else "both refuse"] += 1
            else:
                found["both accept" if ours else "only openapi-core accepts"] += 1
    assert found["both accept"] >= 2_000, found
    assert found["only openapi-core accepts"] == 0
    unexplained = [one for one in differ if not one[0].endswith(tuple(EXPLAINED))]
    assert unexplained == [], "\n".join(map(str, unexplained))

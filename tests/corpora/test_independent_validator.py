"""An independent validator (openapi-core) accepts the requests that we build, on the documents that it can read.

It shares no code with the serializer or with the mock. Where it disagrees is looked at by hand and named here by
its class: parts of bodies that it reads in another way than the specification has it. Nothing opens a socket.
"""

import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from actions.errors import Refused
from actions.samples import Calls
from actions.serialize import RequestParts, compile_operation
from actions.specs import read_spec
from actions.specs.load import load
from tests.corpora import corpus

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from openapi_core import Config, OpenAPI
    from openapi_core.datatypes import RequestParameters
    from werkzeug.datastructures import Headers, ImmutableMultiDict

SERVER = "http://backend.example"
MAX_BYTES = 400_000
"""Larger documents take it seconds each."""


class Seen:
    """A request as openapi-core wants to see it."""

    def __init__(self, parts: RequestParts) -> None:
        url = urlsplit(parts.url)
        headers = [*parts.headers, *([("Content-Type", parts.content_type)] if parts.content_type else [])]
        cookies = dict(
            pair.split("=", 1) for name, value in headers if name == "Cookie" for pair in value.split("; ")
        )
        self.host_url = SERVER
        self.path = url.path
        self.method = parts.method.lower()
        self.body = parts.body
        self.content_type = parts.content_type
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(url.query, keep_blank_values=True)),
            header=Headers(headers),
            cookie=ImmutableMultiDict(cookies),
            path={},
        )


pytestmark = pytest.mark.usefixtures("read_offline", "offline")


def at_one_server(document: Any) -> Any:
    """Return a document without servers of its own; where things live is not what is judged."""
    items = [item for item in (document.get("paths") or {}).values() if isinstance(item, dict)]
    for item in items:
        for holder in (item, *(one for one in item.values() if isinstance(one, dict))):
            holder.pop("servers", None)
    return {**document, "servers": [{"url": SERVER}]}


def faults(api: OpenAPI, parts: RequestParts) -> list[str]:
    found = [one for one in api.iter_request_errors(Seen(parts)) if "Security" not in type(one).__name__]
    return [f"{type(one).__name__}: {one} {one.__cause__}"[:300] for one in found]


def judged(root: str) -> Iterator[tuple[str, list[str]]]:
    """Yield every operation of a document with what openapi-core has against our request."""
    data = corpus.files("openapi")[root]
    spec = read_spec({root: data}, root)
    api = OpenAPI.from_dict(at_one_server(load(root, data).value), config=Config(spec_validator_cls=None))
    calls = Calls(spec, whole=True)
    for one in spec.operations.values():
        if "#" in one.path or "?" in one.path:
            continue  # it knows neither fragments nor queries in paths
        try:
            parts = compile_operation(one, spec, SERVER)(calls.arguments(one))
        except Refused:
            continue  # what is refused, and why, is counted elsewhere
        yield f"{root}: {one.id}", faults(api, parts)


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")
def test_an_independent_validator_agrees() -> None:
    counts: Counter[str] = Counter()
    against: dict[str, list[str]] = {}
    for document in corpus.expected("openapi"):
        root, dialect = document["file"], document["dialect"]
        if dialect in {"openapi3.0", "openapi3.1"} and len(corpus.files("openapi")[root]) <= MAX_BYTES:
            for name, found in judged(root):
                counts["differs" if found else "agrees"] += 1
                if found:
                    against[name] = found
    assert counts["agrees"] > 3_000, against
    assert counts["differs"] < counts["agrees"] / 100, against
    # Nothing that it holds against us is about a path, a query, a header or a cookie.
    beside = [name for name, found in against.items() if not all("RequestBody" in one for one in found)]
    assert len(beside) <= 1, beside  # it wants a parameter `Authorization`, which OpenAPI says to ignore

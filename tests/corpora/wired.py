"""Requests of ours to operations of the corpora, as they would go over the wire."""

from typing import NamedTuple
from urllib.parse import urlsplit

from actions.samples import Calls
from actions.serialize import compile_operation, expand_server
from actions.specs.model import Operation, Spec


class Wired(NamedTuple):
    """One request: where it goes, and the parts that a mock is given."""

    origin: str
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


def wired(spec: Spec, operation: Operation, calls: Calls) -> Wired:
    """Return the request that we would send with made-up arguments. Raises Refused."""
    servers = spec.servers_of(operation)
    base = expand_server(servers[0], {}).rstrip("/") if servers else "http://api.example"
    base = base if base.startswith("http") else f"http://api.example{base}"
    parts = compile_operation(operation, spec, base)(calls.arguments(operation))
    headers = list(parts.headers)
    if operation.key_header:
        headers.append((operation.key_header, "0123456789"))
    body = parts.body or b""
    if body:
        headers.append(("Content-Type", parts.content_type))
    url = urlsplit(parts.url)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return Wired(f"{url.scheme}://{url.netloc}", parts.method, target, headers, body)

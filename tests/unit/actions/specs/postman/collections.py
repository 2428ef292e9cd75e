"""Makes collections for these tests and reads them."""

from typing import Any

import msgspec

from actions.specs import read_spec
from actions.specs.model import Operation, Spec

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"


def read(*items: Any, files: dict[str, Any] | None = None, **more: Any) -> Spec:
    """Read a collection of these items, with the files beside it."""
    document = {"info": {"name": "t", "schema": SCHEMA}, "item": list(items), **more}
    others = {name: msgspec.json.encode(value) for name, value in (files or {}).items()}
    return read_spec({"c.json": msgspec.json.encode(document), **others}, "c.json")


def item(url: Any, method: str = "GET", name: str | None = "r", **more: Any) -> dict[str, Any]:
    """Make an item; `event`, `response` and `auth` go where they belong."""
    outside = {key: more.pop(key) for key in ("event", "response", "protocolProfileBehavior") if key in more}
    named = {} if name is None else {"name": name}
    return {**named, "request": {"method": method, "url": url, **more}, **outside}


def raw(text: str, language: str = "") -> dict[str, Any]:
    """Make a raw body."""
    options = {"options": {"raw": {"language": language}}} if language else {}
    return {"mode": "raw", "raw": text, **options}


def one(spec: Spec) -> Operation:
    """Return the only operation."""
    (operation,) = spec.operations.values()
    return operation


def codes(spec: Spec) -> list[str]:
    """Return the codes of all findings."""
    return [finding.code for finding in spec.findings]


def variables(**values: str) -> list[dict[str, str]]:
    """Make the variables of a collection."""
    return [{"key": key, "value": value} for key, value in values.items()]

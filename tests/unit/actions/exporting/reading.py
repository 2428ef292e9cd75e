"""Descriptions of every format for the tests of the export, and what it means that one came back as it was."""

import json
from typing import Any

from actions.exporting import export, normal
from actions.specs import read_spec
from actions.specs.model import Spec
from actions.specs.restoring import remainder

APART = frozenset({"operations", "triggers", "security_schemes", "dialect"})


def read(document: Any, **beside: Any) -> Spec:
    files = {name.replace("__", "."): json.dumps(value).encode() for name, value in beside.items()}
    spec = read_spec({"api.json": json.dumps(document).encode(), **files}, "api.json")
    assert spec.readable, spec.findings
    return spec


def text(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def back(spec: Spec) -> Spec:
    return read_spec({"export.json": text(export(spec)).encode()})


def differences(spec: Spec, again: Spec) -> dict[str, Any]:
    """Return every field of the model in which a description is not what it was, places apart."""
    want = normal(spec)
    found: dict[str, Any] = {}
    for name, ours, theirs in (
        ("operations", want.operations, again.operations),
        ("triggers", want.triggers, again.triggers),
        ("security_schemes", want.security_schemes, again.security_schemes),
    ):
        if ours.keys() != theirs.keys():
            found[name] = sorted(ours.keys() ^ theirs.keys())
        for key in ours.keys() & theirs.keys():
            if said := remainder(ours[key], theirs[key]):
                found[key] = said
    if said := remainder(want, again, APART):
        found["description"] = said
    if want.registry.root["components"]["schemas"] != again.registry.root.get("components", {}).get(
        "schemas", {}
    ):
        found["schemas"] = True
    return found

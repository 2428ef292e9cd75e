"""The extensions that Power Platform and Azure know, and what was probably meant by one that they do not.

A misspelt extension does nothing, silently, on the platform itself; here it is said.
"""

from collections.abc import Iterator
from typing import Any, Final

from actions.specs.events import escape
from actions.specs.reading import Reading, near

EXTENSIONS: Final = frozenset(
    f"x-ms-{word}"
    for word in [
        *("api-annotation", "azure-resource", "capabilities", "client-default", "client-flatten"),
        *("client-name", "client-request-id", "code-generation-settings", "connector-metadata"),
        *("deployment-version", "discriminator-value", "docs", "dynamic-list", "dynamic-properties"),
        *("dynamic-schema", "dynamic-tree", "dynamic-values", "editor", "editor-options", "enum"),
        *("enum-values", "error-response", "examples", "external", "format", "header-collection-prefix"),
        *("identifiers", "internal", "keyType", "long-running-operation", "long-running-operation-options"),
        *("media-kind", "mutability", "no-generic-test", "notification", "notification-content"),
        *("notification-url", "odata", "openai-data", "openai-manifest", "operation-context", "pageable"),
        *("parameter-grouping", "parameter-location", "parameterized-host", "paths", "property-name-alias"),
        *("request-id", "requires-preview", "safe-operation", "secret", "skip-url-encoding", "summary"),
        *("test-value", "text", "trigger", "trigger-hint", "trigger-metadata", "trigger-value"),
        *("url-encoding", "visibility", "weight"),
    ]
)
_NAME_MAPS: Final = frozenset({"properties", "definitions", "paths", "parameters", "responses", "headers"})
_DATA: Final = frozenset({"example", "examples", "default", "enum"})


def report_misspelt(reading: Reading, root: Any) -> None:
    """Add a finding for each unknown extension that looks like a known one, where it stands first."""
    for key, (pointer, count) in _unknown(root).items():
        meant = near(key, EXTENSIONS)
        if meant:
            times = f", {count} times" if count > 1 else ""
            reading.add("extension", f"the extension {key[:80]!r} is not known{times}{meant}", pointer)


def _unknown(root: Any) -> dict[str, tuple[str, int]]:
    """Return the unknown `x-ms-…` by name, with the pointer of the first and how many there are."""
    found: dict[str, tuple[str, int]] = {}
    stack: list[tuple[str, Any, bool]] = [("", root, False)]
    while stack:
        pointer, node, names = stack.pop()
        for key, child in _members(node):
            if not names and key.startswith("x-ms-") and key not in EXTENSIONS:
                first, count = found.get(key, (f"{pointer}/{escape(key)}", 0))
                found[key] = (first, count + 1)
            elif isinstance(child, dict | list) and (names or key not in _DATA):
                inner = not names and key in _NAME_MAPS and isinstance(child, dict)
                stack.append((f"{pointer}/{escape(key)}", child, inner))
    return found


def _members(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        yield from node.items()
    else:
        yield from ((str(index), child) for index, child in enumerate(node))

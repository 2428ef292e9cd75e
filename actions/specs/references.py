"""References stay references: finds what a `$ref` points to when somebody asks, never before.

Inlining is out of the question (one real request body expands to 13 million nodes). Only what was handed in
is reachable: a reference to a URL or to a file outside the bundle is answered by a reason, never by a
look-up. A reference to another file of the bundle is written as its path from the bundle's folder, which is
how the loader of several files has to leave it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal
from urllib.parse import unquote

from actions.specs.events import escape

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:|//|\\\\")
_NAME_MAPS: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "schemas", "paths", "responses", "parameters"}
)
"""Below these the keys are names that somebody chose, not words of a specification."""
_DATA: Final = frozenset({"example", "examples", "default", "enum", "const"})
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]+")

Why = Literal["remote", "file", "missing", "cycle", "malformed"]


class Unresolved(Exception):
    """A reference leads nowhere; the text says which and why."""

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why = why


class Registry:
    """The documents of one description, and the look-up of references into them."""

    def __init__(self, root: Any, *, name: str = "", documents: Mapping[str, Any] | None = None) -> None:
        self.root = root
        self._documents = {name: root, **(documents or {})}
        self._known: dict[str, Any] = {}

    def resolve(self, ref: str) -> Any:
        """Return what a reference points to, one hop. Raises Unresolved."""
        if ref in self._known:
            return self._known[ref]
        if _SCHEME.match(ref):
            raise Unresolved("remote", f"refers to {_cut(ref)}; nothing is ever fetched")
        file, _, fragment = ref.partition("#")
        if file and file.removeprefix("./") not in self._documents:
            raise Unresolved("file", f"refers to the file {_cut(file)}; several files are not read yet")
        if fragment and not fragment.startswith("/"):
            raise Unresolved("malformed", f"refers to {_cut(ref)}; only JSON pointers are followed")
        value = self._documents[file.removeprefix("./")] if file else self.root
        for token in unquote(fragment).split("/")[1:]:
            value = _step(value, token.replace("~1", "/").replace("~0", "~"), ref)
        self._known[ref] = value
        return value

    def follow(self, value: Any) -> Any:
        """Return the value, or what it refers to at the end of a chain of references. Raises Unresolved."""
        seen: set[str] = set()
        while isinstance(value, dict) and "$ref" in value:
            ref = value["$ref"]
            if not isinstance(ref, str):
                raise Unresolved("malformed", f"has a $ref that is not text: {_cut(repr(ref))}")
            if ref in seen:
                raise Unresolved("cycle", f"refers to {_cut(ref)}, which leads back to itself")
            seen.add(ref)
            value = self.resolve(ref)
        return value

    def schema(self, value: Any) -> dict[str, Any]:
        """Return a schema behind its references; what leads nowhere is a schema that allows anything."""
        try:
            found = self.follow(value)
        except Unresolved:
            return {}
        return found if isinstance(found, dict) else {}


def _cut(text: str) -> str:
    return text if len(text) <= 120 else text[:117] + "…"


def _step(value: Any, token: str, ref: str) -> Any:
    if isinstance(value, dict) and token in value:
        return value[token]
    if isinstance(value, list) and token.isascii() and token.isdigit() and len(token) < 9:
        index = int(token)
        if index < len(value):
            return value[index]
    raise Unresolved("missing", f"refers to {_cut(ref)}, which is not there")


def _inside(value: Any, *, names: bool) -> Iterator[tuple[str, Any, bool]]:
    """Yield the containers inside of one: key, container, and whether that is a map of names."""
    if isinstance(value, list):
        for index, child in enumerate(value):
            if isinstance(child, dict | list):
                yield str(index), child, False
        return
    for key, child in value.items():
        if isinstance(child, dict | list) and (names or not (key in _DATA or key.startswith("x-"))):
            yield key, child, not names and key in _NAME_MAPS


def dangling(registry: Registry, value: Any) -> Iterator[tuple[str, str, Unresolved]]:
    """Yield pointer, reference and reason of every reference of a document that leads nowhere."""
    bad: dict[str, Unresolved | None] = {}
    stack: list[tuple[str, Any, bool]] = [("", value, False)]
    while stack:
        pointer, node, names = stack.pop()
        ref = node.get("$ref") if isinstance(node, dict) and not names else None
        if isinstance(ref, str):
            if ref not in bad:
                bad[ref] = _why(registry, ref)
            reason = bad[ref]
            if reason:
                yield pointer, ref, reason
        for key, child, child_names in _inside(node, names=names):
            stack.append((f"{pointer}/{escape(key)}", child, child_names))


def _why(registry: Registry, ref: str) -> Unresolved | None:
    try:
        registry.resolve(ref)
    except Unresolved as reason:
        return reason
    return None


def reachable(registry: Registry, value: Any) -> dict[str, Unresolved | None]:
    """Return every reference that a schema reaches, through others too, with the reason why it fails."""
    found: dict[str, Unresolved | None] = {}
    stack: list[tuple[Any, bool]] = [(value, False)] if isinstance(value, dict | list) else []
    while stack:
        node, names = stack.pop()
        ref = node.get("$ref") if isinstance(node, dict) and not names else None
        if isinstance(ref, str) and ref not in found:
            found[ref] = _why(registry, ref)
            target = None if found[ref] else registry.resolve(ref)
            if isinstance(target, dict | list):
                stack.append((target, False))
        stack.extend((child, child_names) for _, child, child_names in _inside(node, names=names))
    return found


def standalone(registry: Registry, schema: Any) -> Any:
    """Return a schema that can be used alone: everything it reaches stands under `$defs`, once.

    What cannot be reached becomes a schema that allows anything. Cycles stay cycles.
    """
    refs = reachable(registry, schema)
    names: dict[str, str] = {}
    for ref in refs:
        stem = _UNSAFE.sub("_", unquote(ref).rpartition("/")[2]) or "schema"
        name, count = stem, 1
        while name in names.values():
            count += 1
            name = f"{stem}_{count}"
        names[ref] = name
    alone = _renamed(schema, names)
    if not names or not isinstance(alone, dict):
        return alone
    defs = dict(alone.get("$defs", {}))
    for ref, name in names.items():
        reason = refs[ref]
        defs[name] = {"description": str(reason)} if reason else _renamed(registry.resolve(ref), names)
    return {**alone, "$defs": defs}


def _renamed(node: Any, names: Mapping[str, str], *, is_names: bool = False) -> Any:
    # Recursion is safe here: the loader cuts documents at a few hundred levels.
    if isinstance(node, list):
        return [_renamed(child, names) for child in node]
    if not isinstance(node, dict):
        return node
    inside = {key: flag for key, _, flag in _inside(node, names=is_names)}
    made = {
        key: _renamed(child, names, is_names=inside[key]) if key in inside else child
        for key, child in node.items()
    }
    ref = node.get("$ref")
    if not is_names and isinstance(ref, str) and ref in names:
        made["$ref"] = f"#/$defs/{names[ref]}"
    return made

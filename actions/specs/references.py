"""References stay references: finds what a `$ref` points to when somebody asks, never before.

Inlining is out of the question (one real request body expands to 13 million nodes). Only what was handed in
is reachable: a reference to a URL or to a file outside the bundle is answered by a reason, never by a
look-up. A reference to another file of the bundle is written as its path from the bundle's folder, which is
how `files` leaves it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal
from urllib.parse import unquote

from actions.specs.events import escape
from actions.specs.files import DATA, ELSEWHERE, NAME_MAPS, Files, NoFile, anchors, quoted, split
from actions.specs.load import Bundle, Document

_READ_TOO: Final = frozenset({"x-ms-paths", "x-webhooks", "x-ms-notification-content"})
"""Extensions that hold parts of the description; what stands in the others is nobody's."""

_BARE: Final = re.compile(r"[\w-]+")
_HOMES: Final = ("/definitions", "/components/schemas")
"""Where a schema is that a reference names by its name alone."""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_MAX_HOPS: Final = 50

Why = Literal["remote", "file", "missing", "cycle", "malformed", "loose"]


class Unresolved(Exception):
    """A reference leads nowhere; the text says which and why. `loose`: it was followed all the same."""

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why = why


class Registry:
    """The documents of one description, and the look-up of references into them."""

    def __init__(self, root: Any, *, name: str = "", files: Files | None = None) -> None:
        self.root = root
        self.files = files or Files(Document(name=name, value=root), {})
        self._known: dict[str, tuple[Any, str]] = {}
        self._anchors: dict[str, dict[str, tuple[Any, str]]] = {}  # by file
        self._loose: dict[str, Unresolved] = {}

    @classmethod
    def of(cls, bundle: Bundle) -> "Registry":
        """Return the registry of a bundle."""
        return cls(bundle.root.value, files=Files(bundle.root, bundle.files, bundle.max_bytes))

    def resolve(self, ref: str) -> Any:
        """Return what a reference points to, one hop. Raises Unresolved."""
        return self._find(ref, 0)[0]

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

    def forgiven(self, ref: str) -> Unresolved | None:
        """Return what is wrong with a reference that could be followed all the same."""
        return self._loose.get(ref)

    def where(self, pointer: str) -> str:
        """Return where the value really stands that a reader reached by a pointer through references.

        `/paths/~1a/get` is `a.yaml#/get` where the path item refers to that file.
        """
        file, inner = split(pointer)
        try:
            value = self.files.document(file).value if file else self.root
        except NoFile:
            return pointer
        at, hops = pointer, 0
        tokens = inner.split("/")[1:]
        at = at.removesuffix(inner) if inner else at
        for place, token in enumerate(tokens):
            key = _plain(token)
            while isinstance(value, dict) and isinstance(value.get("$ref"), str) and key not in value:
                hops += 1
                try:
                    value, at = self._find(value["$ref"], 0) if hops < _MAX_HOPS else (None, at)
                except Unresolved:
                    value = None
            try:
                value = _step(value, key, "")
            except Unresolved:
                return "/".join((at, *tokens[place:]))
            at = f"{at}/{token}"
        return at

    def _find(self, ref: str, hops: int) -> tuple[Any, str]:
        """Return what a reference points to, and where that stands."""
        found = self._known.get(ref)
        if found is None:
            if hops > _MAX_HOPS:
                raise Unresolved("cycle", f"refers to {_cut(ref)}, which leads back to itself")
            found = self._known[ref] = self._look_up(ref, hops)
        return found

    def _look_up(self, ref: str, hops: int) -> tuple[Any, str]:
        if ELSEWHERE.match(ref):
            return self._named(ref, hops)
        if ref.startswith("/"):
            found = self._meant(ref, (ref,), hops)
            if found is not None:
                return found
            raise Unresolved("file", f"refers to the absolute path {_cut(ref)}; it is never opened")
        file, _, fragment = self.files.canonical(ref).partition("#")
        document = self.files.root
        if file:
            try:
                document = self.files.document(unquote(file))
            except NoFile as reason:
                bare = _BARE.fullmatch(ref)
                found = self._meant(ref, [f"{home}/{ref}" for home in _HOMES], hops) if bare else None
                if found is not None:
                    return found
                raise Unresolved(
                    "file", f"refers to the file {_cut(unquote(file))}, which {reason}"
                ) from None
            if document.value is None and any(one.severity == "error" for one in document.findings):
                raise Unresolved("file", f"refers to the file {_cut(unquote(file))}, which cannot be read")
        if fragment and not fragment.startswith("/"):
            return self._anchored(ref, document, file, fragment, hops)
        return self._walk(document.value, f"{file}#" if file else "", fragment, ref, hops)

    def _meant(self, ref: str, pointers: Iterable[str], hops: int) -> tuple[Any, str] | None:
        """Find what a reference without `#` stands for in the root document, None where nothing is there."""
        for pointer in pointers:
            try:
                found = self._walk(self.files.root.value, "", pointer, ref, hops)
            except Unresolved:
                continue
            self._loose[ref] = Unresolved("loose", f"refers to {_cut(ref)}; read as #{_cut(pointer)}")
            return found
        return None

    def _walk(self, value: Any, at: str, fragment: str, ref: str, hops: int) -> tuple[Any, str]:
        """Go along a pointer, through the references on the way."""
        for raw in fragment.split("/")[1:]:
            token = _plain(unquote(raw))
            while isinstance(value, dict) and token not in value and isinstance(value.get("$ref"), str):
                hops += 1
                if hops > _MAX_HOPS:
                    raise Unresolved("cycle", f"refers to {_cut(ref)}, which leads back to itself")
                value, at = self._find(value["$ref"], hops)
            if isinstance(value, dict) and token not in value and _plain(raw) in value:
                token = _plain(raw)  # a key that holds a percent sign itself
            value = _step(value, token, ref)
            at = f"{at}/{escape(token)}"
        return value, at

    def _anchored(self, ref: str, document: Document, file: str, fragment: str, hops: int) -> tuple[Any, str]:
        """Find `#name`: an anchor, or a pointer whose first slash was forgotten."""
        start = f"{file}#" if file else ""
        found = self._anchors_of(document).get(f"#{fragment}")
        if found is not None:
            return found[0], start + found[1]
        try:
            value, at = self._walk(document.value, start, f"/{fragment}", ref, hops)
        except Unresolved:
            message = f"refers to {_cut(ref)}; it is no JSON pointer, and nothing has this anchor"
            raise Unresolved("malformed", message) from None
        self._loose[ref] = Unresolved("loose", f"refers to {_cut(ref)}; read as #/{_cut(fragment)}")
        return value, at

    def _named(self, ref: str, hops: int) -> tuple[Any, str]:
        """Find what calls itself by a URL (`$id`): looked for in the root document only."""
        known = self._anchors_of(self.files.root)
        name, _, fragment = ref.partition("#")
        found = known.get(ref) or known.get(name)
        if found is None:
            raise Unresolved("remote", f"refers to {_cut(ref)}; nothing is ever fetched")
        if ref in known or not fragment:
            return found
        if not fragment.startswith("/"):
            raise Unresolved("malformed", f"refers to {_cut(ref)}; only JSON pointers are followed")
        return self._walk(*found, fragment, ref, hops)

    def _anchors_of(self, document: Document) -> dict[str, tuple[Any, str]]:
        known = self._anchors.get(document.name)
        if known is None:
            known = {name: (value, at) for name, value, at in anchors(document.value)}
            self._anchors[document.name] = known
        return known


def _plain(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")


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


def inside(node: Any, *, names: bool) -> Iterator[tuple[str, Any, bool]]:
    """Yield the containers inside of one: key, container, and whether that is a map of names."""
    if isinstance(node, list):
        for index, child in enumerate(node):
            if isinstance(child, dict | list):
                yield str(index), child, False
        return
    for key, child in node.items():
        if not isinstance(child, dict | list):
            continue
        if names:
            yield key, child, False
        elif key == "examples":
            yield from _examples(child)
        elif key not in DATA and (not key.startswith("x-") or key in _READ_TOO):
            yield key, child, key in NAME_MAPS or key in _READ_TOO


def _examples(value: Any) -> Iterator[tuple[str, Any, bool]]:
    """Yield the examples that are references; what else stands there is data."""
    for name, example in value.items() if isinstance(value, dict) else ():
        if isinstance(example, dict) and isinstance(example.get("$ref"), str):
            yield f"examples/{escape(name)}", example, False


def dangling(registry: Registry) -> Iterator[tuple[str, str, Unresolved]]:
    """Yield place, reference and reason of every reference that leads nowhere, or only by forgiving.

    Looks into every file that the references of the description lead to.
    """
    bad: dict[str, Unresolved | None] = {}
    walked: set[str] = set()
    while len(walked) < len(registry.files.documents):
        for name, document in tuple(registry.files.documents.items()):
            if name not in walked:
                walked.add(name)
                start = "" if document is registry.files.root else f"{quoted(name)}#"
                yield from _dangling(registry, document.value, start, bad)


def _dangling(
    registry: Registry, value: Any, start: str, bad: dict[str, Unresolved | None]
) -> Iterator[tuple[str, str, Unresolved]]:
    stack: list[tuple[str, Any, bool]] = [(start, value, False)] if isinstance(value, dict | list) else []
    while stack:
        pointer, node, names = stack.pop()
        ref = node.get("$ref") if isinstance(node, dict) else None
        if isinstance(ref, str):
            if ref not in bad:
                bad[ref] = _why(registry, ref) or registry.forgiven(ref)
            reason = bad[ref]
            if reason:
                yield pointer, ref, reason
        for key, child, child_names in inside(node, names=names):
            inner = key if key.startswith("examples/") else escape(key)
            stack.append((f"{pointer}/{inner}", child, child_names))


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
        ref = node.get("$ref") if isinstance(node, dict) else None
        if isinstance(ref, str) and ref not in found:
            found[ref] = _why(registry, ref)
            target = None if found[ref] else registry.resolve(ref)
            if isinstance(target, dict | list):
                stack.append((target, False))
        stack.extend((child, child_names) for _, child, child_names in inside(node, names=names))
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
    flags = {key: flag for key, _, flag in inside(node, names=is_names)}
    made = {
        key: _renamed(child, names, is_names=flags[key]) if key in flags else child
        for key, child in node.items()
    }
    ref = node.get("$ref")
    if isinstance(ref, str) and ref in names:
        made["$ref"] = f"#/$defs/{names[ref]}"
    return made

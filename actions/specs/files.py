"""The files of one description: loaded when a reference first leads there, bounded, never fetched.

The references of a file are rewritten to their path from the bundle's folder when it is loaded, so that each
means the same wherever it is found: `#/x` in `a/b.yaml` becomes `a/b.yaml#/x`, `../c.yaml` there becomes
`c.yaml`. Those into the root document are written `#/…`. Only what was handed in can be opened: no path leads
above the bundle's folder, no absolute path and no URL is ever looked at.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from typing_extensions import override

from actions.specs.load import MAX_BYTES, Document, load

MAX_FILES: Final = 5_000
MAX_TOTAL: Final = 200 * 1024 * 1024
"""How many bytes all files of a description may have together."""

ELSEWHERE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//|\\\\")
"""How a reference begins that leads to a URL, a drive or a share."""

OUTSIDE: Final = "leads out of the description's folder; it is never opened"

_PROSE: Final = (".md", ".markdown", ".txt", ".html", ".htm")
_REFERENCES: Final = ("$ref", "operationRef")
NAME_MAPS: Final = frozenset(
    [
        *("properties", "patternProperties", "dependentSchemas", "$defs", "definitions", "schemas"),
        *("paths", "pathItems", "responses", "parameters", "requestBodies", "headers", "links", "callbacks"),
        *("webhooks", "channels", "messages", "securityDefinitions", "securitySchemes"),
    ]
)
"""Below these the keys are names that somebody chose, not words of a specification.

What has a name is an object or a boolean: a `$ref` that is text makes the whole map stand elsewhere.
"""

DATA: Final = frozenset({"example", "default", "enum", "const", "value"})
"""What stands below these words is the API's own data: a `$ref` in it is no reference."""

_PATH: Final = re.compile(r"#/|[./].*/|.*\.(?:json|ya?ml)(?:#|$)", re.IGNORECASE)


class NoFile(KeyError):
    """A file that cannot be had. A mapping of files may raise it to say why; KeyError says: not there."""

    @override
    def __str__(self) -> str:
        return str(self.args[0]) if self.args else "is not there"


class Files:
    """The documents of one bundle by path from its folder, the root among them."""

    def __init__(self, root: Document, files: Mapping[str, bytes], max_bytes: int = MAX_BYTES) -> None:
        self._files = files
        self._max_bytes = max_bytes
        self._lacking: dict[str, str] = {}
        self._bytes = 0
        self.root = root
        self.documents: dict[str, Document] = {root.name: root}
        if "/" in root.name:
            self._relocate(root)

    def document(self, path: str) -> Document:
        """Return a document, loaded now unless it was. Raises NoFile, whose text goes on from its name."""
        known = self.documents.get(path)
        if known is not None:
            return known
        if path not in self._lacking:
            try:
                return self._load(path)
            except NoFile as reason:
                self._lacking[path] = str(reason)
        raise NoFile(self._lacking[path])

    def _load(self, path: str) -> Document:
        if path.startswith("../") or path == "..":
            raise NoFile(OUTSIDE)
        if path.startswith("/") or ELSEWHERE.match(path):
            raise NoFile("is an absolute path; it is never opened")
        if len(self.documents) >= MAX_FILES:
            raise NoFile(f"is one more than the {MAX_FILES} files that a description may have")
        try:
            data = self._files[path]
        except NoFile:
            raise
        except KeyError:
            raise NoFile("is not there") from None
        self._bytes += len(data)
        if self._bytes > MAX_TOTAL:
            raise NoFile(f"makes all files together larger than {MAX_TOTAL} bytes")
        prose = path.lower().endswith(_PROSE)
        document = _prose(path, data) if prose else load(path, data, max_bytes=self._max_bytes)
        self.documents[path] = document
        self._relocate(document)
        return document

    def canonical(self, ref: str, holder: str = "") -> str:
        """Return what a reference in `holder` is from the bundle's folder; "" stands for that folder."""
        if ELSEWHERE.match(ref) or ref.startswith("/"):
            return ref
        file, _, fragment = ref.partition("#")
        path = holder or self.root.name
        if file:
            if "%" in file:
                file = unquote(file)
            path = posixpath.normpath(posixpath.join(posixpath.dirname(holder), file.replace("\\", "/")))
        if path == self.root.name:
            return f"#{fragment}"
        return f"{quoted(path)}#{fragment}" if fragment else quoted(path)

    def _relocate(self, document: Document) -> None:
        """Rewrite the references of a document in place; nodes that aliases share are met once."""
        seen: set[int] = set()
        top = document.value
        stack: list[tuple[Any, bool]] = [(top, False)]
        while stack:
            node, names = stack.pop()
            if id(node) in seen or not isinstance(node, dict | list):
                continue
            seen.add(id(node))
            if isinstance(node, list):
                stack.extend((child, False) for child in node)
                continue
            self._rewrite(node, document.name, names=names)
            for key, child in node.items():
                if names or key not in DATA or node is top:  # a file may be nothing but definitions
                    stack.append((child, not names and key in NAME_MAPS))

    def _rewrite(self, node: dict[str, Any], holder: str, *, names: bool) -> None:
        for key in _REFERENCES:
            ref = node.get(key)
            if isinstance(ref, str):
                node[key] = self.canonical(ref, holder)
        discriminator = None if names else node.get("discriminator")
        mapping = discriminator.get("mapping") if isinstance(discriminator, dict) else None
        if isinstance(mapping, dict):
            for name, target in mapping.items():
                if isinstance(target, str) and _PATH.match(target):  # else it is the name of a schema
                    mapping[name] = self.canonical(target, holder)


def quoted(path: str) -> str:
    """Return a path as it stands in a reference: without `#`."""
    return path.replace("%", "%25").replace("#", "%23")


def split(pointer: str) -> tuple[str, str]:
    """Return file and JSON pointer of a place: `file#/pointer`, or `/pointer` alone for the root's ("")."""
    if pointer.startswith("/") or not pointer:
        return "", pointer
    file, _, inner = pointer.partition("#")
    return unquote(file), inner


def anchors(value: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield every name that a schema gives itself (`#name` or an `$id`), the schema, and its pointer."""
    stack: list[tuple[str, Any]] = [("", value)] if isinstance(value, dict | list) else []
    while stack:
        pointer, node = stack.pop()
        if isinstance(node, dict):
            for key in ("$anchor", "$dynamicAnchor"):
                if isinstance(node.get(key), str):
                    yield f"#{node[key]}", node, pointer
            for key in ("$id", "id", "$self"):
                name = node.get(key)
                if isinstance(name, str) and (name.startswith("#") or ELSEWHERE.match(name)):
                    yield name.removesuffix("#"), node, pointer
        members = node.items() if isinstance(node, dict) else enumerate(node)
        stack.extend(
            (f"{pointer}/{_token(key)}", one) for key, one in members if isinstance(one, dict | list)
        )


def _token(key: str | int) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


def _prose(path: str, data: bytes) -> Document:
    """Return a file that is text for people: some tools let a description refer to it."""
    return Document(name=path, value=data.decode("utf-8", "replace"))

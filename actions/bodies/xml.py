"""XML bodies, written from JSON values by the `xml` hints of a schema.

Pure. Elements stand in the order of the schema's properties, those that it does not name after them. A string
in the place of the whole body is sent as it is. Where the hints are silent: the root is named after the
schema, members of a list are elements one after another, null is left out.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from actions.arguments import MAX_PROBLEMS, Problems, Token, Unfit, escaped, leaf, opened, utf8
from actions.bodies.files import is_blob, read_blob
from actions.bodies.media import charset
from actions.bodies.schemas import additional, items, merged, properties
from actions.bodies.writing import Payload, Write
from actions.specs.model import Media
from actions.specs.references import Registry

PROLOG: Final = '<?xml version="1.0" encoding="UTF-8"?>'
MAX_DEPTH: Final = 100
"""How many elements may stand inside each other."""

_START: Final = (
    "A-Z_a-z\\xc0-\\xd6\\xd8-\\xf6\\xf8-\\u02ff\\u0370-\\u037d\\u037f-\\u1fff\\u200c\\u200d\\u2070-\\u218f"
)
_NAME: Final = re.compile(f"[{_START}][{_START}\\-.0-9\\xb7\\u0300-\\u036f\\u203f\\u2040]*")
_FORBIDDEN: Final = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_TEXT: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_ATTRIBUTE: Final = {**_TEXT, '"': "&quot;", "\t": "&#9;", "\n": "&#10;"}
_XML: Final = "http://www.w3.org/XML/1998/namespace"

Spaces = Mapping[str, str]
"""Namespaces by prefix, "" for the default one, as they are in scope."""


class _Place(NamedTuple):
    """Where a value stands: its schema, the name of its element, what is in scope, and where it came from."""

    schema: Any
    name: str
    spaces: Spaces
    pointer: str
    depth: int


def xml_writer(media: Media, content_type: str, registry: Registry) -> Write:
    """Return the writer of XML by the hints of a schema."""
    foreign = bool(charset(content_type))

    def write(value: Any, problems: Problems, pointer: str) -> Payload | None:
        known = opened(value)
        try:
            if is_blob(known, merged(media.schema, registry)):
                blob = read_blob(known)
                return blob.data, blob.type or content_type
            if isinstance(known, bytes):
                return known, content_type
            if isinstance(known, str) and not isinstance(known, Token):
                return utf8(known), content_type
        except Unfit as reason:
            problems.append((pointer, f"{pointer[1:]} {reason}"))
            return None
        before = len(problems)
        text = PROLOG + _Writer(registry, problems).root(media.schema, known, pointer)
        if len(problems) > before:
            return None
        # In ASCII the text is right in every character set that a description may ask for.
        return text.encode("ascii", "xmlcharrefreplace") if foreign else text.encode(), content_type

    return write


class _Writer:
    """Writes one document."""

    def __init__(self, registry: Registry, problems: Problems) -> None:
        self._registry = registry
        self._problems = problems
        self._most = len(problems) + MAX_PROBLEMS

    def root(self, schema: Any, value: Any, pointer: str) -> str:
        """Return the element of the whole value; a list stands inside of one."""
        place = _Place(schema, self._root_name(schema), {"xml": _XML}, pointer, 0)
        if not isinstance(value, list | tuple):
            return self._element(place, value)
        tag, spaces, declared = self._tag(place, self._hints(schema))
        inside = self._members(place._replace(spaces=spaces, depth=1), value)
        return f"<{tag}{declared}>{inside}</{tag}>"

    def _root_name(self, schema: Any) -> str:
        found = merged(schema, self._registry)
        ref = schema.get("$ref") if isinstance(schema, Mapping) else None
        candidates = [unquote(ref).rpartition("/")[2] if isinstance(ref, str) else None, found.get("title")]
        listed = found.get("allOf")
        if isinstance(listed, list) and len(listed) == 1 and isinstance(listed[0], dict):
            candidates.insert(0, unquote(str(listed[0].get("$ref", ""))).rpartition("/")[2])
        return next((one for one in candidates if isinstance(one, str) and _NAME.fullmatch(one)), "root")

    def _hints(self, schema: Any) -> Mapping[str, Any]:
        hints = merged(schema, self._registry).get("xml")
        return hints if isinstance(hints, Mapping) else {}

    def _refuse(self, pointer: str, reason: str) -> None:
        if len(self._problems) < self._most:
            self._problems.append((pointer, f"{pointer[1:]} {reason}"))

    def _element(self, place: _Place, value: Any) -> str:
        """Return one element with everything inside."""
        if place.depth > MAX_DEPTH:
            self._refuse(place.pointer, f"is nested in more than {MAX_DEPTH} elements")
            return ""
        tag, spaces, start = self._tag(place, self._hints(place.schema))
        value = opened(value)
        inside = place._replace(spaces=spaces, depth=place.depth + 1)
        if isinstance(value, dict):
            attributes, text = self._object(inside, value)
            start += attributes
        elif isinstance(value, list | tuple):
            text = self._members(inside, value)
        else:
            text = self._text(value, place.pointer, _TEXT)
        return f"<{tag}{start}>{text}</{tag}>" if text else f"<{tag}{start}/>"

    def _tag(self, place: _Place, hints: Mapping[str, Any]) -> tuple[str, Spaces, str]:
        """Return the name of an element, what is in scope inside, and the declarations that make it so."""
        name = hints.get("name")
        name = name if isinstance(name, str) and name else place.name
        return self._qualified(name, place, hints, attribute=False)

    def _qualified(
        self, name: str, place: _Place, hints: Mapping[str, Any], *, attribute: bool
    ) -> tuple[str, Spaces, str]:
        prefix, space = hints.get("prefix"), hints.get("namespace")
        prefix = prefix if isinstance(prefix, str) else ""
        space = space if isinstance(space, str) else ""
        if ":" in name and not prefix:
            prefix, _, name = name.partition(":")
        if not _NAME.fullmatch(name):
            self._refuse(place.pointer, f"cannot be written as XML: {name[:80]!r} is no name of an element")
            name = "x"
        if prefix and (not _NAME.fullmatch(prefix) or not (space or prefix in place.spaces)):
            prefix = ""  # bound to nothing, it would make the whole text unreadable
        if attribute and not prefix:
            return name, place.spaces, ""
        declared = ""
        spaces = place.spaces
        if space and spaces.get(prefix) != space and prefix != "xml":
            quoted = self._text(space, place.pointer, _ATTRIBUTE)
            declared = f' xmlns:{prefix}="{quoted}"' if prefix else f' xmlns="{quoted}"'
            spaces = {**spaces, prefix: space}
        return f"{prefix}:{name}" if prefix else name, spaces, declared

    def _object(self, place: _Place, value: Mapping[str, Any]) -> tuple[str, str]:
        """Return the attributes and the content of an element."""
        declared = properties(place.schema, self._registry)
        others = additional(place.schema, self._registry)
        names = [name for name in declared if name in value] + [
            str(name) for name in value if name not in declared
        ]
        attributes, content = "", ""
        for name in names:
            member = opened(value[name])
            if member is None:
                continue
            schema = declared.get(name, others)
            hints = self._hints(schema)
            at = place._replace(schema=schema, name=name, pointer=f"{place.pointer}/{escaped(name)}")
            node = hints.get("nodeType")
            if hints.get("attribute") is True or node == "attribute":
                given = hints.get("name")
                key = given if isinstance(given, str) and given else name
                key, _, declaration = self._qualified(key, at, hints, attribute=True)
                attributes += f'{declaration} {key}="{self._text(member, at.pointer, _ATTRIBUTE)}"'
            elif node in ("text", "cdata") or hints.get("x-text") is True:
                content += self._text(member, at.pointer, _TEXT)
            elif isinstance(member, list | tuple):
                content += self._listed(at, member, hints)
            else:
                content += self._element(at, member)
        return attributes, content

    def _listed(self, place: _Place, value: Any, hints: Mapping[str, Any]) -> str:
        """Return a list that is a property: its members, inside of an element where it is wrapped."""
        name = hints.get("name")
        place = place._replace(name=name) if isinstance(name, str) and name else place
        if hints.get("wrapped") is not True and hints.get("nodeType") != "element":
            return self._members(place, value)
        tag, spaces, declared = self._tag(place, hints)
        inside = self._members(place._replace(spaces=spaces, depth=place.depth + 1), value)
        return f"<{tag}{declared}>{inside}</{tag}>" if inside else f"<{tag}{declared}/>"

    def _members(self, place: _Place, value: Any) -> str:
        """Return the members of a list; without a name of their own they have that of the list."""
        inner = items(place.schema, self._registry)
        return "".join(
            self._element(place._replace(schema=inner, pointer=f"{place.pointer}/{index}"), member)
            for index, member in enumerate(value)
        )

    def _text(self, value: Any, pointer: str, escapes: Mapping[str, str]) -> str:
        try:
            text = leaf(value) or ""
        except Unfit as reason:
            self._refuse(pointer, str(reason))
            return ""
        if _FORBIDDEN.search(text):
            self._refuse(pointer, "has characters that XML cannot carry")
            return ""
        return "".join(escapes.get(char, char) for char in text)

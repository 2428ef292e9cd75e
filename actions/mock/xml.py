"""Reads and writes XML by the `xml` hints of schemas (name, namespace, attribute, wrapped), for the mock.

No document type, no entities, bounded depth and size: what arrives comes from anywhere. Pure.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser

from actions.mock.shapes import Tree, View

_MAX_DEPTH: Final = 100
_MAX_ELEMENTS: Final = 100_000
_TEXT: Final = "#text"
_UNFIT_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]+|^(?=[^A-Za-z_])")
_UNFIT_TEXT: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class BadXML(Exception):
    """The body is no XML that anybody should read, or has the wrong root; the text says why."""


class _Bounded:
    """Builds the tree, and stops at too much of it."""

    def __init__(self) -> None:
        self._open: list[Element] = []
        self._count = 0
        self._last: Element | None = None
        self.root: Element | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin an element."""
        self._count += 1
        if len(self._open) >= _MAX_DEPTH:
            raise BadXML(f"is nested more than {_MAX_DEPTH} levels deep")
        if self._count > _MAX_ELEMENTS:
            raise BadXML(f"has more than {_MAX_ELEMENTS} elements")
        made = SubElement(self._open[-1], tag, attributes) if self._open else Element(tag, attributes)
        self.root = made if self.root is None else self.root
        self._open.append(made)
        self._last = None

    def end(self, _: str) -> None:
        """End an element."""
        self._last = self._open.pop()

    def data(self, text: str) -> None:
        """Take text, to the element it stands in; what stands between children is nothing to us."""
        if self._open and self._last is None:
            self._open[-1].text = (self._open[-1].text or "") + text

    def close(self) -> Element | None:
        """Return the root."""
        return self.root


def parse(body: bytes) -> Element:
    """Return the root element. Raises BadXML."""
    parser = XMLParser(target=_Bounded(), forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(body)
        root: Element | None = parser.close()
    except DefusedXmlException as error:
        raise BadXML(
            f"has a document type or entities, which are not read: {type(error).__name__}"
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise BadXML(f"is not XML: {error}") from error
    if root is None:
        raise BadXML("is not XML: it is empty")
    return root


def hints(view: View) -> Mapping[str, Any]:
    """Return the `xml` object of a schema."""
    return next((one["xml"] for one in view.schemas if isinstance(one.get("xml"), dict)), {})


def read(body: bytes, view: View, name: str) -> Tree:
    """Return a body as a tree of text; `name` is what the root is called where no hint says it."""
    root = parse(body)
    own = hints(view)
    wanted = own.get("name", name)
    if isinstance(wanted, str) and wanted and _local(root.tag) != wanted.rpartition(":")[2]:
        raise BadXML(f"has the root element {_local(root.tag)[:80]}, but it must be {wanted}")
    _check_namespace(root, own)
    if view.takes_list and not view.takes_object:
        items = hints(view.item())
        return [_read(child, view.item()) for child in root if _named(child, str(items.get("name", "")))]
    return _read(root, view)


def _read(element: Element, view: View) -> Tree:
    if view.takes_list and not view.takes_object:  # a list inside a list: always wrapped
        return [_read(child, view.item()) for child in element]
    if not view.takes_object and (view.types or not (len(element) or element.attrib)):
        return element.text or ""
    found: dict[str, Tree] = {}
    taken: set[str] = set()
    for name in view.names:
        member = view.member(name)
        own = hints(member)
        tag = own.get("name") if isinstance(own.get("name"), str) else name
        if own.get("attribute") is True or own.get("nodeType") == "attribute":
            value = next((text for key, text in element.attrib.items() if _local(key) == tag), None)
            if value is not None:
                found[name] = value
            taken.add(f"@{tag}")
            continue
        if own.get("nodeType") in ("text", "cdata") or own.get("x-text") is True:
            found[name] = element.text or ""
            continue
        value = _children(element, name, member, taken)
        if value is not None:
            found[name] = value
    _read_others(element, view, taken, found)
    return found


def _children(element: Element, name: str, member: View, taken: set[str]) -> Tree | None:
    """Return what the children of a name are; for a list, wrapped in one element or side by side."""
    own = hints(member)
    wrapped = member.takes_list and own.get("wrapped") is True
    names = [own.get("name"), name]
    if member.takes_list and not wrapped:  # without a wrapper the items' own name counts
        names.insert(0, hints(member.item()).get("name"))
    tag = name
    mine: list[Element] = []
    for one in names:
        if not mine and isinstance(one, str):
            tag = one
            mine = [child for child in element if _local(child.tag) == tag]
    if not mine:
        return None
    taken.add(tag)
    for child in mine:
        _check_namespace(child, own)
    if not member.takes_list:
        if len(mine) > 1 and member.types:
            raise BadXML(f"has several elements {tag[:80]}, but it is not a list")
        return _read(mine[0], member) if len(mine) == 1 else [_read(child, member) for child in mine]
    if not wrapped:
        return [_read(child, member.item()) for child in mine]
    if len(mine) > 1:
        raise BadXML(f"has several elements {tag[:80]}, but its list is wrapped into one")
    return _wrapped(mine[0], tag, member.item())


def _wrapped(wrapper: Element, tag: str, item: View) -> list[Tree]:
    """Return the members of a wrapped list; without a name of their own they are called as the wrapper."""
    named = hints(item).get("name")
    expected = named if isinstance(named, str) else tag
    wrong = next((child for child in wrapper if _local(child.tag) != expected), None)
    if wrong is not None:
        raise BadXML(f"has an element {_local(wrong.tag)[:80]} in {tag[:80]}, where {expected} is expected")
    return [_read(child, item) for child in wrapper]


def _read_others(element: Element, view: View, taken: set[str], found: dict[str, Tree]) -> None:
    """Take over what nothing is declared for, under its own name."""
    for child in element:
        name = _local(child.tag)
        if name in taken:
            continue
        value = _read(child, view.member(name))
        known = found.get(name)
        if known is None:
            found[name] = value
        else:
            found[name] = [*known, value] if isinstance(known, list) else [known, value]
    for key, text in element.attrib.items():
        name = _local(key)
        if f"@{name}" not in taken and not key.startswith("{http://www.w3.org/2001/XMLSchema-instance}"):
            found.setdefault(name, text)
    if not len(element) and (element.text or "").strip() and not found:
        found[_TEXT] = element.text or ""


def _check_namespace(element: Element, own: Mapping[str, Any]) -> None:
    wanted = own.get("namespace")
    if isinstance(wanted, str) and wanted and not element.tag.startswith(f"{{{wanted}}}"):
        raise BadXML(f"has the element {_local(element.tag)[:80]} outside of the namespace {wanted[:120]}")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _named(child: Element, name: str) -> bool:
    return not name or _local(child.tag) == name


def write(value: Any, view: View, name: str) -> bytes:
    """Return a JSON value as XML."""
    root = _write(value, view, str(hints(view).get("name", name) or "root"))
    text: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _write(value: Any, view: View, tag: str) -> Element:
    own = hints(view)
    namespace = own.get("namespace")
    tag = _fit(tag)
    element = Element(f"{{{namespace}}}{tag}" if isinstance(namespace, str) and namespace else tag)
    if isinstance(value, dict):
        for name, one in value.items():
            _write_member(element, str(name), one, view.member(str(name)))
    elif isinstance(value, list):
        item = str(hints(view.item()).get("name", tag))
        element.extend(_write(one, view.item(), item) for one in value)
    elif value is not None:
        element.text = _text(value)
    return element


def _write_member(element: Element, name: str, value: Any, member: View) -> None:
    own = hints(member)
    tag = str(own.get("name", name))
    if own.get("attribute") is True and not isinstance(value, dict | list):
        element.set(_fit(tag), _text(value))
    elif isinstance(value, list) and own.get("wrapped") is not True:
        item = str(hints(member.item()).get("name", tag))
        element.extend(_write(one, member.item(), item) for one in value)
    else:
        element.append(_write(value, member, tag))


def _fit(name: str) -> str:
    return _UNFIT_NAME.sub("_", name) or "_"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _UNFIT_TEXT.sub("", str(value))

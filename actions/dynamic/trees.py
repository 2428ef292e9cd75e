"""Trees to pick from, as files and folders: `x-ms-dynamic-tree` and the capability `file-picker`. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from actions.dynamic.calls import DynamicCall, at, make_call, text
from actions.specs.model import Operation, Spec

CAPABILITIES: Final = "x-ms-capabilities"
PICKER: Final = "file-picker"

_CONDITION: Final = re.compile(r"\(?\s*([^\s()]+)\s+(eq|ne)\s+('(?:[^']*)'|[^\s()']+)\s*\)?", re.IGNORECASE)


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One node. `item` is what the API said of it: browsing it needs that."""

    value: Any
    title: str
    full_title: str
    parent: bool
    selectable: bool
    item: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicTree:
    """A tree: `open` brings its first nodes, `browse` those below a node that is a parent."""

    open: DynamicCall
    browse: DynamicCall
    parents: bool = False
    leaves: bool = True
    folder: str = ""
    full_title: str = ""

    @property
    def problem(self) -> str:
        """Why it cannot be opened, "" when it can; one that cannot be browsed is a list."""
        return self.open.problem

    def nodes(self, call: DynamicCall, answer: Any) -> list[Node]:
        """Return the nodes in the answer of one of the two calls. Raise NotAsDescribed."""
        found = []
        for item in call.items(answer):
            value = at(item, call.value_path) if call.value_path else item
            if value is None:
                continue
            parent = bool(not self.browse.problem and is_parent(self.folder, item))
            title = at(item, call.title_path) if call.title_path else None
            full = at(item, self.full_title) if self.full_title else None
            shown = text(value if title is None else title)
            found.append(
                Node(
                    value=value,
                    title=shown,
                    full_title=shown if full is None else text(full),
                    parent=parent,
                    selectable=self.parents if parent else self.leaves,
                    item=item,
                )
            )
        return found


def make_tree(spec: Spec, asking: Operation, value: Mapping[str, Any]) -> DynamicTree:
    """Compile an `x-ms-dynamic-tree`."""
    opened, browsed = _mapping(value.get("open")), _mapping(value.get("browse"))
    settings = _mapping(value.get("settings"))
    return DynamicTree(
        open=make_call("tree", spec, asking, opened),
        browse=make_call("tree", spec, asking, browsed),
        parents=settings.get("canSelectParentNodes") is True,
        leaves=settings.get("canSelectLeafNodes") is not False,
        folder=_text(opened.get("itemIsParent", browsed.get("itemIsParent"))),
        full_title=_text(opened.get("itemFullTitlePath")),
    )


def make_picker(spec: Spec, asking: Operation, value: Mapping[str, Any]) -> DynamicTree:
    """Compile a place that takes what the connector's capability `file-picker` offers."""
    named = _text(value.get("capability"))
    capability = _mapping(_mapping(spec.extras.get(CAPABILITIES)).get(named))
    if not capability:
        missing = DynamicCall(kind="tree", problem=f"the description has no capability {named!r}")
        return DynamicTree(open=missing, browse=missing)
    own = _mapping(value.get("parameters"))
    shared = {
        key: value.get(key, capability.get(key))
        for key in ("value-path", "value-title", "value-collection")
        if value.get(key, capability.get(key)) is not None
    }
    folders = own.get("isFolder") is True
    return DynamicTree(
        open=make_call("tree", spec, asking, {**shared, **_mapping(capability.get("open"))}, own),
        browse=make_call("tree", spec, asking, {**shared, **_mapping(capability.get("browse"))}, own),
        parents=folders,
        leaves=not folders,
        folder=_text(capability.get("value-folder-property")),
    )


def is_parent(condition: str, item: Any) -> bool:
    """Say whether an item has children: `true`, the name of a member, or `(member eq value)`."""
    plain = condition.strip()
    if plain.lower() in {"", "true", "false"}:
        return plain.lower() == "true"
    matched = _CONDITION.fullmatch(plain)
    if matched is None:
        found = at(item, plain.strip("() "))
        return found is True or (isinstance(found, str) and found.lower() == "true")
    same = text(at(item, matched[1])).lower() == matched[3].strip("'").lower()
    return same if matched[2].lower() == "eq" else not same


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else ""

"""Puts one more resource into the text of a configuration file; comments and layout stay as they are.

Pure, and no judge: whoever changes a file with this reads the result again and compares.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from service.config.marks import Node

_PLAIN: Final = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", ".inf", ".nan"})
_INDENT: Final = "  "


def snippet(section: str, name: str, value: Mapping[str, Any]) -> str:
    """Return a resource as it would stand in a file of its own."""
    return f"{section}:\n{_block(name, value, _INDENT)}"


def inserted(content: str, root: Node | None, section: str, name: str, value: Mapping[str, Any]) -> str:
    """Return the text with the resource added to its section; `root` is what the text says."""
    node = root.members.get(section) if root is not None else None
    if root is not None and _is_flow(content, root) and node is None:
        return _into_flow(content, root, section, {name: value})
    if root is None or node is None:
        return _appended(content, section, name, value)
    if _is_flow(content, node) and (node.members or _is_flow(content, root)):
        return _into_flow(content, node, name, value)
    if not node.members:
        return _instead(content, root.keys[section], node, _block(name, value, _INDENT))
    first = next(iter(node.keys.values()))
    indent = content[content.rfind("\n", 0, first.start) + 1 : first.start]
    at = _behind(content, _end(node), len(indent))
    gap = "" if at == 0 or content[at - 1] == "\n" else "\n"
    return content[:at] + gap + _block(name, value, indent) + content[at:]


def _is_flow(content: str, node: Node) -> bool:
    return content[node.start : node.start + 1] == "{"


def _appended(content: str, section: str, name: str, value: Mapping[str, Any]) -> str:
    gap = "" if not content or content.endswith("\n") else "\n"
    apart = "\n" if content.strip() else ""
    return f"{content}{gap}{apart}{snippet(section, name, value)}"


def _instead(content: str, key: Node, node: Node, block: str) -> str:
    """Put the first resource into a section that is empty: nothing, `null` or `{}` stands there."""
    start = content.index(":", key.end) + 1 if node.start <= key.end else node.start
    end = max(start, node.end)
    line_end = content.find("\n", end)
    line_end = len(content) if line_end < 0 else line_end
    rest = content[end:line_end].rstrip()
    return f"{content[:start].rstrip()}{rest}\n{block}{content[line_end + 1 :]}"


def _into_flow(content: str, node: Node, name: str, value: Any) -> str:
    close = node.end - 1
    before = content[:close].rstrip()
    comma = "" if before.endswith(("{", ",")) else ","
    space = "" if before.endswith("{") else " "
    made = f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
    return f"{before}{comma}{space}{made}{content[len(before) :]}"


def _end(node: Node) -> int:
    """Return where the text of the last thing in a mapping or list ends, without what follows it."""
    if node.style == "{" and node.members and node.text.content[node.start : node.start + 1] != "{":
        name = next(reversed(node.members))
        return max(node.keys[name].end, _end(node.members[name]))
    if node.style == "[" and node.items and node.text.content[node.start : node.start + 1] != "[":
        return _end(node.items[-1])
    return len(node.text.content[: node.end].rstrip())


def _behind(content: str, end: int, indent: int) -> int:
    """Return where the next line begins, comments left out that stand further in: they belong to it."""
    at = content.find("\n", end)
    at = len(content) if at < 0 else at + 1
    while at < len(content):
        line_end = content.find("\n", at)
        line_end = len(content) if line_end < 0 else line_end + 1
        line = content[at:line_end]
        if not line.lstrip().startswith("#") or len(line) - len(line.lstrip()) <= indent:
            break
        at = line_end
    return at


def _block(name: str, value: Mapping[str, Any], indent: str) -> str:
    lines = [f"{indent}{_scalar(name)}:"]
    lines.extend(f"{indent}{_INDENT}{_scalar(key)}: {_flow(part)}" for key, part in value.items())
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)

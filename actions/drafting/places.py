"""Which parts of a sample's path are inputs, and what they are called. Pure: guessed from the path alone.

A part is an input where it is written as one (`{id}`, `:id`, `$ID`), a number, a UUID, or looks like an
identifier or a key rather than a word.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from actions.drafting.inferring import of_text, schema_of
from actions.drafting.secrecy import may_be_secret

_WRITTEN: Final = re.compile(r"\{\{?([^{}/]+)\}?\}|:([A-Za-z_]\w*)|<([^<>/]+)>|\$\{?([A-Za-z_]\w*)\}?")
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[0-9]+")
_IDENTIFIER: Final = re.compile(
    r"(?=.*[0-9])(?:[a-z]{2,12}_[0-9]+|[a-z]{2,8}_[A-Za-z0-9]{6,}|[A-Z0-9]{8,}|[0-9a-f]{16,})"
)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_WORDS: Final = re.compile(r"[^A-Za-z0-9]+")


def templated(path: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """Return a path with its inputs as `{name}`, and the schema of each. The path begins with a slash."""
    parts: list[str] = []
    inputs: dict[str, dict[str, Any]] = {}
    before = ""
    for segment in path.split("/")[1:]:
        text = unquote(segment)
        name = _input_name(text, before, inputs)
        if name:
            inputs[name] = _schema(text)
            parts.append(f"{{{name}}}")
            before = ""
        else:
            parts.append(segment.replace("{", "%7B").replace("}", "%7D"))
            before = text
    return "/" + "/".join(parts), inputs


def _input_name(text: str, before: str, taken: Mapping[str, Any]) -> str:
    """Return the name of the input that a segment is, "" where it is none."""
    written = _WRITTEN.fullmatch(text)
    if written:
        wanted = _WORDS.sub("_", next(one for one in written.groups() if one)).strip("_") or "id"
    elif _is_value(text):
        words = [word for word in _WORDS.split(before) if _NAME.fullmatch(word)]
        wanted = _singular(_camel(words)) + "Id" if words else "id"
    else:
        return ""
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}{count}"
    return name


def _is_value(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text) or _UUID.fullmatch(text) or _IDENTIFIER.fullmatch(text)) or (
        may_be_secret(text)
    )


def _schema(text: str) -> dict[str, Any]:
    """Return the schema of an input; of one that is only named, anything that is text."""
    if _NUMBER.fullmatch(text) or _UUID.fullmatch(text):
        return schema_of([of_text(text)])
    return {"type": "string"}


def _camel(words: list[str]) -> str:
    head, *tail = words
    return head[0].lower() + head[1:] + "".join(word[0].upper() + word[1:] for word in tail)


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word

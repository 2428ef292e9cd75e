"""A sample of an answer, understood: a body alone, or with its head as `curl -i` prints it. Pure."""

import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from actions.drafting.inferring import schema_of
from actions.specs.model import media_kind

_HEAD: Final = re.compile(rb"HTTP/[0-9.]+ ([1-5][0-9]{2})[^\r\n]*\r?\n")
_END: Final = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came back. `type` is "" where there is no body, `schema` {} where nothing can be told."""

    status: str = ""
    type: str = ""
    schema: dict[str, Any]


def read_answer(data: bytes) -> Answered:
    """Return what a sample of an answer says. Of several heads (a redirect, 100) the last counts."""
    status, said = "", ""
    while head := _HEAD.match(data):
        end = _END.search(data)
        lines, data = (data[: end.start()], data[end.end() :]) if end else (data, b"")
        status = head[1].decode()
        said = ""
        for line in lines.splitlines()[1:]:
            name, _, value = line.decode("latin-1").partition(":")
            if name.strip().lower() == "content-type":
                said = value.partition(";")[0].strip().lower()
    if not data.strip():
        return Answered(status=status, schema={})
    try:
        return Answered(status=status, type=said or "application/json", schema=schema_of([decoded(data)]))
    except ValueError:
        kind = said or ("text/plain" if _is_text(data) else "application/octet-stream")
        text = media_kind(kind) in ("text", "json")
        return Answered(status=status, type=kind, schema={"type": "string"} if text and kind != said else {})


def decoded(data: bytes | str) -> Any:
    """Return a JSON value. Raise ValueError."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _is_text(data: bytes) -> bool:
    try:
        return "\x00" not in data.decode()
    except UnicodeDecodeError:
        return False

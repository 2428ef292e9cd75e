"""Prints what commands answer: tables for people, JSON, JSON lines or YAML for machines."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.errors import Problem

Format = Literal["table", "json", "jsonl", "yaml"]

WIDE: Final = 60
"""Longest cell of a table; `-o json` shows the rest."""


def out() -> Console:
    """Return the console for answers: no colour when it is no terminal, never cut there."""
    return Console(file=sys.stdout, soft_wrap=not sys.stdout.isatty(), highlight=False)


def err() -> Console:
    """Return the console for everything that is no answer."""
    return Console(file=sys.stderr, soft_wrap=True, highlight=False)


def emit(value: Any, style: Format, columns: Sequence[str] = ()) -> None:
    """Print an answer. A page (`items`, `next`) is a table of its items, anything else a list of fields."""
    if style == "json":
        _write(msgspec.json.format(_json(value), indent=2).decode())
    elif style == "yaml":
        sys.stdout.write(
            yaml.safe_dump(msgspec.json.decode(_json(value)), allow_unicode=True, sort_keys=False)
        )
    elif style == "jsonl":
        for item in value["items"] if _is_page(value) else [value]:
            _write(_json(item).decode())
    elif _is_page(value):
        _table(value, columns)
    else:
        _fields(value)


def emit_problems(problems: Iterable[Problem], style: Format) -> None:
    """Print problems: to standard output for machines, one line each for people."""
    listed = [
        {name: part for name, part in msgspec.structs.asdict(one).items() if part not in ("", None, 0)}
        for one in problems
    ]
    if style == "table":
        console = err()
        for one in problems:
            colour = "red" if one.severity == "error" else "yellow"
            console.print(Text.assemble((f"{one.severity}: ", colour), printable(str(one))))
    else:
        emit({"items": listed, "next": ""} if style == "jsonl" else {"problems": listed}, style)


def printable(text: str) -> str:
    """Escape control characters: text from outside must not move the cursor (threat S44)."""
    return "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in text)


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _is_page(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"items", "next"}


def _table(page: Mapping[str, Any], columns: Sequence[str]) -> None:
    items = page["items"]
    if not items:
        err().print("nothing to show")
        return
    names = list(columns) or list(items[0])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name.replace("_", " ").upper(), overflow="fold")
    for item in items:
        table.add_row(*(Text(_cell(item.get(name))) for name in names))
    out().print(table)
    if page["next"]:
        err().print(f"more: --cursor {page['next']}")


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        text = " ".join(f"{name}:{part}" for name, part in value.items()) or "-"
    elif isinstance(value, list):
        text = ", ".join(str(part) for part in value) or "-"
    else:
        text = str(value)
    text = printable(text.replace("\n", " "))
    return text if len(text) <= WIDE else text[: WIDE - 1] + "…"


def _fields(value: Mapping[str, Any]) -> None:
    console = out()
    width = max((len(name) for name in value), default=0) + 1
    for name, part in value.items():
        title = Text(f"{name.replace('_', ' ')}:".ljust(width + 1), style="bold")
        if isinstance(part, Mapping | list) and part:
            console.print(title)
            text = msgspec.json.format(_json(part), indent=2).decode()
            console.print(Text(printable("\n".join("  " + line for line in text.splitlines()))))
        else:
            console.print(title + Text(printable(str(part)) if part not in (None, "", {}, []) else "-"))

"""Prints what commands answer: tables for people, JSON, JSON lines or YAML for machines.

Text from outside never reaches a terminal raw: control characters and other unprintable ones are escaped in
every style (threat S44). Answers go to standard output, everything else to standard error.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
import yaml
from cyclopts import Parameter
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text
from typing_extensions import override

from service.errors import Problem

Format = Literal["table", "json", "jsonl", "yaml"]
Output = Annotated[
    Format, Parameter(name=["--output", "-o"], help="How to print: table, json, jsonl or yaml.")
]

CLIPPED: Final = frozenset(
    {"detail", "error", "last_error", "path", "reason", "server", "spec", "summary", "title", "type"}
)
"""Columns that are cut where a line would not fit; names, ids and states never are."""

NARROWEST: Final = 12
"""Cells that a cut column keeps."""

SHORT: Final = 80
"""Cells up to which a list of words, or some counts, stand in one line."""


class _Console(Console):
    """A console that leaves it to the command to say what a reader who has gone means."""

    @override
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def out() -> Console:
    """Return the console for answers: no colour when it is no terminal, and no line is folded."""
    return _Console(file=sys.stdout, soft_wrap=True, highlight=False)


def err() -> Console:
    """Return the console for everything that is no answer."""
    return _Console(file=sys.stderr, soft_wrap=True, highlight=False)


def paper() -> Console:
    """Return the console for help: folded to the width that there is."""
    return _Console(file=sys.stdout, highlight=False)


def emit(value: Any, style: Format, columns: Sequence[str] = ()) -> None:
    """Print an answer. A page (`items`, `next`) is a table of its items, anything else a list of fields."""
    if style == "json":
        _write(json_text(value, indent=2))
    elif style == "yaml":
        _write(yaml_text(value), end="")
    elif style == "jsonl":
        for item in value["items"] if is_page(value) else [value]:
            _write(json_text(item))
    elif is_page(value):
        _page(value, columns)
    else:
        fields(value)


def emit_problems(problems: Iterable[Problem], style: Format) -> None:
    """Print problems: to standard output for machines, one line each on standard error for people."""
    if style != "table":
        listed = [
            {name: part for name, part in msgspec.structs.asdict(one).items() if part not in ("", None, 0)}
            for one in problems
        ]
        emit({"items": listed, "next": ""} if style == "jsonl" else {"problems": listed}, style)
        return
    console = err()
    for one in problems:
        colour = "red" if one.severity == "error" else "yellow"
        console.print(Text.assemble((f"{one.severity}: ", colour), printable(str(one))))


def say(text: str) -> None:
    """Print one line for people to standard error."""
    err().print(Text(printable(text)))


def line(text: str = "", style: str = "") -> None:
    """Print one line of an answer for people."""
    out().print(Text(printable(text), style=style))


def printable(text: str) -> str:
    """Escape what is not printable: text from outside must not move the cursor."""
    return "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in text)


def json_text(value: Any, indent: int = 0) -> str:
    """Return JSON in which unprintable characters are escaped; it means the same to every reader."""
    encoded = _encoded(value)
    return _escaped((msgspec.json.format(encoded, indent=indent) if indent else encoded).decode())


def yaml_text(value: Any) -> str:
    """Return YAML in which unprintable characters are escaped."""
    plain = msgspec.json.decode(_encoded(value))
    dumped = yaml.dump(plain, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100)
    return _escaped(str(dumped))


def _encoded(value: Any) -> bytes:
    """Return JSON, also for text that is none in UTF-8: the name of a file may be any bytes."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_whole(msgspec.to_builtins(value)))


def _whole(value: Any) -> Any:
    """Return a value in whose texts halves of surrogate pairs stand as people would write them."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return {_whole(name): _whole(one) for name, one in value.items()} if isinstance(value, dict) else value


class _Dumper(yaml.SafeDumper):
    """Quotes every text that holds something unprintable, so that it can be escaped."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if all(sign.isprintable() or sign == "\n" for sign in text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted)


def _escaped(text: str) -> str:
    """Write unprintable characters as JSON and double-quoted YAML write them."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\n" else _escape(sign) for sign in text)


def _escape(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _write(text: str, end: str = "\n") -> None:
    sys.stdout.write(text + end)


def is_page(value: Any) -> bool:
    """Return whether an answer is a page of items."""
    return isinstance(value, Mapping) and set(value) == {"items", "next"}


def _page(page: Mapping[str, Any], columns: Sequence[str]) -> None:
    items = page["items"]
    if not items:
        say("nothing to show")
        return
    rows(items, columns)
    if page["next"]:
        say(f"there are more: --cursor {page['next']}")


def rows(items: Sequence[Mapping[str, Any]], columns: Sequence[str] = (), indent: str = "") -> None:
    """Print items as aligned columns. On a terminal, long columns are cut so that each fits one line."""
    names = list(columns) or list(items[0])
    titles = [name.replace("_", " ").upper() for name in names]
    cells = [[_cell(item.get(name)) for name in names] for item in items]
    widths = [max(map(cell_len, column)) for column in zip(titles, *cells, strict=True)]
    if sys.stdout.isatty():
        _narrow(names, widths, out().width - len(indent))
    out().print(Text(indent + _aligned(titles, widths), style="bold"))
    for row in cells:
        out().print(Text(indent + _aligned(row, widths)))


def _narrow(names: Sequence[str], widths: list[int], room: int) -> None:
    """Take from the widest columns that may be cut until everything fits, or none is left to take from."""
    while (over := sum(widths) + 2 * (len(widths) - 1) - room) > 0:
        wide = [at for at, name in enumerate(names) if name in CLIPPED and widths[at] > NARROWEST]
        if not wide:
            return
        widest = max(wide, key=widths.__getitem__)
        widths[widest] = max(NARROWEST, widths[widest] - over)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(map(_fitted, cells, widths)).rstrip()


def _fitted(text: str, width: int) -> str:
    """Return a cell that is `width` cells wide, cut with a mark where it was longer."""
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _cell(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        text = " ".join(f"{name}:{part}" for name, part in value.items())
    elif isinstance(value, list):
        text = ", ".join(str(part) for part in value)
    else:
        text = str(value)
    return printable(text.replace("\n", " "))


def fields(value: Mapping[str, Any]) -> None:
    """Print the fields of one thing, one line each; what has parts of its own stands indented below."""
    width = max((len(name) for name in value), default=0) + 2
    for name, part in value.items():
        title = f"{name.replace('_', ' ')}:"
        if isinstance(part, list) and part and all(_is_flat(item) for item in part):
            out().print(Text(title, style="bold"))
            rows(part, indent="  ")
        elif isinstance(part, Mapping | list) and part and not _is_short(part):
            out().print(Text(title, style="bold"))
            line("\n".join("  " + one for one in json_text(part, indent=2).splitlines()))
        else:
            out().print(Text.assemble((title.ljust(width), "bold"), _cell(part)))


def _is_short(part: Mapping[str, Any] | Sequence[Any]) -> bool:
    """Say whether names, words or counts fit into one line as they are."""
    parts = part.values() if isinstance(part, Mapping) else part
    flat = not any(isinstance(one, Mapping | list) for one in parts)
    return flat and cell_len(_cell(part)) <= SHORT


def _is_flat(item: Any) -> bool:
    """Say whether something fits into one row: its parts are plain values, or lists of them."""
    parts = list(item.values()) if isinstance(item, Mapping) else [{}]
    inner = [one for part in parts for one in (part if isinstance(part, list) else [part])]
    return not any(isinstance(one, Mapping | list) for one in inner)

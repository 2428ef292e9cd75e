"""Shows how far a long command is, on a terminal only; nothing is shown where nobody looks."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from service.cli.output import err

T = TypeVar("T")


def counted(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield the items, with a bar on standard error that says how many of them are done."""
    if not sys.stderr.isatty() or total < 2:
        yield from items
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Answers go to standard output by themselves: the bar must not take it over.
    with Progress(
        *columns, console=err(), transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bar:
        task = bar.add_task(what, total=total)
        for item in items:
            yield item
            bar.advance(task)

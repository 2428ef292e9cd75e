"""The verb doctor: what is wrong around an instance, before its start and while it runs."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from service.cli.client import Unreachable
from service.cli.loop import run_bounded
from service.cli.output import Output, emit, line, say
from service.cli.place import Common, settings, unknown_variables
from service.errors import ServiceError

if TYPE_CHECKING:
    from service.usecases.doctor import Row

_MARKS: Final = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}


def doctor(
    *name: Annotated[str, Parameter(help="Only these sources and connections; absent: everything.")],
    config: Annotated[
        Path | None,
        Parameter(name=["--config", "-c"], help="The configuration file (POINTSMAN_CONFIG)."),
    ] = None,
    data: Annotated[Path | None, Parameter(help="The instance's data directory (POINTSMAN_DATA).")] = None,
    within: Annotated[
        float, Parameter(help="Seconds that each source and connection may take.", validator=Number(gt=0))
    ] = 15.0,
    output: Output = "table",
) -> int:
    """Look at everything an instance stands on, and say how to mend what is wrong. Nothing is changed.

    The process, the data directory and its disk, the store, the configuration, the ports; then every source
    and every connection proves that it can work, all at the same time and each in bounded time. When an
    instance runs here, it is asked how its sources are, too. Exit code 0: nothing was found; 1: something.

    Example: pointsman doctor orders -o json
    """
    from service.app import make_doctor
    from service.usecases.doctor import page, sound

    made = settings(config=config, data=data)
    shown = _tell if output == "table" else _silent
    asked = make_doctor(made, os.environ, warnings=unknown_variables(os.environ), deadline=within)
    examined = asked.examine(name, instance=_instance(data), told=shown)
    rows = run_bounded(examined)
    if output == "table":
        found = [row for row in rows if row.severity != "ok"]
        errors = sum(row.severity == "error" for row in found)
        say(f"{errors} errors, {len(found) - errors} warnings" if found else "everything looked at is fine")
    else:
        emit(page(rows), output)
    return 0 if sound(rows) else 1


def _silent(_row: "Row") -> None:
    """Say nothing: machines get everything at the end."""


def _tell(row: "Row") -> None:
    """Print a row as soon as it is known."""
    mark, colour = _MARKS[row.severity]
    code = f" [{row.code}]" if row.code else ""
    line(f"{mark} {row.section:<13}  {row.what}: {row.message}{code}", style=colour if row.code else "")
    if row.fix:
        line(f"  {'':<13}  → {row.fix}")
    sys.stdout.flush()


def _instance(data: Path | None) -> dict[str, Any] | None:
    """Return how the instance that runs here says that it is, None when there is none to ask."""
    try:
        client = Common(data=data).client()
    except Unreachable:
        return None
    try:
        return {
            "refusing": client.get("/health")["refusing"],
            "sources": client.get("/sources")["items"],
            "connections": client.get("/connections")["items"],
        }
    except Unreachable:
        return None
    except ServiceError as error:
        return {"refusing": str(error)}
    finally:
        client.close()

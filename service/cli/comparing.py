"""The verb that compares two versions of a description, and says which rules the new one would break."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from service.cli.calling import Config
from service.cli.output import Output, emit, line
from service.cli.place import reading, settings
from service.errors import Invalid, Problem, nearest


def diff_connectors(
    old: Annotated[str, Parameter(help="A connector of the configuration, or the path of a description.")],
    new: Annotated[
        Path, Parameter(help="The path of the other version: a file, folder, zip or git directory.")
    ],
    *,
    config: Config = None,
    output: Output = "table",
) -> int:
    """Say what changed between two versions of a description, and which rules the new one breaks.

    With a connector's name, the rules that call it are judged: `breaks` (the configuration would be refused),
    `touched` (something they call changed in a way that may break them) or `fine`. Nothing is changed.
    Exit code 0: nothing breaks; 1: something does.

    Example: pointsman connectors diff shop specs/shop-2.openapi.yaml
    """
    compared = _compared(old, new, settings(config=config).config)
    if output == "table":
        _show(compared)
    else:
        emit(compared, output)
    broken = any(one["verdict"] == "breaks" for one in compared.get("rules", ()))
    return 1 if broken or compared["breaking"] else 0


def _compared(old: str, new: Path, config: Path) -> dict[str, Any]:
    from service.usecases.diffing import affected, diff, one_unit

    bounds = reading()
    if Path(old).exists():
        return diff(one_unit(Path(old), bounds).read(), one_unit(new, bounds).read())
    from service.usecases.checking import check_configuration
    from service.usecases.connecting import whole_spec

    if not config.exists():
        message = f"there is no file {old}, and no configuration {config} with a connector of this name"
        raise Invalid([Problem(message=message, code="no-file", found=old[:80])])
    checking = check_configuration(config, resolve=False, env=os.environ, bounds=bounds)
    candidate = asyncio.run(checking)
    plan = candidate.wanted()
    if old not in plan.configuration.connectors:
        known = list(plan.configuration.connectors)
        near = nearest(old, known)
        fix = f"did you mean {near}?" if near else f"there are {', '.join(known)}"
        raise Invalid(
            [Problem(message="no such connector and no such file", code="no-file", found=old[:80], fix=fix)]
        )
    unit, spec = one_unit(new, bounds), whole_spec(plan, old)
    rules = affected(plan.configuration, candidate.files, old, spec, unit)
    return {**diff(spec, unit.read()), "rules": rules}


def _show(compared: dict[str, Any]) -> None:
    before, after = compared["old"], compared["new"]
    line(
        f"{before['title']} {before['version']} ({before['operations']} operations) → "
        f"{after['title']} {after['version']} ({after['operations']} operations)",
        style="bold",
    )
    for one in compared["changes"]:
        line(f"  {one['effect']:10} {one['message']}")
    if not compared["changes"]:
        line("  nothing changed")
    for one in compared.get("rules", ()):
        line(f"rule {one['rule']}: {one['verdict']}", style="bold")
        for reason in one["reasons"][:20]:
            line(f"  {reason}")

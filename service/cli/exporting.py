"""The verb that writes a description as OpenAPI 3.1: connectors export."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from service.cli.calling import Config, plan_of
from service.cli.output import json_text, say, yaml_text
from service.cli.place import reading, settings
from service.errors import Invalid, Problem

if TYPE_CHECKING:
    from actions.specs.model import Spec


def export_connector(
    description: Annotated[
        str, Parameter(help="A connector or connection of the configuration, or the path of a description.")
    ],
    *,
    format_: Annotated[
        Literal["json", "yaml"], Parameter(name="--format", help="In which syntax it is written.")
    ] = "yaml",
    config: Config = None,
) -> None:
    """Write a description of any format as an OpenAPI 3.1 document, to standard output.

    It is read back without difference: what OpenAPI has no word for stands under `x-pointsman`. Findings are
    not written, nor defaults of secrets.

    Example: pointsman connectors export shop --format json > shop.openapi.json
    """
    from service.usecases.exporting import beyond_openapi, exported

    document = exported(_spec(description, config))
    sys.stdout.write(json_text(document, indent=2) + "\n" if format_ == "json" else yaml_text(document))
    if places := beyond_openapi(document):
        say(f"{places} places say under x-pointsman what OpenAPI has no word for")


def _spec(what: str, config: Path | None) -> "Spec":
    """Return the description that is meant: a connector's where there is one of this name, else a file's."""
    from service.usecases.connecting import whole_spec
    from service.usecases.diffing import one_unit

    if Path(what).exists() or "/" in what:
        return one_unit(Path(what), reading()).read()
    place = settings(config=config).config
    if not place.exists():
        message = f"there is no file {what}, and no configuration {place} with a connector of this name"
        raise Invalid([Problem(message=message, code="no-file", found=what[:80])])
    return whole_spec(plan_of(config), what)

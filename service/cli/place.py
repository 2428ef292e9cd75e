"""Where a command works: at a running instance over its API, or at the store of a stopped one."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter
from pydantic import ValidationError

from service.cli.client import Client, Unreachable
from service.cli.output import Output
from service.errors import Invalid, Problem, Unavailable, nearest
from service.settings import Settings

if TYPE_CHECKING:
    from service.descriptions import Bounds
    from service.usecases.desk import Desk

PORT_FILE: Final = "admin.port"
"""Where a running instance writes down the port of its admin API, in the data directory."""

_OTHER_VARIABLES: Final = (
    "POINTSMAN_SERVER",
    "POINTSMAN_TOKEN",
    "POINTSMAN_CRASH",
    "POINTSMAN_CRASH_LOG",
    "POINTSMAN_SEAL_KEY",
)
"""Variables that are no settings of the process."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Common:
    """What every command that looks at an instance takes."""

    output: Output = "table"
    data: Annotated[Path | None, Parameter(help="The instance's data directory (POINTSMAN_DATA).")] = None
    server: Annotated[
        str | None, Parameter(help="The instance's admin URL; absent: this machine's (POINTSMAN_SERVER).")
    ] = None
    token: Annotated[
        str | None, Parameter(help="An admin token (POINTSMAN_TOKEN); absent: the one in the data directory.")
    ] = None

    def settings(self) -> Settings:
        """Return the settings with what was said on the command line."""
        return settings(data=self.data)

    def address(self) -> str:
        """Return the admin URL to talk to. Raise Invalid when what was said is no URL."""
        said = self.server or os.environ.get("POINTSMAN_SERVER")
        if said:
            if not said.startswith(("http://", "https://")):
                raise Invalid(
                    [
                        Problem(
                            message="--server is no URL",
                            code="usage",
                            found=said[:80],
                            fix="write http://127.0.0.1:8081",
                        )
                    ]
                )
            return said.rstrip("/")
        made = self.settings()
        host = "127.0.0.1" if made.admin_host in ("0.0.0.0", "::") else made.admin_host  # noqa: S104 - compared
        return f"http://{f'[{host}]' if ':' in host else host}:{_port(made)}"

    def client(self) -> Client:
        """Return a client for the running instance. Raise Unreachable when no token is to be had."""
        from service.usecases.tokens import read_token

        address, data = self.address(), self.settings().data
        token = self.token or os.environ.get("POINTSMAN_TOKEN") or read_token(data)
        if token is None:
            raise Unreachable(
                f"no instance has run in {data}; start one with `pointsman serve`, "
                "or name its directory with --data, or its --server and a --token"
            )
        return Client(address, token)


def settings(**said: Any) -> Settings:
    """Return the settings: what was said on the command line, else the environment, else the defaults.

    Raise Invalid with every setting that cannot be.
    """
    given = {name: value for name, value in said.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = []
        for one in error.errors():
            name = str(one["loc"][0])
            where = f"--{name.replace('_', '-')}" if name in given else f"POINTSMAN_{name.upper()}"
            problems.append(
                Problem(
                    message=f"{where}: {one['msg'].removeprefix('Value error, ')}",
                    code="usage",
                    found=str(one["input"])[:80],
                )
            )
        raise Invalid(problems) from error


def reading() -> "Bounds":
    """Return how much of descriptions a command reads, as an instance would. Raise Invalid as `settings`."""
    from service.descriptions import bounds_of

    return bounds_of(settings())


def unknown_variables(environment: Mapping[str, str]) -> list[Problem]:
    """Return a warning for every variable POINTSMAN_… that means nothing."""
    known = [f"POINTSMAN_{name.upper()}" for name in Settings.model_fields] + list(_OTHER_VARIABLES)
    unknown = [name for name in environment if name.startswith("POINTSMAN_") and name not in known]
    return [
        Problem(
            message=f"the variable {name} means nothing",
            code="unknown-variable",
            severity="warning",
            fix=f"did you mean {near}?" if (near := nearest(name, known)) else "",
        )
        for name in sorted(unknown)
    ]


def _port(made: Settings) -> int:
    """Return the admin port: what the running instance wrote down, or the setting."""
    try:
        return int((made.data / PORT_FILE).read_text("ascii"))
    except (OSError, ValueError):
        return made.admin_port


def ask(
    common: Common,
    online: Callable[[Client], Any],
    offline: "Callable[[Desk], Awaitable[Any]] | None" = None,
) -> Any:
    """Return the answer of the running instance, or of its store when it is stopped."""
    try:
        client = common.client()
        try:
            return online(client)
        finally:
            client.close()
    except Unreachable as unreachable:
        made = common.settings()
        remote = common.server or os.environ.get("POINTSMAN_SERVER")
        if remote or not (made.data / "pointsman.db").exists():
            raise
        if offline is None:
            raise Unreachable(f"{unreachable}; this needs a running one: pointsman serve") from unreachable
        try:
            return asyncio.run(_at_store(made, offline))
        except Unavailable as error:
            raise Unreachable(f"{unreachable}; and {error}") from error


async def _at_store(made: Settings, offline: "Callable[[Desk], Awaitable[Any]]") -> Any:
    from service.app import open_desk

    async with open_desk(made) as desk:
        return await offline(desk)

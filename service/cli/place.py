"""Where a command works: at a running instance over its API, or at the store of a stopped one."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from service.app import open_desk
from service.cli.client import Client, Unreachable
from service.cli.output import Format
from service.errors import Unavailable
from service.settings import Settings
from service.usecases.desk import Desk
from service.usecases.tokens import read_token


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Common:
    """What every command that looks at an instance takes."""

    output: Annotated[
        Format, Parameter(name=["--output", "-o"], help="How to print: table, json, jsonl or yaml.")
    ] = "table"
    data: Annotated[Path | None, Parameter(help="The instance's data directory (POINTSMAN_DATA).")] = None
    server: Annotated[
        str | None, Parameter(help="The instance's admin URL; absent: this machine's (POINTSMAN_SERVER).")
    ] = None
    token: Annotated[
        str | None, Parameter(help="An admin token (POINTSMAN_TOKEN); absent: the one in the data directory.")
    ] = None

    def settings(self) -> Settings:
        """Return the settings with what was said on the command line."""
        return Settings(data=self.data) if self.data is not None else Settings()

    def address(self) -> str:
        """Return the admin URL to talk to."""
        said = self.server or os.environ.get("POINTSMAN_SERVER")
        if said:
            return said.rstrip("/")
        settings = self.settings()
        host = "127.0.0.1" if settings.admin_host in ("0.0.0.0", "::") else settings.admin_host  # noqa: S104
        return f"http://{host}:{_port(settings)}"

    def client(self) -> Client:
        """Return a client for the running instance. Raise Unreachable when no token is to be had."""
        token = self.token or os.environ.get("POINTSMAN_TOKEN") or read_token(self.settings().data)
        if token is None:
            raise Unreachable(
                f"no instance has run in {self.settings().data}: start one with `pointsman serve`, "
                "or say --data or --server and --token"
            )
        return Client(self.address(), token)


def _port(settings: Settings) -> int:
    """Return the admin port: what the running instance wrote down, or the setting."""
    try:
        return int((settings.data / "admin.port").read_text("ascii"))
    except (OSError, ValueError):
        return settings.admin_port


def ask(
    common: Common,
    online: Callable[[Client], Any],
    offline: Callable[[Desk], Awaitable[Any]] | None = None,
) -> Any:
    """Return the answer of the running instance, or of its store when it is stopped."""
    try:
        client = common.client()
        try:
            return online(client)
        finally:
            client.close()
    except Unreachable as unreachable:
        settings = common.settings()
        if offline is None or common.server or not (settings.data / "pointsman.db").exists():
            raise
        try:
            return asyncio.run(_at_store(settings, offline))
        except Unavailable as error:
            raise Unreachable(f"{unreachable}; and {error}") from error


async def _at_store(settings: Settings, offline: Callable[[Desk], Awaitable[Any]]) -> Any:
    async with open_desk(settings) as desk:
        return await offline(desk)

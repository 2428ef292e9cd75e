"""Writes the part of the demo's project that talks to real servers: sources, connections and rules of each.

The project's own file is not touched: another one includes it and these, so that without servers it goes on
working.
"""

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

import msgspec

from service.demo.guests.base import Guest

WITH: Final = "with-servers.yaml"
"""The configuration of a demo with servers: the project's own, and a file for each server."""

FOLDER: Final = "with"
_HEAD: Final = "# Written by `pointsman demo --with …`, anew in each run.\n"


def source_of(guest: Guest) -> str:
    """Return the name of the source that reads this server.

    It is another one in each run: a source that was in another server before would miss what it read there.
    """
    return f"{guest.kind}-{guest.name.rpartition('_')[2]}"


def write_project(folder: Path, config: str, guests: Sequence[Guest]) -> Path:
    """Write the configuration of a demo with these guests and return its path."""
    (folder / FOLDER).mkdir(exist_ok=True)
    for guest in guests:
        for name, secret in guest.secrets().items():
            _write_secret(folder / "secrets" / name, secret)
        text = files("service.demo").joinpath("files", f"{guest.kind}.yaml").read_text("utf-8")
        for name, value in {"source": source_of(guest), **guest.values()}.items():
            # JSON is YAML, and quotes whatever an address may hold.
            shown = value if name == "source" else msgspec.json.encode(value).decode("utf-8")
            text = text.replace(f"@{name}@", shown)
        (folder / FOLDER / f"{guest.kind}.yaml").write_text(text, "utf-8")
    included = "".join(f"  - {name}\n" for name in (config, *(f"{FOLDER}/{one.kind}.yaml" for one in guests)))
    path = folder / WITH
    path.write_text(f"{_HEAD}include:\n{included}", "utf-8")
    return path


def _write_secret(path: Path, text: str) -> None:
    """Write a secret for us alone, also over that of an earlier run."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)

"""Adds a connector or a connection to the configuration file, by inserting text: comments and layout stay.

What comes of it is read again, compared with what was meant and checked whole before the file is replaced,
at once or not at all. Where that cannot be done the file stays as it is, and what to write is said.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from service.config.include import load_files
from service.config.inserting import inserted, snippet
from service.config.load import read_file
from service.descriptions import DEFAULT, Bounds
from service.errors import Conflict, Invalid, Problem
from service.replacing import beside
from service.usecases.checking import check_configuration

_BOM: Final = "\ufeff"


async def add(
    config: Path,
    section: str,
    name: str,
    value: Mapping[str, Any],
    *,
    env: Mapping[str, str],
    bounds: Bounds = DEFAULT,
) -> list[Problem]:
    """Add a resource to a configuration file and return the warnings about it.

    Raise Conflict when there is one of this name, Invalid when the file would be wrong with it, or when it
    cannot be inserted; then nothing was changed.
    """
    read = await asyncio.to_thread(config.read_bytes)
    before, made = await asyncio.to_thread(_made, config, section, name, value)
    with beside(config, made) as trial:  # what it includes is the same there
        await asyncio.to_thread(_compare, trial.path, before, section, name, value)
        problems = await _judged(config, trial.path, env, bounds)
        if await asyncio.to_thread(config.read_bytes) != read:
            raise Conflict(f"{config} was changed meanwhile; nothing was added: do it again")
        trial.put()
    return problems


def _made(config: Path, section: str, name: str, value: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return what the configuration says now, and the text of the file with the resource in it."""
    before = _before(config, section, name)
    text = _text(config)
    try:
        made = inserted(text.content, read_file(config, str(config)).root, section, name, value)
    except (ValueError, IndexError) as error:
        raise _by_hand(section, name, value) from error
    return before, text.restored(made)


def _compare(
    trial: Path, before: Mapping[str, Any], section: str, name: str, value: Mapping[str, Any]
) -> None:
    """Raise when the changed file does not say what was meant."""
    if load_files(trial).document != {**before, section: {**(before.get(section) or {}), name: dict(value)}}:
        raise _by_hand(section, name, value)


class _Text(msgspec.Struct, frozen=True):
    """The characters of a file with the line feed as the only line break, and what it had instead."""

    content: str
    mark: bool
    windows: bool

    def restored(self, content: str) -> bytes:
        lines = content.replace("\n", "\r\n") if self.windows else content
        return ((_BOM if self.mark else "") + lines).encode("utf-8")


def _before(config: Path, section: str, name: str) -> dict[str, Any]:
    loaded = load_files(config)
    errors = [one for one in loaded.problems if one.severity == "error"]
    if errors:
        raise Invalid(errors)
    if name in (loaded.document.get(section) or {}):
        raise Conflict(f"there is a {section[:-1]} {name} in the configuration already")
    return loaded.document


def _text(config: Path) -> _Text:
    raw = config.read_bytes().decode("utf-8")  # it was read before: it is UTF-8
    content = raw.removeprefix(_BOM)
    plain = content.replace("\r\n", "\n").replace("\r", "\n")
    return _Text(content=plain, mark=content != raw, windows="\r\n" in content)


async def _judged(config: Path, trial: Path, env: Mapping[str, str], bounds: Bounds) -> list[Problem]:
    """Return the warnings that are new in a changed file. Raise Invalid for errors that are."""
    old = await check_configuration(config, resolve=False, env=env, bounds=bounds)
    new = await check_configuration(trial, resolve=False, env=env, bounds=bounds)
    known = {(one.pointer, one.message) for one in old.problems}
    found = [
        msgspec.structs.replace(
            one,
            file=str(config) if one.file == str(trial) else one.file,
            because=one.because.replace(str(trial), str(config)),
        )
        for one in new.problems
        if (one.pointer, one.message) not in known
    ]
    errors = [one for one in found if one.severity == "error"]
    if errors:
        raise Invalid([msgspec.structs.replace(one, file="", line=0, column=0) for one in errors])
    return found


def _by_hand(section: str, name: str, value: Mapping[str, Any]) -> Invalid:
    text = snippet(section, name, value)
    return Invalid(
        [
            Problem(
                message="the file is laid out in a way that nothing is inserted into without doubt",
                code="add-by-hand",
                fix=f"add it by hand:\n{text}",
            )
        ]
    )


def path_from(config: Path, path: Path) -> str:
    """Return how a configuration file names a path: from its own folder."""
    folder = os.path.realpath(config.parent)
    return Path(os.path.relpath(os.path.realpath(path), folder)).as_posix()

"""Verbs around sealed secrets: make keys, seal, change keys. They need no instance and show no secret."""

import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from service.cli.output import line, say
from service.cli.place import settings
from service.config.sealing import RING_VARIABLE, Ring, Unsealable, add_key, read_ring, reseal, ring_path
from service.errors import Invalid, Problem
from service.replacing import replace_file

Key = Annotated[
    Path | None,
    Parameter(help=f"The key ring ({RING_VARIABLE}); absent: pointsman.key beside the configuration."),
]


def seal_secret(*, key: Key = None) -> None:
    """Seal a secret: print what can stand in the configuration in its place.

    The secret comes from standard input, or is asked for without being shown.

    Example: pointsman secrets seal
    """
    ring = _usable(lambda: read_ring(_path(key)))
    if sys.stdin.isatty():
        text = getpass.getpass("secret: ")
    else:
        try:
            text = sys.stdin.buffer.read().decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise _wrong("the secret is no UTF-8 text", "bad-text", "seal text, or base64 of it") from None
    if not text or len(text) > 65_536:
        raise _wrong("a secret has 1 to 65,536 characters", "bad-text", "write it to standard input")
    line(f"{{sealed: {ring.seal(text)}}}")


def new_key(*, key: Key = None) -> None:
    """Make a key that seals from now on; older keys of the ring still open what they have sealed.

    Example: pointsman secrets new-key
    """
    path = _path(key)
    ring = _usable(lambda: add_key(path))
    line(f"{path}: sealing with key {ring.newest} ({len(ring.keys)} in the ring)")
    say("keep it out of version control, and keep a backup: without it nothing sealed can be read")


def rotate(
    files: Annotated[list[Path], Parameter(help="Files with sealed secrets.")], *, key: Key = None
) -> None:
    """Seal everything in these files anew with the newest key. A file is written whole or not at all.

    Example: pointsman secrets rotate pointsman.yaml rules/*.yaml
    """
    ring = _usable(lambda: read_ring(_path(key)))
    made: list[tuple[Path, str, int]] = []
    problems: list[Problem] = []
    for path in files:
        try:
            text, count = reseal(path.read_bytes().decode(), ring)
            made.append((path, text, count))
        except Unsealable as error:
            problems.append(Problem(message=str(error), code="secret-sealed", file=str(path), fix=error.fix))
        except UnicodeDecodeError:
            problems.append(Problem(message="not UTF-8 text", code="bad-text", file=str(path)))
    if problems:
        raise Invalid(problems)
    for path, text, count in made:
        if count:
            replace_file(path, text.encode())
        line(f"{path}: {count} sealed anew")


def _path(said: Path | None) -> Path:
    return said or ring_path(os.environ, settings().config.parent)


def _usable(make: Callable[[], Ring]) -> Ring:
    try:
        return make()
    except Unsealable as error:
        raise _wrong(str(error), "key-ring", error.fix) from error


def _wrong(message: str, code: str, fix: str) -> Invalid:
    return Invalid([Problem(message=message, code=code, fix=fix)])


SECRETS: Final[dict[str, Callable[..., Any]]] = {"seal": seal_secret, "new-key": new_key, "rotate": rotate}

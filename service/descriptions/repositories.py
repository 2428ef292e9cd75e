"""The files of a git directory at HEAD, read with the `git` program, each when it is asked for.

Nothing of the repository is run: no hook, no filter, no pager, no helper; its own settings that could are
overruled, and nothing is fetched that is not there. Without the program a git directory is not read.
"""

import os
import shutil
import subprocess
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from typing_extensions import override

from actions.specs.files import NoFile
from service.descriptions.folders import skipped
from service.descriptions.units import Bounds, Unfit, too_much

TIMEOUT: Final = 60.0
"""Seconds that one call of git may take."""

_AT_ONCE: Final = 500
_TOGETHER: Final = 16 * 1024 * 1024
"""Files, and bytes, that are read ahead: starting git once for each would take most of the time."""

_SAFE: Final = (
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "protocol.allow=never"),
    *("-c", "safe.directory=*"),
    "--no-pager",
    "--no-replace-objects",
    "--literal-pathspecs",
)


def is_git_directory(path: Path) -> bool:
    """Say whether a folder is a git directory itself: a bare repository, or the `.git` of a work tree."""
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


class Repository(Mapping[str, bytes]):
    """The files of HEAD by path."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        """Read the list of files. Raises Unfit."""
        program = shutil.which("git")
        if program is None:
            raise Unfit("is a git directory; to read it the program git must be installed")
        self._command = (program, f"--git-dir={path.resolve()}", *_SAFE)
        self._bounds = bounds
        self._objects: dict[str, tuple[str, int]] = {}
        self._taken: dict[str, bytes] = {}
        listing = self._run(["ls-tree", "-r", "-z", "-l", "--full-tree", "HEAD"])
        for line in listing.split(b"\0"):
            about, _, name = line.partition(b"\t")
            words = about.split()
            if len(words) == 4 and words[0] in (b"100644", b"100755"):  # neither links nor submodules
                size = int(words[3]) if words[3].isdigit() else 0  # BAD: the object is not there
                self._objects[os.fsdecode(name)] = words[2].decode(), size
        if len(self._objects) > bounds.entries:
            raise too_much(f"holds more than {bounds.entries} files")
        self._names = sorted(self._objects)

    def _run(self, arguments: Sequence[str], given: bytes = b"") -> bytes:
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        quiet = {
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }
        try:
            done = subprocess.run(  # noqa: S603 - a fixed program, no shell; arguments are ours or object names
                [*self._command, *arguments],
                env=kept | quiet,
                input=given,
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unfit(f"cannot be read with git: {error}") from error
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise Unfit(f"cannot be read with git: {said[-1][:200] if said else 'it said nothing'}")
        return done.stdout

    @override
    def __getitem__(self, name: str) -> bytes:
        found = self._objects.get(name)
        if found is None:
            raise NoFile("is not there")
        number, size = found
        if size > self._bounds.file_bytes:
            raise NoFile(self._bounds.too_long(size))
        if number not in self._taken:
            self._take(name)
        return self._taken[number]

    def _take(self, name: str) -> None:
        """Read a file and those after it: what is asked for next mostly stands there."""
        wanted, size = [], 0
        start = bisect_left(self._names, name)
        for other in islice(self._names, start, start + _AT_ONCE):
            number, length = self._objects[other]
            size += length
            if other != name and size > _TOGETHER:
                break
            wanted.append(number)
        try:
            text = self._run(["cat-file", "--batch"], "".join(f"{one}\n" for one in wanted).encode())
        except Unfit as error:
            raise NoFile(str(error)) from error
        self._taken = {}
        at = 0
        for number in wanted:
            end = text.index(b"\n", at) + 1
            words = text[at:end].split()  # object, type, size; or: object, missing
            if len(words) != 3 or words[1] != b"blob":
                at = end
                continue
            self._taken[number] = text[end : end + int(words[2])]
            at = end + int(words[2]) + 1
        if self._objects[name][0] not in self._taken:
            raise NoFile("is not in the repository, which is not whole")

    @override
    def __contains__(self, name: object) -> bool:
        return name in self._objects

    @override
    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names if not skipped(name, self._bounds.depth))

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)

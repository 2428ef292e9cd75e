"""One description to read: its root document, and the files that it may refer to."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

from actions.base import Finding
from actions.specs import MAX_OPERATIONS, read_spec
from actions.specs.load import MAX_BYTES
from actions.specs.model import Spec
from service.errors import Invalid, Problem
from service.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much is read of what somebody gives us. `entries` counts everything in a place, read or not."""

    file_bytes: int = MAX_BYTES
    total_bytes: int = 1024 * 1024 * 1024
    files: int = 5_000
    entries: int = 100_000
    depth: int = 32
    ratio: int = 1_000
    operations: int = MAX_OPERATIONS

    def read(self, files: Mapping[str, bytes], root: str) -> Spec:
        """Read a description. Never raises: what is wrong is in the findings."""
        return read_spec(files, root, max_operations=self.operations, max_bytes=self.file_bytes)

    def too_long(self, size: int) -> str:
        """Return why a file of so many bytes is not read, to follow its name."""
        return f"has {size} bytes, more than {self.file_bytes} (POINTSMAN_MAX_DESCRIPTION_BYTES)"


DEFAULT: Final = Bounds()

ACCEPTED: Final = Bounds(file_bytes=DEFAULT.total_bytes, operations=sys.maxsize)
"""For descriptions that deliveries were accepted with: a limit that was lowered since takes nothing away."""


def bounds_of(settings: Settings) -> Bounds:
    """Return how much an instance, or a command, is set to read."""
    return Bounds(file_bytes=settings.max_description_bytes, operations=settings.max_operations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A description. `name` is how people know it; `root` is a name in `files`.

    `problem` says why there is nothing to read; then there are no files.
    """

    name: str
    root: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    problem: Finding | None = None
    bounds: Bounds = DEFAULT

    def read(self) -> Spec:
        """Read it. Never raises: what is wrong is in the findings."""
        if self.problem is not None:
            return Spec(findings=(self.problem,))
        return self.bounds.read(self.files, self.root)

    def shown(self, file: str) -> str:
        """Return the path of one of its files as people know it, "" standing for the whole."""
        folder = self.name.removesuffix(self.root) if self.root and self.name.endswith(self.root) else ""
        return f"{folder}{file}" if file and file != self.name else self.name


def unreadable(spec: Spec, unit: Unit | None = None) -> Invalid:
    """Return why a description is none, everything at once: the errors among its findings.

    With the unit that it was read from, files are named as people gave them.
    """
    return Invalid(
        [
            Problem(
                message=one.message,
                code=one.code,
                file=unit.shown(one.file) if unit is not None else one.file,
                line=one.line,
                column=one.column,
                fix=one.fix,
            )
            for one in spec.findings
            if one.severity == "error"
        ]
    )


class Unfit(Exception):
    """A place that is not read; the text says why, `fix` what would be right."""

    def __init__(self, message: str, *, code: str = "unreadable-file", fix: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.fix = fix


def too_much(message: str) -> Unfit:
    """Return why a place that holds more than we read is not read."""
    return Unfit(message, code="too-large", fix="give a smaller part of it")


class Recorded(Mapping[str, bytes]):
    """Files that remember which of them were read, with their bytes."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self.read: dict[str, bytes] = {}

    @override
    def __getitem__(self, name: str) -> bytes:
        data = self.read.get(name)
        if data is None:
            data = self.read[name] = self._files[name]
        return data

    @override
    def __contains__(self, name: object) -> bool:
        return name in self._files

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    @override
    def __len__(self) -> int:
        return len(self._files)


def refused(name: str, code: str, message: str, fix: str = "") -> Unit:
    """Return a unit that cannot be read."""
    finding = Finding(severity="error", code=code, message=message, fix=fix, file=name, line=1, column=1)
    return Unit(name=name, problem=finding)

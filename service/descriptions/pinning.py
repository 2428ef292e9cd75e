"""The bytes of a description that the service keeps, and reading them again.

A description of one file is kept as it is. One of several is kept as a zip archive of exactly the files that
reading it opened, packed the same way everywhere, with a marker that says which of them is the root.
"""

import hashlib
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from actions.base import Finding
from actions.specs.files import NoFile
from actions.specs.model import Spec
from service.descriptions.archives import BEGIN, Archive
from service.descriptions.collecting import collect, collect_archive
from service.descriptions.units import DEFAULT, Bounds, Recorded, Unfit, Unit

MARKER: Final = ".pointsman"
"""The entry of a pinned archive that holds the name of the root; no name of a description's own file."""
_KEPT: Final = 64
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


Key = tuple[str, bytes, Bounds]
"""What a description was read as: its name, the hash of its bytes, and how much of it was read."""


class _Specs:
    """Descriptions that were read: the same ones are asked for often."""

    def __init__(self) -> None:
        self._specs: OrderedDict[Key, Spec] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Key) -> Spec | None:
        with self._lock:
            found = self._specs.get(key)
            if found is not None:
                self._specs.move_to_end(key)
            return found

    def put(self, key: Key, spec: Spec) -> None:
        with self._lock:
            self._specs[key] = spec
            while len(self._specs) > _KEPT:
                self._specs.popitem(last=False)


_known: Final = _Specs()


def pin(unit: Unit) -> bytes:
    """Return the bytes to keep of a unit without a problem; the same files give the same bytes.

    Raises NoFile when the root is gone.
    """
    files = Recorded(unit.files)
    root = files[unit.root]
    unit.bounds.read(files, unit.root)
    if len(files.read) == 1:
        return root
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(MARKER, _EPOCH), unit.root.encode())
        for name in sorted(files.read.keys() - {MARKER}):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), files.read[name])
    return packed.getvalue()


def kept(path: Path, bounds: Bounds = DEFAULT, *, within: Path | None = None) -> bytes:
    """Return the bytes to keep of the one description at a path. Raises Unfit when there is not just one."""
    return _only(collect(path, bounds, within=within))


def kept_copy(name: str, data: bytes, bounds: Bounds = DEFAULT) -> bytes:
    """Return the bytes to keep of a description, or of a zip archive of one, that came as bytes."""
    if data.startswith(BEGIN):
        return _only(collect_archive(name, data, bounds))
    return data


def _only(units: Sequence[Unit]) -> bytes:
    if len(units) > 1:
        names = ", ".join(unit.root for unit in units[:5]) + (", …" if len(units) > 5 else "")
        fix = "give the path of one of them; it may go on inside of a zip archive"
        raise Unfit(f"holds {len(units)} descriptions: {names}", code="several-descriptions", fix=fix)
    problem = units[0].problem
    if problem is not None:
        raise Unfit(problem.message, code=problem.code, fix=problem.fix)
    try:
        return pin(units[0])
    except NoFile as reason:
        raise Unfit(f"{units[0].root} {reason}", code="unreadable-file") from reason


def read_pinned(name: str, content: bytes, bounds: Bounds = DEFAULT) -> Spec:
    """Read a description as `pin` left it. `name` is what people call it; findings name its files by it.

    Never raises. The same bytes are read once as long as they are remembered.
    """
    key = (name, hashlib.sha256(content).digest(), bounds)
    spec = _known.get(key)
    if spec is None:
        spec = _read(name, content, bounds)
        _known.put(key, spec)
    return spec


def _read(name: str, content: bytes, bounds: Bounds) -> Spec:
    root = name.rpartition("/")[2] or name
    files: Mapping[str, bytes] = {root: content}
    if content.startswith(BEGIN):
        try:
            files = Archive(BytesIO(content), bounds)
            root = files[MARKER].decode("utf-8", "replace")
        except (Unfit, NoFile) as reason:
            message = f"what was kept of the description {reason}"
            return Spec(findings=(Finding(severity="error", code="unreadable", message=message, file=name),))
    spec = bounds.read(files, root)
    folder = name.removesuffix(root) if name.endswith(root) else f"{name}/"
    findings = (msgspec.structs.replace(one, file=folder + one.file) for one in spec.findings)
    return replace(spec, findings=tuple(findings))

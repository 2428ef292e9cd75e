"""Finds the descriptions below a path. Never raises for what lies there: what cannot be read says why."""

import re
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Final

from typing_extensions import override

from actions.specs.files import NoFile
from service.descriptions.archives import BEGIN, Archive
from service.descriptions.folders import Folder
from service.descriptions.repositories import Repository, is_git_directory
from service.descriptions.sniffing import is_connector, is_description, may_be_description
from service.descriptions.units import DEFAULT, Bounds, Unfit, Unit, refused, too_much
from service.errors import nearest

LISTED: Final = 1_000
"""Names of a place among which one is looked for that may have been meant."""

_FIX = "give the path of a description, of its folder, of a zip archive or of a git directory"
_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/")
"""How a URL begins that somebody gave as a path: two slashes have become one."""


def collect(path: Path, bounds: Bounds = DEFAULT, *, within: Path | None = None) -> list[Unit]:
    """Return the units at a path, in the order of their names; at least one, perhaps with a problem.

    A file is one unit, and its references lead up to its folder, or up to `within` where it lies in there.
    In a folder, a zip archive or a git directory every description is a unit; a path may go on inside of
    the last two.
    """
    name = str(path)
    try:
        return _collected(name, path, bounds, within)
    except Unfit as unfit:
        return [refused(name, unfit.code, f"{path.name or name} {unfit}", unfit.fix)]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return [refused(name, "unreadable-file", f"{path.name or name} cannot be opened: {reason}", _FIX)]


def collect_archive(name: str, data: bytes, bounds: Bounds = DEFAULT) -> list[Unit]:
    """Return the units of a zip archive that came as bytes."""
    try:
        return list(_units(name, Archive(BytesIO(data), bounds), bounds))
    except Unfit as unfit:
        return [refused(name, unfit.code, f"{name} {unfit}", unfit.fix)]


def sent(name: str, data: bytes, bounds: Bounds = DEFAULT) -> list[Unit]:
    """Return the units of what came as bytes: a description, or a zip archive of some."""
    if data.startswith(BEGIN):
        return collect_archive(name, data, bounds)
    return [Unit(name=name, root=name, files={name: data}, bounds=bounds)]


def _collected(name: str, path: Path, bounds: Bounds, within: Path | None) -> list[Unit]:
    place, inner = _place(path)
    if place.is_dir():
        if is_git_directory(place):
            return _chosen(name, Repository(place, bounds), inner, bounds)
        return list(_units(name, Folder(place, bounds), bounds))
    if _begins(place).startswith(BEGIN):
        return _chosen(name, Archive(BytesIO(_whole(place, bounds)), bounds), inner, bounds)
    if inner:
        raise Unfit("is not there: a file has nothing in it", code="no-such-file")
    folder = place.parent
    if within is not None and place.resolve().is_relative_to(within.resolve()):
        folder, place = within.resolve(), place.resolve()
    root = place.relative_to(folder).as_posix()
    return [Unit(name=name, root=root, files=Folder(folder, bounds, around=root), bounds=bounds)]


def _place(path: Path) -> tuple[Path, str]:
    """Return what lies at a path, and what is meant inside of it. Raises Unfit where nothing is."""
    inner: list[str] = []
    for above in (path, *path.parents):
        if above.exists():
            if not inner or above.is_file() or is_git_directory(above):
                return above, "/".join(reversed(inner))
            break
        inner.append(above.name)
    url = _URL.match(str(path))
    if url is not None:
        fetched = url["scheme"].lower() in ("http", "https")
        fix = (
            "`pointsman connectors add NAME URL` fetches it" if fetched else "only http and https are fetched"
        )
        raise Unfit("is named by a URL; files are read here", code="no-such-file", fix=fix)
    raise Unfit("is not there", code="no-such-file", fix=_near(path))


def _near(path: Path) -> str:
    """Return what may have been meant: something of a like name in the last folder that is there."""
    missing, folder = path, path.parent
    while not folder.is_dir() and folder != folder.parent:
        missing, folder = folder, folder.parent
    near = nearest(missing.name, [one.name for one in islice(folder.iterdir(), LISTED)])
    return f"did you mean {folder / near}?" if near else ""


def _begins(path: Path) -> bytes:
    if not path.is_file():
        raise Unfit("is neither a regular file nor a folder", fix=_FIX)
    with path.open("rb") as file:
        return file.read(4)


def _whole(path: Path, bounds: Bounds) -> bytes:
    if path.stat().st_size > bounds.total_bytes:
        raise too_much(f"has more than {bounds.total_bytes} bytes")
    return path.read_bytes()


def _chosen(name: str, files: Mapping[str, bytes], inner: str, bounds: Bounds) -> list[Unit]:
    """Return the one unit that a path inside of an archive names, or all of them."""
    if not inner:
        return list(_units(name, files, bounds))
    if inner not in files:
        near = nearest(inner, list(islice(files, LISTED)))
        fix = f"did you mean {near}?" if near else ""
        raise Unfit(f"is not there: there is no {inner} in it", code="no-such-file", fix=fix)
    return [Unit(name=name, root=inner, files=files, bounds=bounds)]


def _units(name: str, files: Mapping[str, bytes], bounds: Bounds) -> Iterator[Unit]:
    """Yield a unit for every description among the files of a place."""
    count = found = 0
    for path in files:
        if not may_be_description(path):
            continue
        count += 1
        if count > bounds.files * 10:
            raise too_much(f"holds more than {bounds.files * 10} files that may be descriptions")
        try:
            data = files[path]
        except NoFile as reason:
            found += 1
            yield refused(f"{name}/{path}", "unreadable-file", f"{path} {reason}")
            continue
        if is_description(data):
            found += 1
            yield _unit(f"{name}/{path}", path, files, bounds)
    if not found:
        seen = f" among {count} JSON and YAML files" if count else ""
        raise Unfit(f"holds no API description{seen}", code="no-description", fix=_FIX)


def _unit(name: str, path: str, files: Mapping[str, bytes], bounds: Bounds) -> Unit:
    above = path.rpartition("/")[0]
    if above and is_connector(path):  # its parts lie beside it, and nothing of it lies elsewhere
        return Unit(name=name, root=path[len(above) + 1 :], files=Below(files, above), bounds=bounds)
    return Unit(name=name, root=path, files=files, bounds=bounds)


class Below(Mapping[str, bytes]):
    """The files of one folder among others, by their path from it."""

    def __init__(self, files: Mapping[str, bytes], folder: str) -> None:
        self._files = files
        self._prefix = f"{folder}/"

    @override
    def __getitem__(self, name: str) -> bytes:
        return self._files[self._prefix + name]

    @override
    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._prefix + name in self._files

    @override
    def __iter__(self) -> Iterator[str]:
        names: Iterable[str] = self._files
        return (name[len(self._prefix) :] for name in names if name.startswith(self._prefix))

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)

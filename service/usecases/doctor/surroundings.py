"""Looks at the process, the data directory, its disk and its store. Blocking: to be called in a thread."""

import os
import platform
import resource
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from service.errors import Unavailable
from service.settings import Settings
from service.store.facts import StoreFacts
from service.usecases.doctor.rows import Row, doubtful, fine, wrong

OLDEST_PYTHON: Final = (3, 11)

_ELSEWHERE: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "afs", "ncpfs", "beegfs"}
)
"""File systems of other machines: SQLite's locks and shared memory do not hold there."""

_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_MOUNTS: Final = Path("/proc/self/mountinfo")
_CLOCK_BACK: Final = 60_000  # milliseconds
_FEW_CONNECTIONS: Final = 512


def process_rows(settings: Settings) -> Iterator[Row]:
    """Look at the interpreter, its SQLite, and how many files it may open."""
    versions = f"Python {platform.python_version()}"
    if sys.version_info < OLDEST_PYTHON:
        yield wrong(
            "process",
            "versions",
            "python-old",
            f"{versions}: Python 3.11 is needed",
            "use a newer Python",
        )
    else:
        yield fine("process", "versions", versions)
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.max_connections
    if limit != resource.RLIM_INFINITY and limit // 2 < min(wanted, _FEW_CONNECTIONS):
        yield doubtful(
            "process",
            "open files",
            "nofile-low",
            f"the process may open {limit} files: at most {limit // 2} webhook connections are taken",
            f"raise the limit: ulimit -n {4 * wanted}, or LimitNOFILE= of its systemd unit",
        )
    else:
        shown = "any number of files" if limit == resource.RLIM_INFINITY else f"{limit} files"
        yield fine("process", "open files", f"the process may open {shown}")


def file_rows(settings: Settings) -> Iterator[Row]:
    """Look at the data directory: who may read it, on which file system it lies, how much space is left."""
    folder = settings.data
    try:
        there = folder.stat()
    except FileNotFoundError:
        yield from _to_be_made(folder)
        return
    except OSError as error:
        yield _unusable(folder, error.strerror or str(error))
        return
    if not stat.S_ISDIR(there.st_mode):
        yield _unusable(folder, "it is no directory")
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield _unusable(folder, "this user may not write there")
        return
    open_to_others = list(_open_to_others(folder, there))
    yield from open_to_others
    if not open_to_others:
        yield fine("files", str(folder), "only this user may read the data")
    yield _file_system(folder)
    yield _space(folder, settings.min_free_bytes)


def _to_be_made(folder: Path) -> Iterator[Row]:
    above = next((one for one in folder.absolute().parents if one.exists()), Path("/"))
    if os.access(above, os.W_OK | os.X_OK):
        yield fine("files", str(folder), "not there yet; the first start makes it")
        yield _file_system(above)
    else:
        yield _unusable(folder, f"it is not there, and this user may not write in {above}")


def _unusable(folder: Path, why: str) -> Row:
    return wrong(
        "files",
        str(folder),
        "data-unusable",
        f"the data directory cannot be used: {why}",
        "check its path and its owner, or set --data",
    )


def _open_to_others(folder: Path, there: os.stat_result) -> Iterator[Row]:
    """Look who may read the directory and its files: they hold a token and what was sent to us."""
    if there.st_uid != os.geteuid():
        yield doubtful(
            "files",
            str(folder),
            "data-owner",
            "the data directory belongs to another user",
            f"chown -R {os.geteuid()} {folder}",
        )
    if there.st_mode & 0o077:
        yield doubtful(
            "files",
            str(folder),
            "data-mode",
            f"others may look into the data directory (mode {stat.S_IMODE(there.st_mode):04o})",
            f"chmod 700 {folder}",
        )
    for path in sorted(folder.iterdir()):
        mode = path.lstat().st_mode
        secret = path.name not in ("admin.port", "pointsman.lock")
        if stat.S_ISREG(mode) and mode & 0o077 and (secret or mode & 0o022):
            yield doubtful(
                "files",
                str(path),
                "file-mode",
                f"others may read or write {path.name} (mode {stat.S_IMODE(mode):04o})",
                f"chmod 600 {path}",
            )


def _file_system(folder: Path) -> Row:
    kind = file_system(folder)
    if kind in _ELSEWHERE or kind.startswith("fuse."):
        return wrong(
            "files",
            "file system",
            "disk-not-local",
            f"{folder} is on {kind}: the store's locks and shared memory do not hold there",
            "keep the data on a local disk",
        )
    if kind in _IN_MEMORY:
        return doubtful(
            "files",
            "file system",
            "disk-in-memory",
            f"{folder} is on {kind}: a restart of the machine loses everything",
            "keep the data on a disk",
        )
    return fine("files", "file system", f"{folder} is on {kind or 'a file system'}")


def file_system(folder: Path) -> str:
    """Return the kind of file system that a directory lies on, "" where the system does not tell."""
    try:
        mounts = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    path = folder.resolve()
    best, kind = -1, ""
    for mount in mounts:
        head, _, tail = mount.partition(" - ")
        point = Path(head.split(" ")[4].replace("\\040", " "))
        if len(point.parts) >= best and path.is_relative_to(point):
            best, kind = len(point.parts), tail.split(" ")[0]
    return kind


def _space(folder: Path, least: int) -> Row:
    free = shutil.disk_usage(folder).free
    shown = f"{free / 2**30:.1f} GiB are free"
    if free < least:
        return wrong(
            "files",
            "space",
            "disk-full",
            f"{shown}, below POINTSMAN_MIN_FREE_BYTES ({least}): webhooks are refused",
            "make room on the disk",
        )
    if free < 8 * least:
        return doubtful(
            "files",
            "space",
            "disk-nearly-full",
            f"{shown}; below {least / 2**30:.2f} GiB webhooks are refused",
            "make room on the disk",
        )
    return fine("files", "space", shown)


def store_rows(folder: Path, look: Callable[[Path], StoreFacts], now_ms: int) -> Iterator[Row]:
    """Look at the store: whether this program can use it, and what the next start will do to it."""
    try:
        facts = look(folder)
    except Unavailable as error:
        yield wrong(
            "store",
            "data",
            "store-unreadable",
            str(error),
            "check the owner of the files; restore a backup if they are damaged",
        )
        return
    if not facts.there:
        yield fine("store", "data", f"no data yet ({facts.engine})")
        return
    for problem in facts.problems:
        yield wrong(
            "store",
            "data",
            problem.code,
            problem.message,
            problem.fix,
        )
    if facts.problems:
        return
    if facts.missing:
        message = f"{facts.missing} migrations are to be made; the next start makes them"
        yield fine("store", "migrations", message)
    else:
        yield fine("store", "migrations", f"all {facts.migrations} are made")
    if not facts.wal:
        yield doubtful(
            "store",
            "journal",
            "no-wal",
            "the database is not in write-ahead mode",
            "start the instance once: it sets the mode",
        )
    else:
        yield fine("store", "journal", f"write-ahead log ({facts.engine})")
    if facts.clock_ms > now_ms + _CLOCK_BACK:
        yield wrong(
            "process",
            "clock",
            "clock-back",
            f"the clock is {(facts.clock_ms - now_ms) // 1000} s behind what the data have seen",
            "set the clock; signatures with a time are refused and retries wait until it has caught up",
        )

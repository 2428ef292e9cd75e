"""One PostgreSQL server with logical replication switched on, from the distribution's own programs.

PostgreSQL refuses to run as root, so root hands it to another user, who keeps one capability: to walk through
directories that only root may enter, as the ones of a test run or of root's home are.
"""

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import ClassVar, Final

from typing_extensions import override

from service.demo.servers import processes
from service.demo.servers.base import LocalServer, run
from service.demo.servers.ports import LOOPBACK, answers, take_port
from service.errors import Unavailable

_USERS: Final = ("postgres", "nobody")
SETTINGS: Final = {
    "wal_level": "logical",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "wal_sender_timeout": "10s",
    "max_connections": "200",
    "shared_buffers": "64MB",
}
"""What a server whose changes are to be read needs to be told, however it is run."""
_SEGMENT: Final = 6
"""The line of `postmaster.pid`, from 0, with key and number of a segment of shared memory."""
_PLACE: Final = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # their path would be too long in a deep directory
    "dynamic_shared_memory_type": "mmap",  # what is in /dev/shm outlives a server that is killed
}


class LocalPostgres(LocalServer):
    """A PostgreSQL server with the superuser `postgres` and no password.

    `extra` are further settings; `programs` is the folder of another version's programs.
    """

    kind: ClassVar[str] = "postgres"
    stop_signal: ClassVar[signal.Signals] = (
        signal.SIGINT
    )  # "fast": SIGTERM would wait for every client to leave

    def __init__(
        self, directory: Path, extra: dict[str, str] | None = None, programs: Path | None = None
    ) -> None:
        super().__init__(directory)
        self._settings: Final = {**_PLACE, **SETTINGS, **(extra or {})}
        self._programs: Final = programs
        self._port: Final = take_port()

    @override
    def _find(self) -> str | None:
        if self._bin() is None:
            where = self._programs or "/usr/lib/postgresql and the search path"
            return f"PostgreSQL's programs (initdb, postgres) are not in {where}; run: make servers"
        if os.geteuid() == 0 and _user() is None:
            return f"PostgreSQL does not run as root, and none of the users {', '.join(_USERS)} is here"
        return None

    @property
    @override
    def port(self) -> int:
        return self._port

    @property
    @override
    def url(self) -> str:
        return self.dsn()

    def dsn(self, database: str = "postgres") -> str:
        """Return the connection string of a database of this server."""
        return f"postgresql://postgres@{LOOPBACK}:{self._port}/{database}"

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory / "data"

    @override
    def _prepare(self) -> None:
        # What ran here was killed before, but as a zombie that nobody reaps it would still block the start.
        # Were there really another server, its shared memory would refuse ours.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        if (self.data / "PG_VERSION").exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)  # an initdb that was interrupted
        self.data.mkdir(mode=0o700)
        user = _user()
        if os.geteuid() == 0 and user is not None:
            os.chown(self.data, user.pw_uid, user.pw_gid)
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        setpriv = shutil.which("setpriv") or "setpriv"
        command = [setpriv, *_privileges(), str(self._program("initdb")), "-D", str(self.data), *options]
        run(command, _environment())

    @override
    def _launch(self) -> "subprocess.Popen[bytes]":
        words = [str(self._program("postgres")), "-D", str(self.data), "-p", str(self._port)]
        for key, value in self._settings.items():
            words += ["-c", f"{key}={value}"]
        return processes.spawn(words, log=self.log, environment=_environment(), privileges=_privileges())

    @override
    async def _probe(self) -> bool:
        return answers(self._port) and await ready(self.url)

    @override
    def _end_companions(self) -> None:
        """Give back the shared memory by which a server that was killed keeps another one off its data."""
        told = self.data / "postmaster.pid"
        if self._process is None or not told.exists():
            return  # what this file says from before the machine's last start may be somebody else's by now
        lines = told.read_text("utf-8", "replace").splitlines()
        _key, _, segment = lines[_SEGMENT].strip().partition(" ") if len(lines) > _SEGMENT else ("", "", "")
        remover = shutil.which("ipcrm")
        if remover is not None and segment.strip().isdigit():
            with contextlib.suppress(Unavailable):  # it is gone, or somebody else's
                run([remover, "-m", segment.strip()], _environment())
        told.unlink(missing_ok=True)

    def _bin(self) -> Path | None:
        if self._programs is not None:
            return self._programs if (self._programs / "initdb").exists() else None
        debian = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
        if debian:
            return max(debian, key=lambda path: [int(digits) for digits in re.findall(r"\d+", str(path))])
        found = shutil.which("initdb")
        return None if found is None else Path(found).resolve().parent

    def _program(self, name: str) -> Path:
        folder = self._bin()
        if folder is None:
            raise FileNotFoundError(f"PostgreSQL's {name} is not here")
        return folder / name


async def ready(dsn: str) -> bool:
    """Say whether a PostgreSQL server at this address answers a query and is not recovering."""
    import asyncpg

    try:
        connection = await asyncpg.connect(dsn, timeout=3)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return False
    try:
        return bool(await connection.fetchval("SELECT NOT pg_is_in_recovery()", timeout=3))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return False
    finally:
        await connection.close(timeout=3)


def _user() -> pwd.struct_passwd | None:
    """Return whom root hands the server to."""
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _privileges() -> list[str]:
    """Return the options of setpriv that turn root into that user; none for anybody else."""
    user = _user()
    if os.geteuid() != 0 or user is None:
        return []
    identity = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [*identity, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


def _environment() -> dict[str, str]:
    """Return a bare environment: PG… variables and locales of the caller must not reach the server."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": "/"}

"""Starts processes that cannot outlive us, and signals whole families of them. Linux only (/proc, pidfd).

A server's children may have sessions of their own (each PostgreSQL backend has), so a family is found by
parentage and not by process group. A process is known by its id and its start time, so a pid file of long ago
never ends a stranger.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

GONE_WITHIN: Final = 15.0
"""Seconds after SIGKILL within which the kernel must have let a process go."""
_STOPS_WITHIN: Final = 0.5


def missing() -> str | None:
    """Say what this machine lacks to run local servers at all, or None."""
    if not hasattr(os, "pidfd_open") or not Path("/proc/self/stat").exists():
        return "local servers need Linux; start the server yourself and give its address"
    if shutil.which("setpriv") is None:
        return "the program setpriv is missing; run: sudo apt-get install util-linux"
    return None


def spawn(
    command: Sequence[str], *, log: Path, environment: dict[str, str], privileges: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, its output appended to `log`; the kernel kills it when we end.

    "We" is the calling thread, as Linux has it: call from a thread that lives as long as the server shall.
    `privileges` are further options of setpriv.
    """
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - the words come from our own modules
            [shutil.which("setpriv") or "setpriv", "--pdeathsig", "KILL", *privileges, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd="/",
            start_new_session=True,
        )


def started(pid: int) -> str | None:
    """Return when the process was started, in the kernel's own count, or None when it is gone or a zombie."""
    fields = _fields(pid)
    return None if fields is None or fields[0] in "ZX" else fields[19]


def family(pid: int) -> list[int]:
    """Return the process and all its descendants, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _fields(int(entry.name))) is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found.extend(children.get(member, ()))
    return found


def freeze(pid: int) -> None:
    """Stop the whole family: nothing answers any more, and every connection stays open."""
    deadline = time.monotonic() + GONE_WITHIN
    while not _stopped(pid):
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} does not stop")
        # Who waits for its stopped child to become another program (vfork) cannot be stopped: on with both.
        thaw(pid)


def _stopped(pid: int) -> bool:
    """Send SIGSTOP to the whole family; say whether all have stopped a moment later."""
    for _ in range(2):  # a parent that was not stopped yet may have made a child meanwhile
        for member in family(pid):
            _send(member, signal.SIGSTOP)
    # A thread on another processor goes on until the signal reaches it.
    moment = time.monotonic() + _STOPS_WITHIN
    while any(map(_awake, family(pid))):
        if time.monotonic() > moment:
            return False
        time.sleep(0.001)
    return True


def thaw(pid: int) -> None:
    """Let a frozen family go on."""
    for member in family(pid):
        _send(member, signal.SIGCONT)


def kill(pid: int) -> None:
    """Send SIGKILL to the whole family and return when all are gone; TimeoutError when they stay."""
    _send(pid, signal.SIGSTOP)  # it cannot have children any more while we look for them
    with contextlib.ExitStack() as stack:
        handles: dict[int, int] = {}
        for member in family(pid):
            with contextlib.suppress(ProcessLookupError):
                handle = os.pidfd_open(member)
                stack.callback(os.close, handle)
                handles[handle] = member
        for handle in handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        _await_gone(handles)


def record(file: Path, pid: int) -> None:
    """Write down which process this is, for `sweep`."""
    file.write_text(f"{pid} {started(pid)}\n", "ascii")


def sweep(files: Iterable[Path]) -> int:
    """Kill what the pid files of a crashed run still name, remove the files, return how many were killed."""
    killed = 0
    for file in files:
        pid, _, since = file.read_text("ascii").strip().partition(" ")
        if pid.isdigit() and since and started(int(pid)) == since:
            kill(int(pid))
            killed += 1
        file.unlink(missing_ok=True)
    return killed


def _fields(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on; the name before it may contain anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _awake(pid: int) -> bool:
    """Tell whether a thread of the process still runs."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            words = (thread / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            if words[0] not in "TtZX":
                return True
    return False


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _await_gone(handles: dict[int, int]) -> None:
    """Wait until each pidfd reports the end of its process."""
    deadline = time.monotonic() + GONE_WITHIN
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    remaining = set(handles)
    while remaining:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(
                f"processes {sorted(handles[handle] for handle in remaining)} survived SIGKILL"
            )
        for handle, _ in poll.poll(left * 1000):
            poll.unregister(handle)
            remaining.discard(handle)

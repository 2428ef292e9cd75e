"""Commands that edit files are killed at every step of it, and at random: the old file stands there, or the new one.

The commands are those that change a configuration, its sealed secrets, the key ring, or keep a description from a URL.
"""

import asyncio
import hashlib
import http.server
import random
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.crash.calls.look import keys, opened
from tests.crash.launcher import Start
from tests.crash.product import Launcher, environment

POINTS: Final = ("file.opened", "file.written", "file.replaced")
AT_RANDOM: Final = 3
"""Kills of each command at random instants of its life."""

SECRET: Final = "s3cret-of-the-shop"
SPEC: Final = (resources.files("tests.crash") / "files" / "ledger.openapi.yaml").read_bytes()
SHA256: Final = hashlib.sha256(SPEC).hexdigest()
CONFIG: Final = """\
# what stands here stays
connectors:
  shop: {spec: shop.yaml}   # ours

connections:
  shop:
    connector: shop
    server: http://127.0.0.1:9
    egress: ["127.0.0.1"]
    auth: {bearer: {sealed: "SEALED"}}
"""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command, and how to see that it has done its work."""

    words: Callable[[Path, str], list[str]]
    changed: Callable[[Path], bool]
    files: int = 1
    """How many files it writes."""


def _config(folder: Path) -> Any:
    text = (folder / "pointsman.yaml").read_text("utf-8")
    assert text.startswith("# what stands here stays\n"), "the configuration is broken"
    assert "# ours" in text
    return yaml.safe_load(text)


COMMANDS: Final = {
    "connectors add": Command(
        words=lambda folder, _url: ["connectors", "add", "more", "more.yaml"],
        changed=lambda folder: "more" in _config(folder)["connectors"],
    ),
    "connectors add, from a URL": Command(
        words=lambda folder, url: ["connectors", "add", "far", url, "--allow", "127.0.0.1"],
        changed=lambda folder: "far" in _config(folder)["connectors"],
        files=2,
    ),
    "connections add": Command(
        words=lambda folder, _url: [
            "connections",
            "add",
            "other",
            "--connector",
            "shop",
            "--server",
            "https://shop.example",
            "--bearer-env",
            "TOKEN",
        ],
        changed=lambda folder: "other" in _config(folder)["connections"],
    ),
    "secrets new-key": Command(
        words=lambda folder, _url: ["secrets", "new-key"],
        changed=lambda folder: len(keys(folder / "pointsman.key")) == 3,
    ),
    "secrets rotate": Command(
        words=lambda folder, _url: ["secrets", "rotate", "pointsman.yaml"],
        changed=lambda folder: _sealed(folder).split(".")[1] == next(iter(keys(folder / "pointsman.key"))),
    ),
}


def _sealed(folder: Path) -> str:
    return str(_config(folder)["connections"]["shop"]["auth"]["bearer"]["sealed"])


def see(folder: Path, command: Command, *, done: bool | None = None) -> str:
    """Return what is broken in a folder, "" for nothing; `done` says whether the command must have done its work."""
    try:
        changed = command.changed(folder)
        ring = keys(folder / "pointsman.key")
        assert (folder / "pointsman.key").stat().st_mode & 0o777 == 0o600, "the key ring is everybody's"
        assert opened(_sealed(folder), ring).decode() == SECRET, "the secret cannot be opened"
        copies = folder / ".pointsman" / "descriptions"
        for copy in copies.iterdir() if copies.is_dir() else ():
            if re.fullmatch("[0-9a-f]{64}", copy.name):
                assert hashlib.sha256(copy.read_bytes()).hexdigest() == copy.name, "a copy is not whole"
        far = _config(folder)["connectors"].get("far")
        assert far is None or (copies / SHA256).is_file(), "a description is named that is not there"
    except (AssertionError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        return f"{type(error).__name__}: {error}"
    return "" if done in (None, changed) else f"done: {changed}"


class Folder:
    """A configuration with a sealed secret and a ring of two keys, of which the older one has sealed it."""

    def __init__(self, path: Path, launcher: Launcher, url: str) -> None:
        self.path, self._launcher, self._url = path, launcher, url
        self._log = path.with_suffix(".log")

    def copy(self, path: Path) -> "Folder":
        """Return the same again."""
        shutil.copytree(self.path, path)
        return Folder(path, self._launcher, self._url)

    async def make(self) -> None:
        self.path.mkdir()
        for name in ("shop.yaml", "more.yaml"):
            (self.path / name).write_bytes(SPEC)
        await self.run(["secrets", "new-key"])
        sealed = _seal(self.path / "pointsman.key")
        (self.path / "pointsman.yaml").write_text(CONFIG.replace("SEALED", sealed), "utf-8")
        await self.run(["secrets", "new-key"])

    async def run(
        self, words: list[str], point: str = "", after: float | None = None, mutant: str = ""
    ) -> int | None:
        """Run a command to its end, or to its death."""
        settings = environment(point, more={"POINTSMAN_CONFIG": "pointsman.yaml"})
        product = await self._launcher.start(Start(words, settings, str(self.path), mutant), self._log)
        if after is not None and not await product.until(within=after):
            product.signal(signal.SIGKILL)
        assert await product.until(within=30), f"{words} did not end"
        await product.kill()  # it has ended: what it said is read to its end
        return product.status

    async def kill(self, command: Command, point: str, after: float | None, mutant: str = "") -> list[str]:
        """Kill a command; return what was broken then, or after it was made again."""
        words = command.words(self.path, self._url)
        status = await self.run(words, point, after, mutant)
        assert after is not None or status == -signal.SIGKILL, self._log.read_text()
        found = [see(self.path, command)]
        if not found[0] and not mutant:
            done = command.changed(self.path)
            status = await self.run(words)
            if status and not (done and words[1] == "add"):  # it says that there is one of this name
                found.append(f"the command made again ended with {status}: {self._log.read_text()[-300:]}")
            found.append(see(self.path, command, done=True if words[1] != "new-key" else None))
            left = [str(one) for one in self.path.rglob(".[0-9]*")]
            found += [f"left: {left}"] * bool(left and not done)
        return [one for one in found if one]


def _seal(ring: Path) -> str:
    """Seal the secret with the newest key, as `secrets seal` does."""
    from service.config.sealing import read_ring

    return read_ring(ring).seal(SECRET)


@contextmanager
def described() -> Iterator[str]:
    """Serve a description; give its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(SPEC)))
            self.end_headers()
            self.wfile.write(SPEC)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/openapi.yaml"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.timeout(180)
def test_a_killed_command_leaves_the_old_file_or_the_new_one(launcher, tmp_path, capfd):
    kills = 0
    broken: list[str] = []

    async def everything(first: Launcher, url: str) -> None:
        nonlocal kills
        made = Folder(tmp_path / "made", first, url)
        await made.make()
        for name, command in COMMANDS.items():
            points = [f"{point}:{number + 1}" for point in POINTS for number in range(command.files)]
            for place, point in enumerate((*points, *[""] * AT_RANDOM)):
                folder = made.copy(tmp_path / f"{name.replace(' ', '-').replace(',', '')}-{place}")
                after = None if point else random.uniform(0, 0.3)
                found = await folder.kill(command, point, after)
                broken.extend(f"{name} at {point or after}: {one}" for one in found)
                kills += 1

    with launcher.another() as first, described() as url:
        asyncio.run(everything(first, url))
    with capfd.disabled():
        print(f"\ncrash: {kills} kills of commands that edit files, {len(broken)} broken")
    assert not broken


@pytest.mark.timeout(60)
def test_a_file_that_is_written_in_place_is_found(launcher, tmp_path):
    async def one(first: Launcher) -> list[str]:
        folder = Folder(tmp_path / "planted", first, "")
        await folder.make()
        return await folder.kill(COMMANDS["connectors add"], "file.opened:1", None, "file written in place")

    with launcher.another() as first:
        (found,) = asyncio.run(one(first))
    assert "the configuration is broken" in found

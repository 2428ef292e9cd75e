"""A run starts its servers once for all its workers, and they end with it, however it ends."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.demo.servers import LocalPostgres, processes
from tests.patience import PATIENCE
from tests.servers import place
from tests.shared import ROOT

SUITE = """
import asyncpg, os, pytest
pytest_plugins = ["tests.servers.fixtures"]

@pytest.mark.parametrize("n", range(4))
async def test_it(postgres, n):
    connection = await asyncpg.connect(postgres.dsn)
    seen = await connection.fetchval("SHOW port")
    await connection.close()
    with open(os.environ["SEEN"], "a") as file:
        file.write(f"{seen}\\n")
"""
OPTIONS = ["-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "--import-mode=importlib"]


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the runs a temporary folder of their own, where no servers stand."""
    if lacking := LocalPostgres(tmp_path).find():
        pytest.skip(lacking)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("POINTSMAN_TEST_SERVERS", "local")
    return temporary


def run(tmp_path: Path, *options: str, suite: str = SUITE) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_suite.py").write_text(suite)
    command = [sys.executable, "-m", "pytest", *OPTIONS, *options, str(tmp_path / "test_suite.py")]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False, timeout=100
    )


def test_all_workers_of_a_run_share_one_server_which_ends_with_the_run(tmp_path: Path, apart: Path) -> None:
    done = run(tmp_path, "-n", "2")
    assert done.returncode == 0, done.stdout
    ports = (tmp_path / "seen").read_text().split()
    assert len(ports) == 4
    assert len(set(ports)) == 1
    until_empty(apart)


def test_a_killed_run_leaves_no_server(tmp_path: Path, apart: Path) -> None:
    suite = SUITE + "    import signal\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    assert run(tmp_path, suite=suite).returncode == -signal.SIGKILL
    until_empty(apart)


def test_a_server_that_is_missing_skips_a_test_with_the_reason_and_fails_it_in_ci(
    tmp_path: Path, apart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_KAFKA_HOME", str(tmp_path / "nowhere"))
    suite = "pytest_plugins = ['tests.servers.fixtures']\ndef test_it(kafka): pass\n"
    monkeypatch.setenv("CI", "")
    outside = run(tmp_path, suite=suite)
    assert outside.returncode == 0
    assert "1 skipped" in outside.stdout
    assert "run: make servers" in outside.stdout
    monkeypatch.setenv("CI", "true")
    inside = run(tmp_path, suite=suite)
    assert inside.returncode == 1
    assert "run: make servers" in inside.stdout


def test_up_keeps_a_server_between_runs_until_down(tmp_path: Path, apart: Path) -> None:
    command = [sys.executable, "-m", "tests.servers"]
    up = subprocess.run([*command, "up", "postgres"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "postgres: ready" in up.stdout
    try:
        for _ in range(2):
            assert run(tmp_path).returncode == 0
        assert len(set((tmp_path / "seen").read_text().split())) == 1
        said = subprocess.run(
            [*command, "status"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        assert "kafka: does not stand" in said
        assert "postgres: ready" in said
    finally:
        down = subprocess.run([*command, "down"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "postgres: ended" in down.stdout
    assert not list(apart.rglob("*.json"))


def test_a_server_that_dies_is_forgotten_and_the_next_one_who_wants_it_gets_another(
    tmp_path: Path, apart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", None)  # look at TMPDIR again
    here = place.of_run(os.getpid())
    try:
        here.want("postgres")
        first = here.await_state("postgres")
        assert first.name == "ready", first
        (pid_file,) = here.folder.rglob("postgres.pid")
        processes.sweep([pid_file])
        until_gone(first.keeper)
        here.want("postgres")
        second = here.await_state("postgres")
        assert second.name == "ready", second
        assert second.keeper != first.keeper
    finally:
        state = here.read("postgres")
        assert state is not None
        os.kill(state.keeper, signal.SIGTERM)
        until_gone(state.keeper)


def until_empty(folder: Path) -> None:
    """Wait until the keepers of a run that ended have taken everything away."""
    deadline = time.monotonic() + PATIENCE
    while left := list(folder.glob("pointsman-servers-*/run-*")):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def until_gone(pid: int) -> None:
    """Wait until a process that is no child of ours has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], PATIENCE)[0], f"{pid} lives on"
    finally:
        os.close(handle)

"""A crash point kills at the n-th hit when it is armed, and does nothing otherwise."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service import crashpoints
from service.crashpoints import POINTS, armed, parse
from tests.tables import every_row

ROOT = Path(__file__).resolve().parents[2]


def child(environment: dict[str, str], code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


def test_points_are_named_once_and_are_enough():
    assert len(POINTS) == len(set(POINTS))
    assert len(POINTS) >= 25


def test_counts_are_read():
    assert parse("") == {}
    assert parse("store.accept.inside:3,release.after_commit") == {
        "store.accept.inside": 3,
        "release.after_commit": 1,
    }


@every_row("text", ["nowhere:1", "store.accept.inside:0", "store.accept.inside:x"])
def test_a_wrong_setting_is_refused(text):
    with pytest.raises(ValueError):
        parse(text)


def test_nothing_happens_when_nothing_is_armed():
    reached = armed({})
    for name in POINTS:
        reached(name)


def test_other_points_than_the_armed_one_do_nothing(tmp_path):
    log = tmp_path / "log"
    reached = armed({"POINTSMAN_CRASH": "store.accept.inside:2", "POINTSMAN_CRASH_LOG": str(log)})
    reached("store.accept.before")
    reached("store.accept.inside")
    assert not log.exists()


def test_the_process_is_killed_at_the_armed_hit_and_leaves_evidence(tmp_path):
    log = tmp_path / "log"
    code = "from service.crashpoints import reached\nfor n in range(5): print(n, flush=True); reached('reload.swapped')"
    result = child({"POINTSMAN_CRASH": "reload.swapped:3", "POINTSMAN_CRASH_LOG": str(log)}, code)
    assert result.returncode == -signal.SIGKILL
    assert result.stdout.split() == ["0", "1", "2"]
    assert log.read_text() == "reload.swapped\n"


def test_a_wrong_name_in_the_environment_stops_the_start():
    result = child({"POINTSMAN_CRASH": "nowhere:1"}, "import service.crashpoints")
    assert result.returncode == 1
    assert "unknown crash point 'nowhere'" in result.stderr


def test_every_point_in_the_code_is_listed():
    """A point that is reached under a name that is not listed could never be armed."""
    called = set()
    for path in (
        one for package in ("service", "actions", "triggers") for one in (ROOT / package).rglob("*.py")
    ):
        if path.name != Path(crashpoints.__file__).name:
            called |= set(re.findall(r'reached\("([a-z_.]+)"\)', path.read_text("utf-8")))
    assert called <= set(POINTS)

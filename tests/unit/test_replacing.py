"""A file is replaced whole: at every moment the old one stands there, or the new one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.replacing import beside, replace_file, write_private

ROOT = Path(__file__).resolve().parents[2]
DEAD = 999_999_999
"""A number that no process has."""


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_the_new_one_takes_the_place_of_the_old_one_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "pointsman.yaml"
    path.write_bytes(b"old")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert hidden(tmp_path) == []


def test_the_old_one_stays_when_nobody_puts_the_new_one_there(tmp_path):
    path = tmp_path / "pointsman.yaml"
    path.write_bytes(b"old")
    with beside(path, b"new") as made:
        assert made.path.read_bytes() == b"new"
        assert made.path.suffix == ".yaml"
    assert path.read_bytes() == b"old"
    assert hidden(tmp_path) == []


def test_rights_stay_as_they_are(tmp_path):
    path = tmp_path / "pointsman.yaml"
    path.write_bytes(b"old")
    path.chmod(0o640)
    replace_file(path, b"new")
    assert path.stat().st_mode & 0o7777 == 0o640


def test_a_file_that_was_not_there_has_the_rights_of_a_new_file(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    replace_file(tmp_path / "made", b"new")
    assert (tmp_path / "made").stat().st_mode == plain.stat().st_mode


def test_a_private_file_is_its_owners_alone_whatever_it_was(tmp_path):
    path = tmp_path / "seal.key"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o7777 == 0o600


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    path = tmp_path / "real" / "pointsman.yaml"
    path.write_bytes(b"old")
    link = tmp_path / "pointsman.yaml"
    link.symlink_to(path)
    replace_file(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert hidden(tmp_path / "real") == []


def test_what_a_dead_process_left_is_taken_away_and_what_a_living_one_writes_is_not(tmp_path):
    living = f".{os.getppid()}.seal.key"
    for name in (f".{DEAD}.seal.key", living, f".{DEAD}.other.key", ".seal.key"):
        (tmp_path / name).write_text("half")
    write_private(tmp_path / "seal.key", "whole")
    assert hidden(tmp_path) == sorted([living, f".{DEAD}.other.key", ".seal.key"])


@pytest.mark.parametrize(
    ("point", "found"), [("file.opened", b"old"), ("file.written", b"old"), ("file.replaced", b"new")]
)
def test_a_killed_process_leaves_the_old_one_or_the_new_one(tmp_path, point, found):
    path = tmp_path / "pointsman.yaml"
    path.write_bytes(b"old")
    code = "import sys; from pathlib import Path; from service.replacing import replace_file; replace_file(Path(sys.argv[1]), b'new')"
    killed = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={**os.environ, "POINTSMAN_CRASH": f"{point}:1"},
        cwd=ROOT,
        check=False,
        timeout=30,
    )
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == found
    replace_file(path, b"next")
    assert path.read_bytes() == b"next"
    assert hidden(tmp_path) == []

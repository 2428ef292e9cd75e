"""What the tests of the configuration share: a folder with a kind of source of its own."""

from pathlib import Path

import pytest

from service.config.check import load_configuration
from triggers import SOURCES


@pytest.fixture(autouse=True)
def bell(monkeypatch):
    """Register the kind `bell`, and no other."""
    for kind in list(SOURCES):
        monkeypatch.delitem(SOURCES, kind)
    monkeypatch.setitem(SOURCES, "bell", "tests.unit.config.bell:BellSource")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to write files into; paths in problems are relative to it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.json").write_text("{}")
    return tmp_path


@pytest.fixture
def write(folder):
    """Write a file below the folder."""

    def put(name: str, text: str | bytes) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Path(name)

    return put


@pytest.fixture
def check(write):
    """Check a text as `pointsman.yaml`."""

    def run(text: str, *, resolve: bool = True, name: str = "pointsman.yaml", **env: str):
        return load_configuration(write(name, text), resolve=resolve, env=env)

    return run

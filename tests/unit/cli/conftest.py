"""A terminal in an empty folder, with no setting in the environment."""

import os

import pytest

from tests.unit.cli.terminal import Terminal


@pytest.fixture
def pointsman(monkeypatch, capfdbinary, tmp_path):
    for name in [name for name in os.environ if name.startswith("POINTSMAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return Terminal(monkeypatch, capfdbinary)

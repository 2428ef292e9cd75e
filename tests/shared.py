"""Finds the shared acceptance data beside the project; tests are skipped with that reason where it is absent."""

import functools
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"


def shared_file(name: str) -> Path:
    """Return the path of a file of the shared data, or skip the calling test."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"shared data {name} is not beside this project", allow_module_level=True)
    return path


@functools.cache
def shared_json(name: str) -> Any:
    """Return a JSON file of the shared data, decoded, or skip."""
    return json.loads(shared_file(name).read_text("utf-8"))


def shared_tar(name: str) -> tarfile.TarFile:
    """Open an archive of the shared data, or skip."""
    return tarfile.open(shared_file(name))

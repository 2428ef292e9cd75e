"""The benchmark of descriptions reads each in a process of its own, and says what that took."""

import pytest

from bench.specs import imported, made, row
from bench.whole import Wrong


def test_a_description_is_read_in_a_process_of_its_own(tmp_path):
    path = tmp_path / "made.json"
    path.write_bytes(made(20))
    found = imported(path)
    assert (found.dialect, found.operations, found.files) == ("openapi3.1", 20, 1)
    assert 0 < found.before_mb <= found.peak_mb
    assert row("made", found)["bytes"] == path.stat().st_size


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(Wrong, match="was not read"):
        imported(tmp_path / "none.json")

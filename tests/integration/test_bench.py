"""The benchmark of descriptions reads each in a process of its own, and says what that took."""

from bench.specs import imported, made, row


def test_a_description_is_read_in_a_process_of_its_own(tmp_path):
    path = tmp_path / "made.json"
    path.write_bytes(made(20))
    found = imported(path)
    assert (found.dialect, found.operations, found.files) == ("openapi3.1", 20, 1)
    assert 0 < found.before_mb <= found.peak_mb
    assert row("made", found)["bytes"] == path.stat().st_size


def test_what_cannot_be_read_is_a_row_too(tmp_path):
    path = tmp_path / "broken.json"
    path.write_bytes(b"<html>")
    shown = row("broken", imported(path))
    assert (shown["format"], shown["operations"]) == ("not readable", 0)

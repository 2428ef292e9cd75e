"""Configuration files in JSON, over Nicolas Seriot's JSONTestSuite."""

from service.config.load import read_text
from tests.shared import shared_tar


def test_what_must_be_taken_is_taken_and_what_must_be_refused_is_refused():
    count = 0
    with shared_tar("standards.tar.xz") as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            file = archive.extractfile(member)
            if "test_parsing" not in member.name or not name.endswith(".json") or file is None:
                continue
            data = file.read()
            try:
                text = data.decode()
            except UnicodeDecodeError:
                continue
            parsed = read_text(text, name, json=True)
            if name.startswith("y_") and "duplicated" not in name:
                assert not parsed.problems, name
                count += 1
            elif name.startswith("n_"):
                assert parsed.problems, name
                count += 1
    assert count > 200

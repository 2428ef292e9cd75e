"""JSONTestSuite through a webhook: y_ is taken, n_ is 400 and kept, i_ is either; nothing else ever happens."""

from functools import cache

import pytest

from tests.shared import DATA, shared_tar
from tests.unit.triggers.requests import opened, request
from triggers.base import Batch, Reject
from triggers.message import TriggerMessage, decode_data, document

_HEADERS = {"content-type": "application/json"}


@cache
def _files() -> dict[str, bytes]:
    with shared_tar("standards.tar.xz") as archive:
        return {
            member.name.removeprefix("nst+JSONTestSuite/"): archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isfile() and member.name.startswith("nst+JSONTestSuite/test_")
        }


_FILES = _files() if (DATA / "standards.tar.xz").exists() else {}


def test_all_files_are_here() -> None:
    assert len([name for name in _files() if name.startswith("test_parsing/")]) == 318
    assert len([name for name in _files() if name.startswith("test_transform/")]) == 22


@pytest.mark.parametrize("name", sorted(_FILES))
async def test_file(name: str) -> None:
    body = _FILES[name]
    outcome = (await opened()).receive(request(body, _HEADERS))
    assert isinstance(outcome, Batch)
    (item,) = outcome.items
    assert item.data == body
    verdict = name.rpartition("/")[2][:2] if name.startswith("test_parsing/") else "i_"
    if isinstance(item, Reject):
        assert verdict != "y_", item.detail
        assert outcome.reply is not None
        assert outcome.reply.status == 400
    else:
        assert verdict != "n_"
        assert isinstance(item, TriggerMessage)
        assert outcome.reply is None
        assert "data" in document(item)
        decode_data(item)

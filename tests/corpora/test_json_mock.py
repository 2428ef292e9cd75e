"""JSONTestSuite through the mock: y_ is read, n_ is 400, i_ is either; never a failure."""

import pytest

from tests.corpora.test_json_suite import _FILES
from tests.unit.actions.mock.described import of_body, send

_MOCK = of_body("application/json", {})


@pytest.mark.parametrize("name", sorted(name for name in _FILES if name.startswith("test_parsing/")))
def test_a_body_of_the_suite(name: str) -> None:
    judgement = send(_MOCK, _FILES[name], "application/json")
    expected = {"y": {200}, "n": {400}, "i": {200, 400}}[name.rpartition("/")[2][0]]
    assert judgement.answer.status in expected

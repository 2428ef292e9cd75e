"""What generators make: of the documented form, and the same for the same call."""

import re
from datetime import UTC, datetime

import pytest

from actions.generators import NAMES, is_made, make
from tests.tables import every_row

AT = datetime(2024, 5, 17, 9, 30, tzinfo=UTC).timestamp()
FORMS = {
    "$guid": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "$randomUUID": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "$timestamp": "1715938200",
    "$isoTimestamp": r"2024-05-17T09:30:00\.000Z",
    "$randomInt": r"\d{1,3}|1000",
    "$randomBoolean": "true|false",
    "$randomHexColor": "#[0-9a-f]{6}",
    "$randomIP": r"\d+\.\d+\.\d+\.\d{1,3}",
    "$randomIPV6": r"2001:db8(:[0-9a-f]{4}){6}",
    "$randomMACAddress": r"[0-9a-f]{2}(:[0-9a-f]{2}){5}",
    "$randomEmail": r"[a-z]+\.[a-z]+\d+@[a-z]+\.example\.(com|net|org)",
    "$randomBankAccount": r"[1-9]\d{7}",
    "$randomPrice": r"\d{1,3}\.\d\d",
    "$randomDatePast": r"202[34]-.*Z",
    "$randomDateFuture": r"202[45]-.*Z",
    "$randomLatitude": r"-?\d{1,2}\.\d{4}",
}


@every_row("name", sorted(NAMES))
def test_every_generator_makes_text_and_the_same_for_the_same_call(name: str) -> None:
    made = make(name, b"key", AT)
    assert made
    assert made == make(name, b"key", AT)


@every_row(("name", "form"), FORMS.items())
@every_row("seed", [b"", b"a", b"b", b"c"])
def test_what_is_made_has_the_documented_form(name: str, form: str, seed: bytes) -> None:
    assert re.fullmatch(form, make(name, seed, AT))


def test_other_calls_get_other_values() -> None:
    assert len({make("$guid", str(index).encode(), AT) for index in range(1_000)}) == 1_000
    assert len({make("$randomInt", str(index).encode(), AT) for index in range(1_000)}) > 500


def test_dates_lie_on_their_side_of_the_call() -> None:
    now = make("$isoTimestamp", b"", AT)
    for index in range(50):
        seed = str(index).encode()
        assert make("$randomDatePast", seed, AT) < now < make("$randomDateFuture", seed, AT)


def test_what_is_not_documented_is_not_made() -> None:
    assert is_made("$guid")
    assert not is_made("guid")
    assert not is_made("$randomUnicorn")
    with pytest.raises(KeyError):
        make("$randomUnicorn", b"", AT)

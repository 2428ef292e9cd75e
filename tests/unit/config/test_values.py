from datetime import timedelta

import pytest

from service.config.values import Rate, Refused, is_name, parse_duration, parse_rate, parse_size
from tests.tables import every_row


@every_row(
    ("text", "seconds"),
    [("500ms", 0.5), ("10s", 10), ("5m", 300), ("24h", 86400), ("3d", 259200), ("1.5h", 5400), ("10 s", 10)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert parse_duration(parse_duration(text)) == timedelta(seconds=seconds)


@every_row(
    "text", ["", "s", "10", "10 sec", "-1s", "1h30m", "١s", "0s", "0.0000001ms", "9999999d", None, [], True]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(Refused) as caught:
        parse_duration(text)
    assert "write a number and a unit" in caught.value.fix


@every_row("number", [10, 1.5])
def test_a_duration_without_unit_is_told_so(number):
    with pytest.raises(Refused, match="needs a unit"):
        parse_duration(number)


@every_row(
    ("text", "size"), [("1B", 1), ("2kB", 2000), ("1KiB", 1024), ("1 MiB", 2**20), ("1GB", 10**9), (7, 7)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@every_row("text", ["1Mib", "1M", "-1B", "0B", "1.5MiB", 0, -5, True, 1.5, None])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(Refused):
        parse_size(text)


@every_row(
    ("text", "per_second"), [("50/s", 50), ("120/m", 2), ("1800/h", 0.5), ("0.5/s", 0.5), ("5 / s", 5)]
)
def test_rates(text, per_second):
    rate = parse_rate(text)
    assert rate.per_second == per_second
    assert parse_rate(rate) == rate
    assert isinstance(rate, Rate)


@every_row("text", ["50", "50/d", "/s", "0/s", "-1/s", 50, None])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(Refused):
        parse_rate(text)


def test_names():
    for good in ("a", "shop", "big-orders", "a_b9", "a" * 63):
        assert is_name(good)
    for bad in ("", "A", "9a", "-a", "a.b", "a/b", "a b", "é", "a" * 64, "a\n"):
        assert not is_name(bad)

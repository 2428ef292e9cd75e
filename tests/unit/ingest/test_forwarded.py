"""Whom a request says it comes from, and when that is believed."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from service.ingest.forwarded import Proxies, Sender, read_address
from tests.tables import every_row

PROXIES = Proxies(("10.0.0.0/8", "2001:db8:1::/48"))


def sender(*headers: tuple[str, str]) -> Sender:
    return PROXIES.sender("10.0.0.1", "inside", headers)


def test_without_a_word_of_the_proxy_it_is_the_proxy_itself() -> None:
    assert sender(("x-other", "1.2.3.4")) == Sender("10.0.0.1", "http", "inside")


def test_the_last_hop_that_is_not_ours_is_the_sender() -> None:
    said = sender(
        ("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.0.0.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "hooks.example:8443"),
    )
    assert said == Sender("203.0.113.9", "https", "hooks.example:8443")


def test_repeated_headers_are_one_list() -> None:
    assert sender(("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "10.1.1.1")).peer == "203.0.113.9"


def test_each_hop_has_its_own_scheme() -> None:
    said = sender(("x-forwarded-for", "203.0.113.9, 10.0.0.2"), ("x-forwarded-proto", "http, https, http"))
    assert said.scheme == "https"


def test_a_hop_that_is_no_address_ends_the_walk() -> None:
    assert sender(("x-forwarded-for", "203.0.113.9, unknown, 10.0.0.2")).peer == "10.0.0.2"
    assert sender(("x-forwarded-for", "junk")).peer == "10.0.0.1"


def test_when_all_hops_are_ours_the_first_is_the_sender() -> None:
    assert sender(("x-forwarded-for", "10.0.0.3, 10.0.0.2")).peer == "10.0.0.3"


def test_nonsense_for_scheme_and_host_is_ignored() -> None:
    said = sender(("x-forwarded-proto", "gopher"), ("x-forwarded-host", "a b/../c"))
    assert said == Sender("10.0.0.1", "http", "inside")


@every_row(
    ("value", "expected"),
    [
        ("for=203.0.113.9;proto=https;host=hooks.example", ("203.0.113.9", "https", "hooks.example")),
        ('For="[2001:db8:2::7]:4711";Proto=HTTPS', ("2001:db8:2::7", "https", "inside")),
        ('for=6.6.6.6, for=203.0.113.9;proto=https, for="10.0.0.2:80"', ("203.0.113.9", "https", "inside")),
        ("for=_hidden;proto=https", ("10.0.0.1", "https", "inside")),
        ("for=203.0.113.9;proto", ("10.0.0.1", "http", "inside")),
        ('for="203.0.113.9', ("10.0.0.1", "http", "inside")),
    ],
)
def test_reads_the_standard_header(value: str, expected: tuple[str, str, str]) -> None:
    assert sender(("forwarded", value)) == Sender(*expected)


def test_where_both_kinds_stand_the_common_one_counts() -> None:
    assert sender(("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "203.0.113.9")).peer == "203.0.113.9"


@every_row(
    ("address", "trusted"),
    [("10.255.0.1", True), ("11.0.0.1", False), ("2001:db8:1::5", True), ("::1", False)],
)
def test_trusts_what_is_in_its_networks(address: str, trusted: bool) -> None:
    assert PROXIES.trusts(ip_address(address)) is trusted


def test_an_ipv4_address_over_ipv6_is_an_ipv4_address() -> None:
    assert str(read_address("::ffff:10.0.0.1")) == "10.0.0.1"


@given(st.text(max_size=80), st.sampled_from(["forwarded", "x-forwarded-for", "x-forwarded-proto"]))
def test_any_text_gives_an_address(value: str, name: str) -> None:
    said = sender((name, value))
    assert read_address(said.peer) is not None
    assert said.scheme in {"http", "https"}

import random
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from actions.addresses import embedded, is_metadata, leads_elsewhere, read_address, read_server, special
from actions.egress import Egress, read_egress
from tests.tables import every_row

# The IANA special-purpose address registries (iana-ipv4-special-registry, iana-ipv6-special-registry), multicast,
# and what svix's and convoy's guards refuse.
_REGISTRY = """
0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29
192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.31.196.0/24
192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24
224.0.0.0/4 224.0.0.0/24 233.252.0.0/24 239.0.0.0/8 240.0.0.0/4 255.255.255.255/32
::1/128 ::/128 ::/96 ::ffff:0:0:0/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32 2001:1::1/128
2001:1::2/128 2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28
2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fd00::/8 fe80::/10 fec0::/10 ff00::/8
ff02::/16 ff0e::/16 200::/7 400::/6 4000::/3 8000::/1
"""
_PUBLIC = """
1.1.1.1 8.8.8.8 9.9.9.9 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 169.253.255.255 169.255.0.1
172.15.255.255 172.32.0.1 192.0.1.1 192.0.3.1 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.1 198.17.255.255
198.20.0.1 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255 2606:4700:4700::1111
2001:4860:4860::8888 2001:200::1 2a00:1450:4001:800::200e 2620:4f:7fff::1 3ffe:ffff::1 64:ff9b::8.8.8.8
64:ff9b::101:101 2400:cb00::1 2001:db7::1
"""
_METADATA = """
169.254.169.254 169.254.170.2 169.254.170.23 169.254.169.253 169.254.0.23 169.254.42.42 100.100.100.200 192.0.0.192
168.63.129.16 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:42::42 fd00:c1::a9fe:a9fe fe80::a9fe:a9fe
::ffff:169.254.169.254 ::169.254.169.254 64:ff9b::a9fe:a9fe 64:ff9b:1::a9fe:a9fe 64:ff9b:1:a9fe:a9:fe00::
2002:a9fe:a9fe:: 2001:0:a9fe:a9fe:: 2001:0:808:808:0:0:5601:5601 2a00::5efe:a9fe:a9fe fe80::200:5efe:6464:64c8
::ffff:0:169.254.169.254
"""
_SPELLINGS = """
127.1 127.0.1 0 0.0 2130706433 0x7f000001 0x7f.1 0x7f.0.0.1 0177.1 0177.0.0.1 017700000001 127.0.0.01 127.00.0.1
127.0.0.1. localhost. 127。0。0。1 127．0．0．1 127｡0｡0｡1 １２７.0.0.1 ①②⑦.⓪.⓪.① ⓛⓞⓒⓐⓛⓗⓞⓢⓣ ℓocalhost
0x7F000001 0X7f.0x0.0x0.0x1 0x 1.0x 00000177.0.0.1 127.0.0.256 1.2.3.4.5 256.256.256.256 4294967296 999999999999
%31%32%37.0.0.1 localhost%00 127.0.0.1%2e local%68ost user@localhost user:pw@127.0.0.1 127.0.0.1@evil.example
127.0.0.1\\@evil.example evil.example\\.127.0.0.1
[::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:0:0:1] [::0001] [0::1] [::1%25lo] [fe80::1%eth0] [::1 ::1] [::1]x []
[127.0.0.1] [::FFFF:1] [v1.x] a..b .a a. -a.example a-.example a,b a;b a*b a!b a$b a'b (a) {a} a|b <a> a"b a`b a^b a~b a=b a+b
xn-- xn--a xn--a- xn--localhost- xn--80ak6aa92e- xn--127-.example bücher.example exämple.com
"""
REGISTRY, PUBLIC, METADATA = _REGISTRY.split(), _PUBLIC.split(), _METADATA.split()
SPELLINGS = [
    *_SPELLINGS.split(),
    "localhost\t",
    "local\thost",
    "localhost\n",
    "localhost\r",
    " localhost",
    "localhost ",
]
SPELLINGS += [
    "localhost\x00",
    "local\x00host",
    "localhost\u200b",
    "local\u00adhost",
    "local\u2060host",
    "\u202elocalhost",
]


def table() -> list[str]:
    """First, last and some addresses of every special network, plain and through every embedding."""
    source = random.Random(7)
    found = []
    for text in REGISTRY:
        network = ip_network(text)
        size = network.num_addresses
        for offset in {0, size - 1, size // 2, source.randrange(size), source.randrange(size)}:
            address = network[offset]
            found.append(str(address))
            if isinstance(address, IPv4Address):
                four = int(address)
                found += [
                    f"::ffff:{address}",
                    str(IPv6Address((0x64FF9B << 96) | four)),
                    str(IPv6Address((0x2002 << 112) | (four << 80) | 1)),
                    str(IPv6Address((0x2A00_1450 << 96) | (0x00005EFE << 32) | four)),
                    str(IPv6Address((0x20010000 << 96) | (0x08080808 << 64) | (four ^ 0xFFFFFFFF))),
                ]
    return sorted(set(found))


TABLE = table()


def test_the_table_is_as_large_as_it_should_be():
    assert len(TABLE) + len(METADATA) + len(SPELLINGS) > 500


def test_no_network_of_the_registries_is_public():
    addresses = [ip_address(text) for text in TABLE]
    for text in REGISTRY:
        network = ip_network(text)
        chosen = [one for one in addresses if one.version == network.version and one in network]
        assert chosen, text
        assert [one for one in chosen if not special(read_address(str(one)))] == [], text


def test_nothing_in_the_table_is_public():
    assert [text for text in TABLE if not special(read_address(text))] == []


@every_row("text", PUBLIC)
def test_public_addresses_are_public(text):
    address = read_address(text)
    assert special(address) == ""
    assert not is_metadata(address)


@every_row("text", METADATA)
def test_metadata_is_known_through_every_embedding(text):
    server, _ = read_server("http://inside.example")
    assert is_metadata(read_address(text))
    wide = Egress(public=True, listed=(listed("0.0.0.0/0"), listed("::/0"), listed("inside.example")))
    assert wide.judge(server, [text]).allowed == ()


def listed(text):
    return read_egress([text]).listed[0]


@given(st.integers(0, 2**32 - 1))
def test_an_embedded_address_is_as_special_as_itself(number):
    four = IPv4Address(number)
    mapped = read_address(f"::ffff:{four}")
    assert mapped == four
    nat64 = IPv6Address((0x64FF9B << 96) | number)
    assert embedded(nat64) == (four,)
    assert bool(special(nat64)) == bool(special(four))


@given(st.integers(0, 2**128 - 1))
def test_only_global_unicast_is_public(number):
    address = IPv6Address(number)
    if address not in IPv6Network("2000::/3") and address not in IPv6Network("64:ff9b::/96"):
        assert special(address)


def test_a_zone_is_no_address():
    assert read_address("fe80::1%eth0") is None
    assert read_address("nonsense") is None


def test_hosts_in_another_than_their_one_spelling_are_refused():
    urls = [f"http://{spelling}{rest}" for spelling in SPELLINGS for rest in ("", ":8080", "/v1")]
    read = {url: read_server(url) for url in urls}
    assert [
        url for url, (server, problems) in read.items() if server or not problems or not all(problems)
    ] == []


@every_row(
    ("url", "origin", "path"),
    [
        ("https://shop.example/v1/", "https://shop.example", "/v1"),
        ("HTTPS://Shop.Example:443", "https://shop.example", ""),
        ("http://shop.example:80/", "http://shop.example", ""),
        ("http://shop.example:443", "http://shop.example:443", ""),
        ("https://my_service:8080/a%2Fb/c", "https://my_service:8080", "/a%2Fb/c"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000", ""),
        ("http://[::1]:9000/x", "http://[::1]:9000", "/x"),
        ("http://[2001:db8::1]", "http://[2001:db8::1]", ""),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example", ""),
        ("https://xn--fa-hia.example", "https://xn--fa-hia.example", ""),
        ("https://r3---sn-4g5e.example", "https://r3---sn-4g5e.example", ""),
        ("https://1password.example", "https://1password.example", ""),
        ("https://a.0xg", "https://a.0xg", ""),
    ],
)
def test_plain_servers_are_read(url, origin, path):
    server, problems = read_server(url)
    assert problems == []
    assert (server.origin, server.path) == (origin, path)


@every_row(
    ("url", "told"),
    [
        ("ftp://shop.example", "http"),
        ("file:///etc/passwd", "http"),
        ("gopher://x", "http"),
        ("unix:/run/docker.sock", "http"),
        ("//shop.example", "http"),
        ("shop.example", "http"),
        ("", "http"),
        ("http://", "host is missing"),
        ("http:///x", "host is missing"),
        ("https://u:p@shop.example", "auth"),
        ("https://shop.example?x=1", "query"),
        ("https://shop.example/#a", "query"),
        ("https://shop.example:0", "port"),
        ("https://shop.example:", "port"),
        ("https://shop.example:080", "port"),
        ("https://shop.example:65536", "port"),
        ("https://shop.example:٩٩", "port"),
        ("https://shop.example:80:80", "name"),
        ("https://shop.example/a/../b", "segment"),
        ("https://shop.example/%2e%2E/b", "segment"),
        ("https://shop.example/a/%252e%252e/b", "segment"),
        ("https://shop.example/..%2fb", "segment"),
        ("https://shop.example/a%zz", "percent"),
        ("https://shop.example/ä", "percent"),
        ("https://shop.example/a b", "space"),
        ("https://shop.example.", "write shop.example"),
        ("https://[::ffff:10.0.0.1]", "write 10.0.0.1"),
        ("https://[0:0::1]", "write the address in its short form, [::1]"),
        ("https://" + "a" * 64, "no domain name"),
        ("https://" + ".".join(["a" * 60] * 5), "no domain name"),
    ],
)
def test_what_is_wrong_with_a_server_is_said(url, told):
    server, problems = read_server(url)
    assert server is None
    assert told in "; ".join(problems)


def test_everything_wrong_with_a_server_is_said_at_once():
    _, problems = read_server("https://a..b:0/x/../y")
    assert len(problems) == 3


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_servers(text):
    for url in (
        text,
        f"http://{text}",
        f"https://shop.example{text}",
        f"https://[{text}]",
        f"http://xn--{text}",
    ):
        server, problems = read_server(url)
        assert (server is None) == bool(problems)
        if server is not None:
            assert read_server(server.origin + server.path)[0] == server


@every_row(
    "path",
    ["/.", "/..", "/a/../b", "/a/%2e%2e/b", "/%2E/", "/a%2f..%2fb", "/%252e%252e", "/a\\..\\b", "/a%00"],
)
def test_paths_that_lead_elsewhere_are_known(path):
    assert leads_elsewhere(path)


@every_row("path", ["", "/", "/a.b/..c/d..", "/...", "/a%20b/100%25", "/a%2Fb"])
def test_plain_paths_lead_where_they_say(path):
    assert not leads_elsewhere(path)


def test_the_networks_are_written_without_host_bits():
    assert all(isinstance(ip_network(text), IPv4Network | IPv6Network) for text in REGISTRY)

"""Which addresses and host spellings exist, and which of them lead to the open internet. Pure.

The table is our own: `ipaddress.is_global` calls `64:ff9b::7f00:1`, `2002:7f00:1::`, multicast and more
global (3.11.7), and differs between Python versions. It follows the IANA special-purpose registries.
"""

import re
import unicodedata
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import unquote

import msgspec

Address = IPv4Address | IPv6Address

SPECIAL_V4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relay
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
GLOBAL_V6: Final = IPv6Network("2000::/3")
"""The only range of IPv6 handed out for the internet; everything else is special."""

SPECIAL_V6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # IETF protocol assignments: Teredo, benchmarks, AMT, AS112, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
METADATA: Final = (
    IPv4Network("169.254.0.0/16"),  # AWS, Azure, Google, Oracle, Tencent, Scaleway, and their DNS and time
    IPv4Network("100.100.100.200/32"),  # Alibaba
    IPv4Network("192.0.0.192/32"),  # Oracle, classic
    IPv4Network("168.63.129.16/32"),  # Azure's wire server; the address is a public one
    IPv6Network("fd00:ec2::/32"),  # AWS
    IPv6Network("fd20:ce::254/128"),  # Google
    IPv6Network("fd00:42::42/128"),  # Scaleway
    IPv6Network("fd00:c1::a9fe:a9fe/128"),  # Oracle
    IPv6Network("fe80::a9fe:a9fe/128"),  # OpenStack
)
"""Where clouds hand out credentials to whoever asks from inside. Needs a listing of the very address."""

_BAD_PORTS: Final = """
    1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79
    87 95 101 102 103 104 109 110 111 113 115 117 119 123 135 137 139 143 161 179
    389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989
    990 993 995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6379 6566 6665 6666 6667 6668 6669
    6679 6697 10080
"""  # https://fetch.spec.whatwg.org/#port-blocking
BAD_PORTS: Final = frozenset(map(int, _BAD_PORTS.split()))
"""Ports of services that would take an HTTP request for commands of their own."""

_NAT64: Final = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_TRANSLATED: Final = IPv6Network("::ffff:0:0:0/96")
_TEREDO: Final = IPv6Network("2001::/32")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_ISATAP: Final = frozenset(
    {b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe", b"\x01\x00\x5e\xfe", b"\x03\x00\x5e\xfe"}
)


def read_address(text: str) -> Address | None:
    """Return the address that a resolver's text means; IPv4-mapped becomes IPv4, a zone id is no address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        if address in _MAPPED:
            return IPv4Address(address.packed[12:])
    return address


def embedded(address: Address) -> tuple[IPv4Address, ...]:
    """Return every IPv4 address that a gateway might read out of an IPv6 address."""
    if isinstance(address, IPv4Address):
        return ()
    raw = address.packed
    found = []
    if any(address in network for network in (_NAT64, _MAPPED, _COMPATIBLE, _TRANSLATED)):
        found.append(raw[12:])
    elif address in _NAT64_LOCAL:  # RFC 6052 §2.2: the place depends on a prefix length we do not know
        found += [raw[6:8] + raw[9:11], raw[7:8] + raw[9:12], raw[9:13], raw[12:]]
    elif address in _SIX_TO_FOUR:
        found.append(raw[2:6])
    elif address in _TEREDO:  # server, and client with its bits flipped
        found += [raw[4:8], bytes(byte ^ 0xFF for byte in raw[12:])]
    if raw[8:12] in _ISATAP:
        found.append(raw[12:])
    return tuple(IPv4Address(four) for four in found)


def is_metadata(address: Address) -> bool:
    """Tell whether a cloud's metadata service may be behind this address, directly or through a gateway."""
    return any(one in network for one in (address, *embedded(address)) for network in METADATA)


def special(address: Address) -> str:
    """Return why this address is not on the open internet, or "" when it is."""
    if isinstance(address, IPv4Address):
        return next((f"in {network}" for network in SPECIAL_V4 if address in network), "")
    inner = embedded(address)
    if address in _NAT64:  # how an IPv6-only network reaches every IPv4 host, so the inner one decides
        return special(inner[0])
    if address not in GLOBAL_V6:
        return f"not in {GLOBAL_V6}"
    for network in SPECIAL_V6:
        if address in network:
            return f"in {network}"
    return next((f"holds {one}" for one in inner if special(one)), "")


class Server(msgspec.Struct, frozen=True):
    """Where a backend lives, in canonical spelling. `host` has brackets when it is an IPv6 literal.

    `path` is the base path without a slash at its end.
    """

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def origin(self) -> str:
        """Scheme, host and port as they begin every URL of this server; a default port is left out."""
        default = 443 if self.scheme == "https" else 80
        return f"{self.scheme}://{self.host}" + (f":{self.port}" if self.port != default else "")

    @property
    def literal(self) -> Address | None:
        """The address itself, when the host is one."""
        return read_address(self.host.strip("[]"))


_SERVER: Final = re.compile(r"(https?)://([^/?#\\@\s]*?)(?::(\d*))?(/[^?#\\\s]*)?", re.IGNORECASE)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_DOTS: Final = frozenset("\u3002\uff0e\uff61")  # what some resolvers read as a dot
_BASE_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*)*")


def read_server(url: str) -> tuple[Server | None, list[str]]:
    """Return the server that a URL means, or None and everything that is wrong with it.

    One spelling per host: what parsers read differently (`127.1`, `0x7f000001`, `①②⑦.⓪.⓪.①`, a trailing dot,
    `user@host`) is refused rather than understood. Only upper-case ASCII is taken for its lower case.
    """
    matched = _SERVER.fullmatch(url)
    if matched is None:
        return None, [_why_no_server(url)]
    scheme, host, port, path = matched[1].lower(), matched[2], matched[3], matched[4] or ""
    problems = [text for text in (_host_problem(host), _port_problem(port), _path_problem(path)) if text]
    if problems:
        return None, problems
    number = int(port) if port else {"http": 80, "https": 443}[scheme]
    return Server(scheme, host.lower(), number, path.rstrip("/")), []


def leads_elsewhere(path: str) -> bool:
    """Tell whether a path has a `.` or `..` segment as written, or for one who decodes it once or twice.

    URL parsers and the proxies before a backend would make another path of it (S40).
    """
    if "." not in path and "%" not in path:
        return False
    for _ in range(3):
        if any(segment in {".", ".."} for segment in path.replace("\\", "/").split("/")):
            return True
        path = unquote(path)
    return "\x00" in path


def _why_no_server(url: str) -> str:
    if not re.match(r"https?://", url, re.IGNORECASE):
        return "only http:// and https:// can be called"
    if "@" in url:
        return "user names in a URL are not taken: use the connection's `auth`"
    if "?" in url or "#" in url:
        return "a server has no query and no fragment"
    return "the URL holds a space, a control character or a backslash"


def _port_problem(port: str | None) -> str:
    if port is None or (port.isascii() and port == port.lstrip("0") and port and int(port[:6]) <= 65535):
        return ""
    return "the port is not a number from 1 to 65535, written without zeros in front"


def _path_problem(path: str) -> str:
    if not _BASE_PATH.fullmatch(path):
        return "the base path holds characters that must be percent-encoded"
    if leads_elsewhere(path):
        return "the base path holds a `.` or `..` segment"
    return ""


def _host_problem(host: str) -> str:
    """Return why this host is not the one spelling of what it names, or ""."""
    if not host:
        return "the host is missing"
    if host.startswith("["):
        return _literal_problem(host)
    if not host.isascii():
        return f"the host {host!r} is not ASCII: write an international name in its xn-- form"
    if "%" in host:
        return "the host is percent-encoded: write it plainly"
    return _name_problem(host.lower())


def _name_problem(host: str) -> str:
    labels = host.split(".")
    if re.fullmatch(r"\d+|0x[0-9a-f]*", labels[-1]):  # WHATWG: such a host is an IPv4 address or nothing
        plain = read_address(host) is not None
        return "" if plain else f"{host} is no IPv4 address in its plain form (four decimal numbers)"
    if host.endswith("."):
        return f"the host ends with a dot: write {host.rstrip('.') or 'a name'}"
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return f"the host {host!r} is no domain name"
    if not all(_plain_label(label) for label in labels):
        return f"the host {host!r} holds an invalid international (xn--) label"
    return ""


def _literal_problem(host: str) -> str:
    address = None
    if host.endswith("]") and "%" not in host:
        try:
            address = IPv6Address(host[1:-1])
        except ValueError:
            address = None
    if address is None:
        return "the host in brackets is no IPv6 address"
    if address in _MAPPED:
        return f"write {IPv4Address(address.packed[12:])} instead of an IPv4-mapped address"
    return "" if host == f"[{address}]" else f"write the address in its short form, [{address}]"


def _plain_label(label: str) -> bool:
    """Tell whether an `xn--` label says what it seems to: really foreign, and folding to nothing else."""
    if not label.startswith("xn--"):
        return True
    try:
        text = label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return False
    if (
        text.isascii()
        or not text.isprintable()
        or set(text) & _DOTS
        or unicodedata.normalize("NFKC", text).lower() != text
    ):
        return False
    return text.encode("punycode") == label[4:].encode("ascii")

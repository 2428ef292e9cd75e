"""Who really sent a request, when it came through proxies that we trust.

`X-Forwarded-For`, `-Proto` and `-Host` and `Forwarded` (RFC 7239) are believed only from a trusted address,
and only as far as the hops are trusted: anybody can write such a header. Where both kinds stand, the X- ones
count; a trusted proxy must therefore set or remove both. Nothing here does I/O.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple

Address = IPv4Address | IPv6Address

_HOST: Final = re.compile(r"(?:[0-9A-Za-z._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PAIR: Final = re.compile(r'\s*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)=(?:([^\s",;]*)|"((?:[^"\\]|\\.)*)")\s*(;|,|$)')


class Sender(NamedTuple):
    """What a request says about its way: the client's address, and what the client asked for."""

    peer: str
    scheme: str
    host: str


class Proxies:
    """The addresses (CIDR) whose word about a request's way is believed."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(
            ip_network(network, strict=False) for network in networks
        )

    def trusts(self, address: Address) -> bool:
        """Return whether `address` is one of ours."""
        return any(address.version == network.version and address in network for network in self._networks)

    def sender(self, peer: str, host: str, headers: Sequence[tuple[str, str]]) -> Sender:
        """Return who sent the request, given that `peer` is trusted."""
        hops, schemes, hosts = _said(headers)
        trusted = 1
        for hop in reversed(hops):
            address = read_address(hop)
            if address is None:
                break
            peer = str(address)
            if not self.trusts(address):
                break
            trusted += 1
        scheme = _entry(schemes, trusted).lower()
        named = _entry(hosts, trusted)
        return Sender(
            peer=peer,
            scheme=scheme if scheme in ("http", "https") else "http",
            host=named if _HOST.fullmatch(named) else host,
        )


def _said(headers: Sequence[tuple[str, str]]) -> tuple[list[str], list[str], list[str]]:
    """Return what the hops wrote, outermost first: addresses, schemes, hosts."""
    found = {"x-forwarded-for": "", "x-forwarded-proto": "", "x-forwarded-host": "", "forwarded": ""}
    for name, value in headers:
        if name in found:
            found[name] = f"{found[name]},{value}" if found[name] else value
    if found["forwarded"] and not (
        found["x-forwarded-for"] or found["x-forwarded-proto"] or found["x-forwarded-host"]
    ):
        return _standard(found["forwarded"])
    return (
        _list(found["x-forwarded-for"]),
        _list(found["x-forwarded-proto"]),
        _list(found["x-forwarded-host"]),
    )


def _standard(value: str) -> tuple[list[str], list[str], list[str]]:
    """Read a `Forwarded` header. One broken element makes all of it worthless."""
    elements: list[dict[str, str]] = [{}]
    position = 0
    while position < len(value):
        pair = _PAIR.match(value, position)
        if pair is None:
            return [], [], []
        quoted = pair[3]
        elements[-1][pair[1].lower()] = pair[2] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if pair[4] == ",":
            elements.append({})
        position = pair.end()
    return (
        [element.get("for", "") for element in elements],
        [element.get("proto", "") for element in elements],
        [element.get("host", "") for element in elements],
    )


def _list(value: str) -> list[str]:
    return [entry.strip() for entry in value.split(",")] if value else []


def _entry(entries: list[str], trusted: int) -> str:
    """Return the entry that the outermost trusted hop wrote; a single one was passed on by all of them."""
    return entries[max(0, len(entries) - trusted)] if entries else ""


def read_address(text: str) -> Address | None:
    """Read an address with or without a port; None for anything else (`unknown`, `_hidden`).

    An IPv4 address that came over IPv6 (`::ffff:…`) is an IPv4 address.
    """
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address

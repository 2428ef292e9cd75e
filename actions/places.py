"""Where the operations of a connection live: its own server, and those that a description gives operations.

Pure. Whether a server may be called is decided elsewhere; here is said which one it is.
"""

from collections.abc import Mapping

import msgspec

from actions.addresses import read_server
from actions.base import Finding
from actions.errors import Refused
from actions.serialize import expand_server
from actions.specs.model import Server, Spec


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the operations of a connection live.

    `url` is the base URL. With `own`, an operation that names servers of its own lives there; their URLs
    take `variables`. `parameters` are the values of the description's connection parameters, in plain text.
    """

    url: str
    own: bool = False
    variables: Mapping[str, str] = {}
    parameters: Mapping[str, str] = {}


def own_server(server: Server, base: str, variables: Mapping[str, str]) -> str:
    """Return the URL of an operation's own server; a relative one is relative to the connection's base."""
    known = {name: value for name, value in variables.items() if name in server.variables}
    url = expand_server(server, known)
    if "://" in url:
        place, problems = read_server(url)
        if place is None:
            raise Refused(f"the server {url[:200]!r} of the operation: " + "; ".join(problems))
        return place.origin + place.path
    origin = "/".join(base.split("/")[:3])
    return origin + url if url.startswith("/") else f"{base}/{url}"


def secret_values(spec: Spec, values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of a connection's parameters that nobody may see; of an unknown one neither."""
    shown = {name for name, one in spec.parameters.items() if one.kind not in ("secret", "oauth")}
    return tuple(value for name, value in values.items() if name not in shown)


def other_sites(name: str, spec: Spec, place: Place, base: str) -> list[Finding]:
    """Tell of other sites that a description sends operations to, and with them the login (S12).

    Hosts that end alike (`api.shop.example`, `files.shop.example`; `a.shop.co.uk`) count as one site. Where
    the connection names its server itself, no operation goes anywhere else.
    """
    if not place.own:
        return []
    known = _site(base)
    sites: dict[str, str] = {}
    for one in spec.operations.values():
        if not one.servers or (one.security and not any(one.security)):
            continue
        try:
            url = own_server(one.servers[0], base, place.variables)
        except Refused:
            continue  # its call says so
        if _site(url) != known:
            sites.setdefault("/".join(url.split("/")[:3]), one.id)
    return [
        Finding(
            severity="warning",
            code="credentials-elsewhere",
            message=f"{name}: the description sends {one} to {site}, and the login with it",
            fix="if that is not meant, say `server` in the connection: then all operations go there",
        )
        for site, one in list(sites.items())[:10]
    ]


def _site(url: str) -> tuple[str, ...]:
    server, _ = read_server("/".join(url.split("/")[:3]))
    if server is None:
        return (url,)
    if server.literal is not None:
        return (server.host,)
    labels = server.host.split(".")
    shared = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return tuple(labels[-3 if shared else -2 :])

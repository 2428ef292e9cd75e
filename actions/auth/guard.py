"""Sees to it that secrets go to a token server over TLS, or not beyond this machine and what is listed."""

from actions.addresses import read_address, read_server
from actions.auth.base import Fetch
from actions.base import Answer
from actions.egress import Egress
from actions.errors import Refused
from actions.transport import Request


def clear_problem(url: str, egress: Egress) -> str:
    """Return why nothing secret may be sent to this URL, "" when it may."""
    if url.startswith("https://"):
        return ""
    authority = url.partition("://")[2].partition("/")[0].partition("?")[0]
    place, _ = read_server(f"http://{authority}")
    if place is None or not url.startswith("http://"):
        return "a token URL is https://host/path"
    address = read_address(place.host.strip("[]"))
    if address.is_loopback if address is not None else place.host == "localhost":
        return ""
    for entry in egress.listed:
        if (
            address is not None
            and entry.network is not None
            and entry.covers(place.host, address, place.port)
        ):
            return ""
        if entry.network is None and entry.host == place.host and entry.port in (None, place.port):
            return ""
    return f"secrets are not sent over http:// to {place.host}: use https://, or list the host under `egress`"


def guarded(fetch: Fetch, egress: Egress) -> Fetch:
    """Return a fetch that sends nothing in the clear to where it should not go."""

    async def send(request: Request, deadline: float) -> Answer:
        problem = clear_problem(request.url, egress)
        if problem:
            raise Refused(f"auth: {problem}")
        return await fetch(request, deadline)

    return send

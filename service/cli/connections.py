"""Verbs around connections: how they are, trying them, logging in."""

import asyncio
import http.server
import sys
import time
import urllib.parse
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter
from typing_extensions import override

from service.cli.arguments import given_arguments
from service.cli.client import Unreachable, path_of
from service.cli.offline import opened
from service.cli.output import emit, line, say
from service.cli.place import Common, ask, settings
from service.errors import Invalid, Problem
from service.settings import Settings

CONNECTION_COLUMNS: Final = (
    "name", "state", "in_flight", "waiting", "held", "calls", "server", "reason",
)  # fmt: skip
LOGIN_WITHIN: Final = 600.0
"""Seconds that a login in a browser may take."""

Name = Annotated[str, Parameter(help="The connection's name.")]


def list_connections(*, common: Common = Common()) -> None:
    """List connections with their state, what is in flight, and what waits.

    Example: pointsman connections
    """
    _show(ask(common, lambda client: client.get("/connections")), common)


def _show(page: dict[str, Any], common: Common) -> None:
    """Print connections; in a table the state is everything that keeps calls back."""
    if common.output == "table":
        page = {**page, "items": [_in_a_line(item) for item in page["items"]]}
    emit(page, common.output, CONNECTION_COLUMNS)


def _in_a_line(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a connection as one line of a table."""
    stops = item["stopped_by"]
    return {
        **item,
        "state": ", ".join(stop["state"] for stop in stops) or item["state"],
        "reason": "; ".join(stop["reason"] for stop in stops) or item["reason"],
    }


def show_connection(connection: Name, *, common: Common = Common()) -> None:
    """Show a connection: its state, its logins and why each token was fetched, where calls differed.

    Example: pointsman connections show shop
    """
    emit(ask(common, lambda client: client.get(path_of("connections", connection))), common.output)


def try_connection(
    connection: Name,
    *,
    operation: Annotated[
        str, Parameter(help="The operation to call; absent: the declared one, or a GET that needs nothing.")
    ] = "",
    with_: Annotated[
        str, Parameter(name="--with", allow_leading_hyphen=True, help="Its inputs, as JSON text, @file or -.")
    ] = "{}",
    config: Annotated[
        Path | None, Parameter(name=["--config", "-c"], help="Where no instance runs: its configuration.")
    ] = None,
    common: Common = Common(),
) -> int:
    """Try whether a connection works, with an operation that changes nothing, and say what is wrong if not.

    Asks the running instance, or works from the configuration where none runs.
    Exit code 0: it works; 1: it does not.

    Example: pointsman connections test shop
    """
    arguments = given_arguments(with_)
    wanted = {"operation": operation, "with": arguments}
    try:
        report = ask(common, lambda client: client.post(path_of("connections", connection, "test"), wanted))
    except Unreachable:
        path = settings(config=config).config
        if not path.exists():
            raise
        made = settings(config=config, data=common.data)
        report = asyncio.run(_try_offline(made, connection, operation, arguments))
    if common.output == "table":
        _show_trial(report)
    else:
        emit(report, common.output)
    return 0 if report["state"] == "ok" else 1


async def _try_offline(
    made: Settings, name: str, operation: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    from service.usecases.logging_in import try_connection as attempt

    async with opened(made, name) as (planned, connector):
        return await attempt(
            name,
            connector,
            planned.spec,
            operation=operation,
            arguments=arguments,
            deadline=planned.config.limits.timeout.total_seconds(),
            now=time.time(),
        )


def _show_trial(report: Mapping[str, Any]) -> None:
    took = f" in {report['took_ms']} ms" if report["took_ms"] is not None else ""
    status = f"{report['status']}{took}" if report["status"] else "no answer"
    line(f"{report['connection']}: {report['state']}", style="bold")
    line(f"  {report['operation']} ({report['request']}, {report['chosen']}): {status}")
    for name in ("reason", "fix", "stopped"):
        if report.get(name):
            line(f"  {name}: {report[name]}")
    for login in report["logins"]:
        scheme = f" {login['scheme']}" if login["scheme"] else ""
        line(f"  login{scheme} ({login['kind']}): {login['state']} {login['reason']}".rstrip())


def log_in(
    connection: Name,
    *,
    scheme: Annotated[str, Parameter(help="The security scheme, where there are several.")] = "",
    redirect: Annotated[
        str,
        Parameter(
            help="The redirect URL registered with the provider; absent: the configured one, or any here."
        ),
    ] = "",
    paste: Annotated[
        bool, Parameter(help="Do not listen: ask for the address that the browser ends at.")
    ] = False,
    common: Common = Common(),
) -> None:
    """Log in to a backend in a browser; the running instance keeps the tokens, sealed.

    The browser is sent back to this machine. Where it runs somewhere else, use --paste and copy the address
    that it ends at, whether or not a page is shown there.

    Example: pointsman connections login shop
    """

    def begin(back: str) -> dict[str, Any]:
        wanted = {"scheme": scheme, "redirect": back}
        begun: dict[str, Any] = ask(
            common, lambda client: client.post(path_of("connections", connection, "login"), wanted)
        )
        return begun

    listener: _Listener | None = None
    try:
        try:
            begun = begin(redirect)
        except Invalid:
            if redirect or paste:
                raise
            listener = _Listener(0)  # no redirect is configured: take any port
            begun = begin(listener.redirect)
        back = urllib.parse.urlsplit(begun["redirect"])
        if listener is None and not paste and back.hostname in ("127.0.0.1", "localhost") and back.port:
            listener = _Listener(back.port)
        say("open this address in a browser:")
        line(begun["url"])
        if listener is not None and sys.stdin.isatty():
            webbrowser.open(begun["url"])
        returned = _brought(listener, begun)
    finally:
        if listener is not None:
            listener.close()
    emit(ask(common, lambda client: client.post("/login/finish", {"query": returned})), common.output)


def _brought(listener: "_Listener | None", begun: dict[str, Any]) -> dict[str, str]:
    redirect = begun["redirect"]
    if listener is not None:
        say(f"waiting for it to come back to {redirect} (Ctrl-C to give up)")
        return listener.wait(LOGIN_WITHIN, _query_of(begun["url"]).get("state", ""))
    say(f"the browser will end at {redirect}?…; paste that whole address here:")
    return _query(sys.stdin.readline().strip())


def _query(address: str) -> dict[str, str]:
    found = _query_of(address)
    if "state" not in found:
        fix = "it looks like http://…/callback?code=…&state=…"
        problem = Problem(message="this is not the address that a login ends at", code="usage", fix=fix)
        raise Invalid([problem])
    return found


def _query_of(address: str) -> dict[str, str]:
    """Return the query of an address; where the address is a page's own (`#/login?…`), that behind it."""
    split = urllib.parse.urlsplit(address)
    return dict(urllib.parse.parse_qsl(split.query or split.fragment.partition("?")[2]))


class _Listener:
    """Takes one redirect on the loopback (RFC 8252 §7.3).

    Any page in the browser can send requests here: only the one with the state that was given out counts.
    """

    def __init__(self, port: int) -> None:
        self.returned: dict[str, str] = {}
        self._state = ""
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                split = urllib.parse.urlsplit(self.path)
                found = dict(urllib.parse.parse_qsl(split.query))
                fits = bool(found.get("state")) and found["state"] == listener._state
                text = b"You may close this page; the terminal says how it went." if fits else b"Not here."
                self.send_response(200 if fits else 404)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
                if fits:
                    listener.returned.update(found)

            @override
            def log_message(self, format: str, *args: Any) -> None:
                """Log nothing: the address holds a code."""

        self._server = http.server.HTTPServer(("127.0.0.1", port), Handler)
        self.redirect = f"http://127.0.0.1:{self._server.server_port}/callback"

    def wait(self, seconds: float, state: str) -> dict[str, str]:
        """Return what the browser has brought for a state. Raise Invalid when it does not come."""
        self._state = state
        until = time.monotonic() + seconds
        while not self.returned:
            self._server.timeout = until - time.monotonic()
            if self._server.timeout <= 0:
                raise Invalid([Problem(message="nobody logged in within ten minutes", code="too-late")])
            self._server.handle_request()
        return self.returned

    def close(self) -> None:
        self._server.server_close()


def release_connection(connection: Name, *, common: Common = Common()) -> None:
    """Let a connection through again that was held because its credentials were not taken.

    One that was paused by hand needs `resume`.

    Example: pointsman connections release shop
    """
    path = path_of("connections", connection, "release")
    emit(ask(common, lambda client: client.post(path)), common.output)


def pause_connection(
    connection: Name,
    *,
    reason: Annotated[str, Parameter(help="Why; it is said of the deliveries that wait.")] = "",
    common: Common = Common(),
) -> None:
    """Call nothing new on a connection, until `resume`; it outlives a restart of the instance.

    Its deliveries wait, none is lost, and the time does not count against their retry time. What is in flight
    ends as it may. `call`, `connections test` and logins go on working.

    Example: pointsman connections pause shop --reason "the shop moves"
    """
    path = path_of("connections", connection, "pause")
    _order(ask(common, lambda client: client.post(path, {"reason": reason})), common)


def resume_connection(connection: Name, *, common: Common = Common()) -> None:
    """Call again on a connection that was paused: what has waited is delivered.

    Example: pointsman connections resume shop
    """
    path = path_of("connections", connection, "resume")
    _order(ask(common, lambda client: client.post(path)), common)


def _order(after: dict[str, Any], common: Common) -> None:
    """Show what became of a connection."""
    if common.output == "table":
        _show({"items": [after], "next": ""}, common)
    else:
        emit(after, common.output)


CONNECTIONS: Final[dict[str, Callable[..., Any]]] = {
    "list": list_connections,
    "show": show_connection,
    "test": try_connection,
    "login": log_in,
    "pause": pause_connection,
    "resume": resume_connection,
    "release": release_connection,
}

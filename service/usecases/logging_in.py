"""Logging in to a backend by hand, and trying whether a connection works: what API and command line share."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from actions.auth import Auth, BrowserLogin, login_of
from actions.base import Answer, Connector
from actions.errors import ActionError, Refused
from actions.hiding import without_secrets
from actions.specs.model import Operation, Spec
from service import crashpoints
from service.errors import Conflict, Invalid, NotFound, Problem, Unavailable, nearest
from service.outcome import judge
from service.usecases.connecting import connection_of, find_operation, list_connections
from service.usecases.desk import Desk
from service.usecases.logins import logins, states
from service.usecases.messages import instant
from service.usecases.standing import stopped

_NAMES: Final = (
    "health",
    "ping",
    "status",
    "version",
    "me",
    "whoami",
    "userinfo",
    "user",
    "account",
    "profile",
)
"""What operations that only look are called, the best first."""


_SAFE: Final = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing: whatever a description declares, trying a connection sends no other."""

_ANOTHER: Final = "name another operation with --operation"
_WRONG_PLACE: Final = "check `server` of the connection: base path and version"
_MEANINGS: Final = {
    401: ("unauthorized", "the credentials are not taken: check `auth` of the connection"),
    403: ("forbidden", "the credentials are known but may not do this: check scopes and rights"),
    404: ("failing", _WRONG_PLACE),
    405: ("failing", _WRONG_PLACE),
    429: ("limited", "the backend wants fewer calls: set limits.rate"),
}


async def begin_login(desk: Desk, connection: str, *, scheme: str, redirect: str) -> dict[str, Any]:
    """Begin a person's login: return the address for a browser. Raise NotFound, Conflict, Invalid."""
    login = _browser_login(desk, connection, scheme)
    try:
        begun = await login.begin(redirect)
    except Refused as error:
        raise Invalid([Problem(message=str(error), code="login-refused")]) from error
    except ActionError as error:
        raise Unavailable(str(error)) from error
    return {"url": begun.url, "redirect": begun.redirect, "expires_at": instant(int(begun.expires_at * 1000))}


async def finish_login(desk: Desk, returned: Mapping[str, str]) -> dict[str, Any]:
    """Take what a redirect has brought; its state says for which connection. Raise Invalid, NotFound."""
    connection, scheme = login_of(returned.get("state", ""))
    if not connection:
        reason = "no `state` came back, so it belongs to no login: give all that the redirect brought"
        raise Invalid([Problem(message=reason, code="login-refused", pointer="/query/state")])
    login = _browser_login(desk, connection, scheme)
    try:
        await login.finish(returned)
    except Refused as error:
        raise Invalid([Problem(message=str(error), code="login-refused")]) from error
    except ActionError as error:
        raise Unavailable(str(error)) from error
    crashpoints.reached("login.finished")
    found, _ = connection_of(desk, connection)
    if found.hold_reason:
        desk.running().release(connection)
    return {"connection": connection, "scheme": scheme, "state": "ready"}


def _browser_login(desk: Desk, connection: str, scheme: str) -> BrowserLogin:
    _, connector = connection_of(desk, connection)
    auth = connector.login()
    known = auth.browser_logins() if isinstance(auth, Auth) else {}
    if not known:
        raise Conflict(
            f"connection {connection} has no login that a person makes; it needs `auth: {{oauth2: "
            "{grant: authorization_code, …}}`"
        )
    if not scheme and len(known) == 1:
        return next(iter(known.values()))
    if scheme not in known:
        near = nearest(scheme, list(known))
        meant = f"; did you mean {near}?" if near else f"; it has {', '.join(known)}"
        raise NotFound(f"connection {connection} has no such login" + meant)
    return known[scheme]


async def try_connection(
    name: str,
    connector: Connector,
    spec: Spec,
    *,
    operation: str = "",
    arguments: Mapping[str, Any] | None = None,
    deadline: float,
    now: float,
) -> dict[str, Any]:
    """Call an operation that changes nothing and say whether the connection works, and if not, why.

    The one named, the one that the description declares for this, or a GET that needs nothing. Raise Invalid
    where there is none, or where the one named would change something.
    """
    one, given, how = _chosen(name, spec, operation, arguments)
    report: dict[str, Any] = {
        "connection": name,
        "operation": one.id,
        "chosen": how,
        "request": f"{one.method} {one.path}",
        "status": None,
        "took_ms": None,
    }
    findings = [finding for finding in await connector.check() if finding.severity == "error"]
    if findings:
        reason, fix = findings[0].message, findings[0].fix
        return {
            **report,
            "state": "refused",
            "reason": reason,
            "fix": fix,
            "logins": logins(connector),
        }
    try:
        prepared = connector.prepare(one.id, given, key="", at=now)
        answer = await connector.call(prepared, deadline=deadline, headers={})
        if answer.status == 401 and await connector.login_again():
            answer = await connector.call(prepared, deadline=deadline, headers={})
    except ActionError as error:
        state, reason, fix = _failure(error, connector)
    else:
        report |= {"status": answer.status, "took_ms": round(answer.elapsed * 1000, 1)}
        state, reason, fix = _verdict(without_secrets(answer, connector.secrets()), now)
    return {**report, "state": state, "reason": reason, "fix": fix, "logins": logins(connector)}


def _chosen(
    name: str, spec: Spec, wanted: str, arguments: Mapping[str, Any] | None
) -> tuple[Operation, Mapping[str, Any], str]:
    if wanted:
        operation = find_operation(spec, wanted, arguments)
        if operation.method not in _SAFE:
            text = (
                f"{operation.id} is {operation.method or 'of no method'}: trying a connection changes nothing"
            )
            fix = f"pointsman call {name}.{operation.id} does what you say"
            raise Invalid([Problem(message=text, code="changes-something", found=wanted, fix=fix)])
        return operation, arguments or {}, "named"
    declared = spec.find(spec.test.name) if spec.test is not None else None
    if spec.test is not None and declared is not None and declared.method in _SAFE:
        return declared, {**spec.test.arguments, **(arguments or {})}, "declared by the description"
    safe = [one for one in spec.operations.values() if _needs_nothing(one)]
    if not safe:
        text = "the description declares no operation to try, and has no GET that needs nothing"
        fix = f"name one: pointsman connections test {name} --operation … --with …"
        raise Invalid([Problem(message=text, code="no-test-operation", fix=fix)])
    return min(safe, key=_rank), arguments or {}, "a GET that needs nothing"


def _needs_nothing(one: Operation) -> bool:
    required = any(parameter.required for parameter in one.parameters)
    body = one.body is not None and one.body.required
    return one.method == "GET" and not (required or body or one.problem or one.deprecated or one.needs_code)


def _rank(one: Operation) -> tuple[int, int, str]:
    words = one.path.lower().rpartition("/")[2]
    named = next((place for place, word in enumerate(_NAMES) if word in words), len(_NAMES))
    return named, len(one.path), one.id


def _verdict(answer: Answer, now: float) -> tuple[str, str, str]:
    if answer.status < 300:
        return "ok", "", ""
    other = "the backend has trouble of its own" if answer.status >= 500 else _ANOTHER
    state, fix = _MEANINGS.get(answer.status, ("failing", other))
    return state, judge(answer, {}, now).detail, fix


def _failure(error: ActionError, connector: Connector) -> tuple[str, str, str]:
    for one in states(connector):
        if one.phase == "required":
            return "authorization-required", one.reason or str(error), one.fix
        if one.phase == "failing":
            return (
                "login-failing",
                one.reason or str(error),
                one.fix or "the token server cannot be asked now",
            )
    if isinstance(error, Refused):
        return "refused", str(error), ""
    return "unreachable", str(error), "check `server`, the network, and whether the backend is up"


async def try_running(
    desk: Desk, connection: str, *, operation: str, arguments: Mapping[str, Any], now: float
) -> dict[str, Any]:
    """Try a connection of a running instance, as `try_connection`. Raise NotFound.

    `stopped` tells what keeps its deliveries back, a pause for one: it keeps nobody from trying.
    """
    found, connector = connection_of(desk, connection)
    spec = desk.plan().connections[connection].spec
    within = found.limits.timeout * 3
    try:
        async with asyncio.timeout(within):
            report = await try_connection(
                connection,
                connector,
                spec,
                operation=operation,
                arguments=arguments,
                deadline=found.limits.timeout,
                now=now,
            )
    except TimeoutError:
        raise Unavailable(f"trying {connection} took longer than {within:.0f} s") from None
    return {**report, "stopped": stopped(found)}


async def show_connection(desk: Desk, name: str) -> dict[str, Any]:
    """Return everything there is to know of a connection. Raise NotFound."""
    _, connector = connection_of(desk, name)
    listed = await list_connections(desk)
    shown = next(one for one in listed["items"] if one["name"] == name)
    planned = desk.plan().connections[name]
    return {
        **shown,
        "connector": planned.config.connector,
        "servers": [one.url for one in planned.spec.servers],
        "logins": logins(connector),
        "differences": [
            {
                "operation": one.operation,
                "side": one.side,
                "looked": one.looked,
                "differed": one.differed,
                "last": instant(int(one.at * 1000)),
                "status": one.status or None,
                "samples": one.samples,
            }
            for one in connector.differences()
        ],
    }

"""Makes the connector of a connection from its configuration. It opens nothing and calls nothing."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pkgutil import resolve_name
from typing import Any

from pydantic import SecretStr

from actions import CONNECTORS, SCHEMES
from actions.auth import (
    Auth,
    Bearer,
    Described,
    LoginContext,
    NoKeeper,
    TokenKeeper,
    clear_problem,
    described,
    guarded,
    read_auth,
)
from actions.base import Connector, Reached, unarmed
from actions.cloudevents import EventStyle
from actions.drift import Drift
from actions.egress import Egress, Resolver, read_egress
from actions.engines.tls import trust
from actions.errors import Refused
from actions.hooks import Hook, HookLimits
from actions.origins import Certificates, HTTPLimits, make_origins
from actions.places import Place
from actions.specs.model import Spec
from actions.transport import EngineSettings
from service.config.backends import EventsConfig
from service.config.secrets import PLACEHOLDER
from service.parameters import chosen_values
from service.planned import PlannedConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class PEM:
    """The text of the files of a connection and its connector; empty where there is none."""

    ca: bytes = b""
    cert: bytes = b""
    key: bytes = b""
    code: bytes = b""


def make_connector(
    planned: PlannedConnection,
    spec: Spec,
    pem: PEM,
    *,
    resolver: Resolver | None = None,
    tokens: TokenKeeper | None = None,
    reached: Reached = unarmed,
) -> Connector:
    """Make the connector of a connection for a description: the one it has now, or an older one.

    `tokens` keeps what logins must not lose; absent: such logins are not made. Raise
    `actions.errors.Refused` with every reason when the connection can never work.
    """
    kind = SCHEMES[planned.server.partition("://")[0]]
    make: Callable[..., Connector] = resolve_name(CONNECTORS[kind])
    egress = read_egress(planned.config.egress)
    if kind == "http":
        options = _http(planned, spec, pem, egress, resolver, tokens or NoKeeper(), reached)
    else:
        options = {"server": planned.server, "egress": egress, "resolver": resolver}
        options |= _bus(kind, planned, pem)
    return make(planned.name, spec, **options)


def _http(
    planned: PlannedConnection,
    spec: Spec,
    pem: PEM,
    egress: Egress,
    resolver: Resolver | None,
    tokens: TokenKeeper,
    reached: Reached,
) -> dict[str, Any]:
    config = planned.config
    if config.events != EventsConfig():
        raise Refused("`events` is for Kafka and RabbitMQ: an HTTP call carries what its operation says")
    origins = make_origins(
        planned.name,
        egress=egress,
        limits=HTTPLimits(
            in_flight=config.limits.in_flight,
            # Clearly before the call's deadline: then it is sure that nothing was sent.
            connect_timeout=min(5.0, 0.8 * config.limits.timeout.total_seconds()),
            max_answer_bytes=config.limits.max_answer,
        ),
        certificates=Certificates(ca=pem.ca, identity=_identity(pem)),
        engine=config.engine,
        resolver=resolver,
    )
    context = LoginContext(
        name=planned.name,
        fetch=guarded(origins.fetch, egress),
        tokens=tokens,
        clock=time.time,
        reached=reached,
    )
    values = chosen_values(config, spec)
    known = described(spec, values, planned.server, partial(clear_problem, egress=egress))
    place = Place(
        url=planned.server, own=config.server is None, variables=config.variables, parameters=values
    )
    return {
        "server": place,
        "auth": _login(planned, known, context),
        "origins": origins,
        "reached": reached,
        **_hook(planned, pem),
        "drift": Drift(spec, arguments=config.validate_.arguments, answers=config.validate_.answers),
    }


def _hook(planned: PlannedConnection, pem: PEM) -> dict[str, Any]:
    connector = planned.connector
    if connector.code is None:
        return {}
    try:
        source = pem.code.decode()
    except UnicodeDecodeError as error:
        raise Refused(f"the hook {connector.code} is not UTF-8 text") from error
    limits = HookLimits(seconds=connector.code_timeout.total_seconds())
    return {"hook": Hook(connector.code, source, limits=limits), "hooked": connector.code_for}


def _login(planned: PlannedConnection, known: Described, context: LoginContext) -> Auth:
    """Return the login of a connection. Raise Refused; the pointers begin at the connection."""
    config = planned.config.auth
    login = revealed(config.model_dump(by_alias=True)) if config is not None else None
    if login is not None and (login.get("basic") or {}).get("mechanism") is not None:
        raise Refused("auth: `mechanism` is for Kafka only")
    if login is not None and _without_key(login):
        return Bearer(PLACEHOLDER)
    try:
        return read_auth(login, known, context)
    except Refused as error:
        problems = tuple((f"/auth{pointer}", text) for pointer, text in error.problems)
        raise Refused(str(error), problems) from None


def _without_key(login: Mapping[str, Any]) -> bool:
    """Tell whether a key that signs is missing here: a check runs where the secrets are not."""
    parts = [login, *(login.get("schemes") or {}).values()]
    keys = (part.get("jwt") or (part.get("oauth2") or {}).get("assertion") or {} for part in parts)
    return any(key.get("key") == PLACEHOLDER for key in keys)


def _bus(kind: str, planned: PlannedConnection, pem: PEM) -> dict[str, Any]:
    config = planned.config
    events = config.events
    settings = EngineSettings(name=planned.name, host="", ca_pem=pem.ca, identity_pem=_identity(pem))
    options: dict[str, Any] = {
        "login": None,
        "context": partial(trust, settings),
        "style": EventStyle(mode=events.mode, prefix=events.prefix, source=events.source),
    }
    if kind == "kafka":
        if events.prefix != EventsConfig().prefix:
            raise Refused("events: `prefix` is for RabbitMQ only: in Kafka it is always ce_")
        options["timeout"] = config.limits.timeout.total_seconds()
    if config.auth is not None:
        basic = config.auth.basic
        if basic is None:
            raise Refused("auth: a bus takes `basic: {username, password}` and nothing else")
        password = basic.password.get_secret_value()
        if kind == "rabbitmq" and basic.mechanism is not None:
            raise Refused("auth: `mechanism` is for Kafka only")
        options["login"] = (basic.username, password, *((basic.mechanism or "PLAIN",) * (kind == "kafka")))
    return options


def _identity(pem: PEM) -> bytes:
    """Return our certificate and its key as one text; empty where there is none."""
    return pem.cert + b"\n" + pem.key if pem.cert else b""


def revealed(value: Any) -> Any:
    """Return a dumped model with its secrets in plain text: for connectors and hashes, never to be shown."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, dict):
        return {key: revealed(item) for key, item in value.items()}
    return value


def config_digest(planned: PlannedConnection, pem: PEM) -> str:
    """Return a hash over all that could make a held connection work again, secrets included."""
    shown = revealed(planned.config.model_dump(mode="python"))
    whole = repr((planned.server, shown, pem, planned.connector.code_for))
    return hashlib.blake2b(whole.encode(), digest_size=16, key=b"connection").hexdigest()

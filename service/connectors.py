"""Makes the connector of a connection from its configuration. It opens nothing and calls nothing."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from pydantic import SecretStr

from actions import CONNECTORS
from actions.auth import read_auth
from actions.base import Connector
from actions.egress import Resolver, read_egress
from actions.http import Certificates, HTTPLimits
from actions.specs.model import Spec
from service.plan import PlannedConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class PEM:
    """The text of a connection's certificate files; empty where there is none."""

    ca: bytes = b""
    cert: bytes = b""
    key: bytes = b""


def make_connector(
    planned: PlannedConnection, spec: Spec, pem: PEM, *, resolver: Resolver | None = None
) -> Connector:
    """Make the connector of a connection for a description: the one it has now, or an older one.

    Raise `actions.errors.Refused` with every reason when the connection can never work.
    """
    config = planned.config
    login = revealed(config.auth.model_dump(by_alias=True)) if config.auth is not None else None
    make: Callable[..., Connector] = resolve_name(CONNECTORS["http"])
    return make(
        planned.name,
        spec,
        server=planned.server,
        auth=read_auth(login, spec.security_schemes),
        egress=read_egress(config.egress),
        limits=HTTPLimits(
            in_flight=config.limits.in_flight,
            # Clearly before the call's deadline: then it is sure that nothing was sent.
            connect_timeout=min(5.0, 0.8 * config.limits.timeout.total_seconds()),
            max_answer_bytes=config.limits.max_answer,
        ),
        certificates=Certificates(ca=pem.ca, identity=pem.cert + b"\n" + pem.key if pem.cert else b""),
        engine=config.engine,
        resolver=resolver,
    )


def revealed(value: Any) -> Any:
    """Return a dumped model with its secrets in plain text: for connectors and hashes, never to be shown."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {key: revealed(item) for key, item in value.items()}
    return value


def config_digest(planned: PlannedConnection, pem: PEM) -> str:
    """Return a hash over all that could make a held connection work again, secrets included."""
    shown = planned.config.model_dump(mode="python")
    return hashlib.blake2b(
        repr((planned.server, revealed(shown), pem)).encode(), digest_size=16, key=b"connection"
    ).hexdigest()

"""The settings of every connection to a cluster: TLS, login, time limits. Opens nothing."""

import ssl
from typing import TypedDict

from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from triggers.kafka.config import KafkaConfig, SASLConfig


class Link(TypedDict):
    """What `aiokafka.conn.create_conn` takes beside an address."""

    client_id: str
    request_timeout_ms: int
    security_protocol: str
    ssl_context: ssl.SSLContext | None
    max_idle_ms: int
    sasl_mechanism: str | None
    sasl_plain_username: str | None
    sasl_plain_password: str | None


def link(config: KafkaConfig, client_id: str, context: ssl.SSLContext | None) -> Link:
    """Return the settings of a connection of our own."""
    sasl = config.sasl
    protocol = ("SASL_" if sasl else "") + ("SSL" if context else "PLAINTEXT")
    return Link(
        client_id=client_id,
        request_timeout_ms=int(config.request_timeout.total_seconds() * 1000),
        security_protocol=protocol,
        ssl_context=context,
        max_idle_ms=9 * 60 * 1000,  # a broker drops idle connections after ten minutes
        sasl_mechanism=sasl.mechanism if sasl else None,
        sasl_plain_username=sasl.username if sasl else None,
        sasl_plain_password=sasl.password.get_secret_value() if sasl else None,
    )


def broker_security(sasl: SASLConfig | None, context: ssl.SSLContext | None) -> BaseSecurity:
    """Return the same for FastStream."""
    encrypted = context is not None
    if sasl is None:
        return BaseSecurity(ssl_context=context, use_ssl=encrypted)
    kinds = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    return kinds[sasl.mechanism](
        username=sasl.username,
        password=sasl.password.get_secret_value(),
        ssl_context=context,
        use_ssl=encrypted,
    )

"""The settings of the process: where it keeps data, where it listens, how much it takes.

Every setting is also an environment variable `POINTSMAN_…`. What the service does (sources, rules) stands
in `pointsman.yaml`, not here.
"""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _words(value: object) -> object:
    """Split `a, b`: how a list is written in a variable."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
"""Several words; in a variable they are separated by commas."""


class Settings(BaseSettings):
    """What one process needs to know before it reads its configuration."""

    model_config = SettingsConfigDict(
        env_prefix="POINTSMAN_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    config: Path = Field(default=Path("pointsman.yaml"), description="The configuration file.")
    data: Path = Field(
        default=Path("pointsman-data"), description="The data directory: the store and the admin token."
    )
    host: str = Field(default="127.0.0.1", description="Address that webhooks come to.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port that webhooks come to.")
    admin_host: str = Field(default="127.0.0.1", description="Address of the admin API.")
    admin_port: int = Field(default=8081, ge=0, le=65535, description="Port of the admin API.")
    trusted_proxies: Words = Field(
        default=(), description="CIDRs of proxies whose X-Forwarded-* and Forwarded headers are believed."
    )
    admin_hosts: Words = Field(
        default=("127.0.0.1", "localhost", "[::1]"),
        description="Values of the Host header that the admin API answers to, without the port.",
    )
    max_connections: int = Field(default=4096, ge=1, description="Most ingest connections at once.")
    max_in_memory: int = Field(
        default=4096, ge=16, description="Most deliveries that wait in memory; the rest waits in the store."
    )
    queue_age: float = Field(
        default=2.0, gt=0, description="Seconds an entry may wait for its commit before webhooks answer 503."
    )
    min_free_bytes: int = Field(
        default=64 * 1024 * 1024, ge=0, description="Free disk space below which webhooks answer 503."
    )
    max_description_bytes: int = Field(
        default=50 * 1024 * 1024, ge=1, le=1024**3, description="Most bytes of one file of a description."
    )
    max_operations: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Most operations of a description that can be called."
    )
    retention_days: float = Field(default=30, gt=0, description="Days that ended deliveries are kept.")
    identity_days: float = Field(default=14, gt=0, description="Days that a message's identity is known.")
    grace: float = Field(default=20.0, ge=0, description="Seconds that a stop waits for calls in flight.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error."
    )
    log_format: Literal["text", "json", "auto"] = Field(
        default="auto", description="text, json, or auto (text on a terminal)."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ip_network(network, strict=False)
        return value

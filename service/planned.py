"""The descriptions and connections of a configuration, built: what rules call, and where it lives.

Whatever is wrong is a problem with its JSON pointer. No network, no secret value.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from actions import SCHEMES
from actions.errors import Refused
from actions.serialize import expand_server
from actions.specs.model import Server, Spec, Variable
from service.config.backends import ConnectionConfig
from service.config.connectors import ConnectorConfig
from service.config.model import Configuration
from service.descriptions import DEFAULT, Bounds, read_pinned
from service.errors import Problem
from service.filtering import Filter
from service.parameters import check_parameters
from service.rules.mapping import escape
from service.rules.model import Pin

_SERVER_OF: Final = {
    "http": "https://host/base",
    "kafka": "kafka://host:9092",
    "rabbitmq": "amqp://host:5672/vhost",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedConnection:
    """A connection with the description it uses: enough to make its connector."""

    name: str
    config: ConnectionConfig
    connector: ConnectorConfig
    spec: Spec
    spec_digest: str
    server: str
    versions: Mapping[str, Pin]


def versioned(name: str, version: str) -> str:
    """Return what a version of a connector, or of a connection's description, is known by."""
    return f"{name}@{version}"


def pins(connections: Mapping[str, PlannedConnection]) -> dict[str, Pin]:
    """Return every description that steps may be performed with."""
    pins = {name: Pin(one.spec_digest, one.spec) for name, one in connections.items()}
    for name, one in connections.items():
        pins.update({versioned(name, version): pin for version, pin in one.versions.items()})
    return pins


class Planning:
    """Builds the descriptions and connections of one configuration; `problems` is where problems go."""

    def __init__(
        self,
        configuration: Configuration,
        files: Mapping[str, bytes],
        problems: list[Problem],
        bounds: Bounds = DEFAULT,
    ) -> None:
        self.configuration = configuration
        self.files = files
        self.problems = problems
        self.bounds = bounds
        self.whole: dict[str, Spec] = {}

    def specs(self) -> dict[str, Pin]:
        """Read the description of every connector, and its earlier versions under `name@version`.

        They hold the operations that the connector wants; the description itself goes into `whole`.
        """
        specs: dict[str, Pin] = {}
        for name, config in self.configuration.connectors.items():
            pointer = f"/connectors/{escape(name)}"
            wanted = {name: (f"{pointer}/spec", config.title)}
            for version, path in config.usable.items():
                wanted[versioned(name, version)] = (f"{pointer}/versions/{escape(version)}", path)
            read: dict[str, Pin] = {}
            for key, (place, title) in wanted.items():
                pin = self._spec(place, title, self.files.get(key))
                if pin is not None:
                    read[key] = pin
            if name in read:
                self.whole[name] = read[name].spec
            specs |= self._wanted(f"{pointer}/operations", config, read, sound=read.keys() == wanted.keys())
        return specs

    def _wanted(
        self, pointer: str, config: ConnectorConfig, read: Mapping[str, Pin], *, sound: bool
    ) -> Mapping[str, Pin]:
        """Return the descriptions of a connector with the operations that it wants.

        Not `sound`: some could not be read, so a name that seems to be of nothing may stand there.
        """
        if config.operations is None:
            return read
        chosen = Filter(config.operations)
        if sound:
            self.problems += chosen.idle((pin.spec for pin in read.values()), pointer)
        mark = repr((config.operations.include, config.operations.exclude)).encode()
        kept = {}
        for key, pin in read.items():
            spec = chosen.of(pin.spec)
            if spec.operations:
                digest = hashlib.blake2b(mark, digest_size=16, key=pin.digest.encode()).hexdigest()
                kept[key] = Pin(digest, spec)
            else:
                of = f" of version {key.partition('@')[2]}" if "@" in key else ""
                message = f"nothing is left{of}: none of {len(pin.spec.operations)} operations is wanted"
                self._problem(pointer, message, "no-operation")
        return kept

    def _spec(self, pointer: str, title: str, content: bytes | None) -> Pin | None:
        if content is None:
            self._problem(pointer, "the description cannot be read", "no-spec", found=title)
            return None
        spec = read_pinned(title, content, self.bounds)
        for finding in spec.findings:
            if finding.severity == "info":
                continue
            place = f"{finding.file or title}:{finding.line}:{finding.column}" if finding.line else title
            self._problem(
                pointer,
                f"{place}: {finding.message}",
                finding.code,
                severity=finding.severity if not spec.operations else "warning",
                fix=finding.fix,
            )
        if spec.operations:
            cut = any(finding.code == "too-many-operations" for finding in spec.findings)
            # The same text with fewer operations is another description to what runs.
            bound = str(self.bounds.operations).encode() if cut else b""
            return Pin(hashlib.blake2b(content, digest_size=16, key=bound).hexdigest(), spec)
        if not any(finding.severity == "error" for finding in spec.findings):
            self._problem(pointer, "the description has no operation", "no-operation", found=title)
        return None

    def connections(self, specs: Mapping[str, Pin]) -> dict[str, PlannedConnection]:
        """Return every connection that can be made, by name."""
        connections = {}
        for name, config in self.configuration.connections.items():
            pointer = f"/connections/{escape(name)}"
            if config.connector not in self.configuration.connectors:
                continue  # said by the configuration's own check
            if config.connector not in specs:
                continue  # said above
            spec = specs[config.connector].spec
            server = self._server(pointer, config, spec)
            if server is None:
                continue
            self.problems += check_parameters(pointer, config, spec)
            connections[name] = PlannedConnection(
                name=name,
                config=config,
                connector=self.configuration.connectors[config.connector],
                spec=spec,
                spec_digest=specs[config.connector].digest,
                server=server,
                versions={
                    version: specs[key]
                    for version in self.configuration.connectors[config.connector].usable
                    if (key := versioned(config.connector, version)) in specs
                },
            )
        return connections

    def _server(self, pointer: str, config: ConnectionConfig, spec: Spec) -> str | None:
        server = _server(config, spec)
        if server is None:
            told = next((one.fix for one in spec.findings if one.code == "no-server" and one.fix), "")
            fix = "say `server:` in the connection" + (f"; {told}" if told else "")
            self._problem(pointer, "the description names no server", "no-server", fix=fix)
            return None
        try:
            url = expand_server(server, _variables(config, spec, server))
        except Refused as error:
            for where, text in error.problems or (("", str(error)),):
                self._problem(f"{pointer}/variables{where}", text, "server-variable")
            return None
        kind = SCHEMES.get(url.partition("://")[0])
        if kind is None:
            self._problem(
                pointer,
                "the description's server is not a whole URL",
                "relative-server",
                found=url,
                fix=f"say `server: https://…{url if url.startswith('/') else ''}` in the connection",
            )
            return None
        wanted = self.configuration.connectors[config.connector].kind
        bus = spec.dialect.startswith("asyncapi")
        if (wanted is not None and kind != wanted) or bus != (kind != "http"):
            speaks = wanted or ("Kafka or RabbitMQ" if bus else "HTTP")
            self._problem(
                pointer,
                f"connector {config.connector} speaks {speaks}, the server does not",
                "wrong-server",
                found=url,
                fix=f"say `server: {_SERVER_OF[wanted or ('kafka' if bus else 'http')]}` in the connection",
            )
            return None
        return url

    def _problem(self, pointer: str, message: str, code: str, **more: Any) -> None:
        self.problems.append(Problem(message=message, code=code, pointer=pointer, **more))


def _server(config: ConnectionConfig, spec: Spec) -> Server | None:
    """Return a connection's server: the description's first, the one of it that is named, or another."""
    if config.server is None:
        return spec.servers[0] if spec.servers else None
    named = (server for server in spec.servers if server.url == config.server)
    variables = {name: Variable() for name in re.findall(r"{([^{}]+)}", config.server)}
    return next(named, Server(url=config.server, variables=variables))


def _variables(config: ConnectionConfig, spec: Spec, server: Server) -> dict[str, str]:
    """Return the values for a server's variables, and those that no server of the connection has."""
    others: set[str] = set()
    if config.server is None:
        for operation in spec.operations.values():
            others.update(name for one in operation.servers for name in one.variables)
    elsewhere = others - server.variables.keys()
    return {name: value for name, value in config.variables.items() if name not in elsewhere}

"""The Kafka source as the service sees it: open, check, run, progress, rewind, close.

Nothing of a driver is imported before something is to be connected, so that a configuration can be checked
without one.
"""

import secrets
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from triggers.base import Emit, Finding, Progress, Source, SourceConfig, SourceContext
from triggers.errors import SourceUnavailable
from triggers.expressions import compile_expressions
from triggers.kafka import offsets
from triggers.kafka.config import KafkaConfig
from triggers.kafka.decoders import READS_CLOUDEVENTS, decoder
from triggers.kafka.decoding import Decoding
from triggers.tls import tls_context

if TYPE_CHECKING:
    from triggers.kafka.cluster import Cluster
    from triggers.kafka.member import Member


class KafkaSource(Source[KafkaConfig]):
    """Topics of one cluster, read as a member of a consumer group."""

    kind: ClassVar[str] = "kafka"
    Config: ClassVar[type[SourceConfig]] = KafkaConfig

    def __init__(self, name: str, config: KafkaConfig) -> None:
        super().__init__(name, config)
        # Tells this process from the others of the group, in what the cluster says of its members.
        self._client_id = f"pointsman-{name}-{secrets.token_hex(4)}"
        self._context: SourceContext | None = None
        self._decoding: Decoding | None = None
        self._tls: ssl.SSLContext | None = None
        self._beside: Cluster | None = None
        self._member: Member | None = None

    @property
    @override
    def ordered(self) -> bool:
        return not self.config.deduplicate and self.config.id is None

    @override
    def review(self) -> list[Finding]:
        config, found = self.config, []
        if config.sasl is not None and config.sasl.mechanism == "PLAIN" and config.tls is None:
            found.append(
                Finding(
                    severity="warning",
                    code="password-in-clear",
                    message="PLAIN sends the password over a connection that is not encrypted",
                    fix="add `tls: {}`, or use SCRAM-SHA-512",
                    field="sasl",
                )
            )
        if config.tls is not None and not config.tls.verify_hostname:
            found.append(
                Finding(
                    severity="warning",
                    code="hostname-not-verified",
                    message="any certificate of a trusted authority is taken for the broker's",
                    fix="set `verify_hostname: true` and give the brokers certificates with their names",
                    field="tls.verify_hostname",
                )
            )
        return found

    @override
    async def open(self, context: SourceContext) -> None:
        config = self.config
        if config.tls is not None:
            tls = config.tls
            self._tls = tls_context(
                f"{self.name}: ", ca=tls.ca, cert=tls.cert, key=tls.key, beside=True, inside="tls."
            )
            self._tls.check_hostname = tls.verify_hostname
        self._decoding = Decoding(
            source=f"/sources/{self.name}",
            decoder=decoder(config.decode),
            cloudevents=config.decode in READS_CLOUDEVENTS,
            expressions=compile_expressions(config, context),
        )
        self._context = context

    @override
    async def check(self) -> list[Finding]:
        from triggers.kafka.checking import check
        from triggers.kafka.security import link

        context, _ = self._opened()
        return await check(self.config, link(self.config, self._client_id, self._tls), context)

    @override
    async def run(self, emit: Emit) -> None:
        from triggers.kafka.faults import asked_for
        from triggers.kafka.member import Member
        from triggers.kafka.reading import Reading

        context, decoding = self._opened()
        cluster = self._cluster()
        member = self._member = Member(self.config, self._client_id, self._tls)
        try:
            with asked_for():
                await Reading(self.config, context, cluster, member, decoding).run(emit)
        finally:
            self._member = None
            try:
                await member.stop()
            finally:
                await cluster.close()

    @override
    async def progress(self) -> Progress:
        from triggers.kafka.lag import progress

        context, _ = self._opened()
        if self._beside is None:
            self._beside = self._cluster()
        return await progress(self.config, self._client_id, context, self._beside)

    @override
    def rewind(self, positions: Mapping[str, bytes], to: str) -> Mapping[str, bytes | None]:
        return offsets.rewound(positions, to)

    @override
    async def close(self) -> None:
        member, self._member = self._member, None
        beside, self._beside = self._beside, None
        self._context = None
        if member is not None:
            await member.stop()
        if beside is not None:
            await beside.close()

    def _opened(self) -> tuple[SourceContext, Decoding]:
        if self._context is None or self._decoding is None:
            raise SourceUnavailable(f"{self.name}: the source is not open")
        return self._context, self._decoding

    def _cluster(self) -> "Cluster":
        from triggers.kafka.cluster import Cluster
        from triggers.kafka.security import link

        return Cluster(self.config.servers, link(self.config, self._client_id, self._tls))

"""Publishing over TLS, with passwords and permissions: who is let in, and what is said of who is not."""

from functools import partial

import pytest

from actions.egress import read_egress
from actions.engines.tls import trust
from actions.errors import RetryLater
from actions.transport import EngineSettings
from service.demo.servers.ports import take_port
from tests.fakes.certificates import Authority, authority
from tests.servers.publish_room import calm, kafka_connector, messages, publish, rabbit_connector, records
from tests.servers.things import create_topic, declare_queue

JAAS = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    'user_writer="right" user_reader="right";'
)
TRUSTED = authority().pem
OPEN = read_egress(["localhost", "127.0.0.1"])


def trusting(pem):
    return partial(trust, EngineSettings(name="bus", host="", ca_pem=pem))


def secured(server, folder):
    """Give a broker, not started yet, a listener for TLS and passwords; return its port."""
    port, identity = take_port(), folder / "identity.pem"
    identity.write_bytes(authority().sign("localhost"))
    plain = f"PLAINTEXT://{server.bootstrap}"
    server._extra.update(
        {
            "listeners": f"{plain},CONTROLLER://127.0.0.1:{server._controller_port},SASL_SSL://127.0.0.1:{port}",
            "advertised.listeners": f"{plain},SASL_SSL://localhost:{port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": JAAS,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(identity),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:writer",
        }
    )
    return port


async def test_kafka_over_tls_lets_in_who_may_and_says_who_may_not(make_kafka, tmp_path):
    server = make_kafka()
    port = secured(server, tmp_path)
    await server.start()
    await create_topic(server.bootstrap, "t")

    def connector(user, password, pem=TRUSTED, mechanism="PLAIN"):
        return kafka_connector(
            "",
            server=f"kafka-secure://localhost:{port}",
            egress=OPEN,
            context=trusting(pem),
            login=(user, password, mechanism),
        )

    async with calm():
        good = connector("writer", "right")
        assert (await publish(good, topic="t", body=1)).status == 200
        await good.close()
        for user, password, mechanism, status, words in (
            ("writer", "wrong", "PLAIN", 401, b"does not take the login"),
            ("writer", "right", "SCRAM-SHA-256", 401, b"does not take the login"),
            ("reader", "right", "PLAIN", 403, b"does not let us"),
        ):
            bad = connector(user, password, mechanism=mechanism)
            answer = await publish(bad, topic="t", body=1)
            assert (answer.status, words in answer.body) == (status, True), answer
            await bad.close()
        stranger = connector("writer", "right", pem=Authority().pem)
        with pytest.raises(RetryLater, match="certificate verify failed"):
            await publish(stranger, topic="t", body=1)
        await stranger.close()
    assert len(await records(server.bootstrap, "t")) == 1


async def test_rabbitmq_over_tls_is_called_at_its_judged_address_under_its_name(make_rabbitmq, tmp_path):
    port, identity, trusted = take_port(), tmp_path / "identity.pem", tmp_path / "ca.pem"
    identity.write_bytes(authority().sign("localhost"))
    trusted.write_bytes(authority().pem)
    extra = {
        "listeners.ssl.1": f"127.0.0.1:{port}",
        "ssl_options.cacertfile": str(trusted),
        "ssl_options.certfile": str(identity),
        "ssl_options.keyfile": str(identity),
        "ssl_options.verify": "verify_none",
    }
    server = make_rabbitmq(extra=extra, management=False)
    await server.start()
    await declare_queue(server.url, "q")

    def connector(host, pem=TRUSTED):
        return rabbit_connector(
            "", server=f"amqps://{host}:{port}", egress=OPEN, context=trusting(pem), login=("guest", "guest")
        )

    async with calm():
        good = connector("localhost")
        assert (await publish(good, routing_key="q", body=1)).status == 200
        await good.close()
        for bad in (connector("127.0.0.1"), connector("localhost", Authority().pem)):
            with pytest.raises(RetryLater, match="certificate verify failed"):
                await publish(bad, routing_key="q", body=1)
            await bad.close()
    assert len(await messages(server.url, "q")) == 1

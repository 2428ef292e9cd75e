"""Rules that publish: from a webhook to both buses, by a description too, and back to who asked."""

import json

import msgspec
import pytest

from tests.end_to_end.backend import answers, backend
from tests.end_to_end.instance import RETRY, WEB, connection, instance, until
from tests.servers import unique
from tests.servers.publish_room import header, messages, records
from tests.servers.rabbit_room import RabbitRoom

ORDERS = {
    "asyncapi": "3.0.0",
    "info": {"title": "Orders", "version": "1"},
    "channels": {
        "paid": {
            "address": "{topic}",
            "parameters": {"topic": {}},
            "messages": {
                "paid": {
                    "contentType": "application/json",
                    "payload": {
                        "type": "object",
                        "required": ["id"],
                        "properties": {"id": {"type": "string"}},
                    },
                    "bindings": {"kafka": {"key": {"type": "string"}}},
                }
            },
        }
    },
    "operations": {"takePaid": {"action": "receive", "channel": {"$ref": "#/channels/paid"}}},
}


def content(kafka, rabbitmq, steps):
    room = RabbitRoom(rabbitmq.url, rabbitmq.management)
    here = {"egress": ["127.0.0.1"], "breaker": {"failures": 1000}, "limits": {"timeout": "5s"}}
    return {
        "sources": {"web": WEB},
        "connectors": {
            "kafka": {"kind": "kafka"},
            "rabbit": {"kind": "rabbitmq"},
            "orders": {"spec": "orders.json"},
        },
        "connections": {
            "bus": {"connector": "kafka", "server": f"kafka://{kafka.bootstrap}", **here},
            "orders": {"connector": "orders", "server": f"kafka://{kafka.bootstrap}", **here},
            "mq": {
                "connector": "rabbit",
                "server": room.plain_url,
                "auth": {"basic": {"username": "guest", "password": {"env": "MQ_PASSWORD"}}},
                **here,
            },
        },
        "rules": {"fan": {"from": ["web"], "do": [{"retry": RETRY, **step} for step in steps]}},
    }


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "orders.json").write_text(json.dumps(ORDERS), "utf-8")
    return tmp_path


async def test_a_webhook_reaches_both_buses_as_events(kafka, kafka_topic, rabbitmq, rabbit_queue, folder):
    topic, queue = await kafka_topic(), await rabbit_queue()
    steps = [
        {
            "name": "kafka",
            "call": "bus.publish",
            "with": {
                "topic": topic,
                "key": "${data.id}",
                "body": "${data}",
                "event": {"type": "order.paid", "subject": "${data.id}"},
            },
        },
        {
            "name": "rabbit",
            "call": "mq.publish",
            "with": {
                "routing_key": queue,
                "body": {"order": "${data.id}", "offset": "${steps.kafka.body.offset}"},
            },
        },
        {
            "name": "described",
            "call": "orders.takePaid",
            "with": {"topic": topic, "key": "${data.id}", "body": {"id": "${data.id}"}},
        },
    ]
    async with instance(
        folder, content(kafka, rabbitmq, steps), environment={"MQ_PASSWORD": "guest"}
    ) as running:
        trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
        message = await running.send(b'{"id": "o-1", "total": 1.10}', headers={"traceparent": trace})
        delivery = await running.ended(message)
        assert (delivery["state"], len(delivery["attempts"])) == ("delivered", 3)
        answer = msgspec.json.decode(delivery["attempts"][0]["answer"]["body"])
    first, second = await records(kafka.bootstrap, topic)
    (job,) = await messages(rabbitmq.url, queue)
    assert answer == {"topic": topic, "partition": 0, "offset": first.offset}
    assert (first.key, first.value) == (b"o-1", b'{"id": "o-1", "total": 1.10}')
    assert (header(first, "ce_type"), header(first, "ce_subject")) == ("order.paid", "o-1")
    assert (header(second, "ce_type"), second.value) == ("takePaid", b'{"id":"o-1"}')
    assert msgspec.json.decode(job.body) == {"order": "o-1", "offset": first.offset}
    headers = job.header.properties.headers
    ids = {header(first, "ce_id"), header(second, "ce_id"), headers["ce-id"]}
    assert len(ids) == 3  # each step has its own
    for carried in (header(first, "traceparent"), headers["traceparent"]):
        assert carried.split("-")[1] == "ab" * 16
    assert header(first, "pointsman-causation") == headers["pointsman-causation"] == message
    assert headers["pointsman-hops"] == "1"


async def test_a_step_waits_for_its_queue_and_keeps_its_id(kafka, rabbitmq, folder):
    room, queue = RabbitRoom(rabbitmq.url, rabbitmq.management), unique("late")
    steps = [{"call": "mq.publish", "with": {"routing_key": queue, "body": "${data}"}}]
    async with instance(
        folder, content(kafka, rabbitmq, steps), environment={"MQ_PASSWORD": "guest"}
    ) as running:
        message = await running.send({"n": 1})
        waiting = await running.ended(message, "waiting")
        assert "nothing is bound" in waiting["attempts"][0]["detail"]
        await room.declare(queue)
        try:
            delivery = await running.ended(message, "delivered")
            (job,) = await messages(rabbitmq.url, queue)
        finally:
            await room.delete(queue)
    assert len(delivery["attempts"]) > 1
    assert job.header.properties.message_id == job.header.properties.headers["ce-id"]


async def test_a_wrong_password_holds_the_connection_and_is_not_shown(kafka, rabbitmq, rabbit_queue, folder):
    queue = await rabbit_queue()
    steps = [{"call": "mq.publish", "with": {"routing_key": queue, "body": "${data}"}}]
    async with instance(
        folder, content(kafka, rabbitmq, steps), environment={"MQ_PASSWORD": "wr0ng"}
    ) as running:
        message = await running.send({"n": 1})
        held = await running.ended(message, "held")
        assert "wr0ng" not in json.dumps(held, default=str)
        assert running.lane("mq").state == "held"


async def test_a_question_from_a_queue_is_answered_by_its_rule(kafka, rabbitmq, rabbit_queue, folder):
    """SPECS W6: request and reply."""
    questions, answers_ = await rabbit_queue(prefix="questions"), await rabbit_queue(prefix="answers")
    room = RabbitRoom(rabbitmq.url, rabbitmq.management)
    steps = [
        {"name": "quote", "call": "shop.one", "with": {"body": "${data}"}},
        {
            "name": "answer",
            "call": "mq.reply",
            "with": {
                "to": "${meta.?reply_to}",
                "correlation_id": "${meta.?correlation_id}",
                "body": "${steps.quote.body}",
            },
        },
    ]
    async with backend(answers(200, {"price": 5})) as shop:
        wanted = content(kafka, rabbitmq, steps)
        wanted["sources"] = {"ask": {"kind": "rabbitmq", "url": room.plain_url, "queue": questions}}
        wanted["connectors"]["shop"] = {"spec": "shop.json"}
        wanted["connections"]["shop"] = connection(shop.url)
        wanted["rules"]["fan"]["from"] = ["ask"]
        async with instance(folder, wanted, environment={"MQ_PASSWORD": "guest"}) as running:
            await room.publish(
                questions, [b'{"sku": "a"}'], reply_to=answers_, correlation_id="c-1", message_id="q-1"
            )
            await room.publish(questions, [b'{"sku": "b"}'], message_id="q-2")
            await until(lambda: _delivered(running, 2), "both deliveries")
    (answered,) = await messages(rabbitmq.url, answers_)
    assert msgspec.json.decode(answered.body) == {"price": 5}
    assert answered.header.properties.correlation_id == "c-1"


async def _delivered(running, count):
    return await running.count("delivered") == count

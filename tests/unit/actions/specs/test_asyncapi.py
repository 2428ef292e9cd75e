"""AsyncAPI 1, 2 and 3: what is sent, what is received, and what goes beside a message."""

import json
from typing import Any

from actions.specs import read_spec
from actions.specs.model import Spec
from tests.tables import every_row


def read(document: dict[str, Any]) -> Spec:
    return read_spec({"a.json": json.dumps(document).encode()})


def two(channel: dict[str, Any], address: str = "orders", **more: Any) -> Spec:
    return read({"asyncapi": "2.6.0", "channels": {address: channel}, **more})


def three(operation: dict[str, Any], channel: dict[str, Any] | None = None, **more: Any) -> Spec:
    whole = {"channel": {"$ref": "#/channels/c"}, **operation}
    return read({"asyncapi": "3.0.0", "channels": {"c": channel or {"address": "orders"}}, "operations": {"op": whole}, **more})  # fmt: skip


def names(spec: Spec, id_: str) -> list[str]:
    return [one.name for one in spec.operations[id_].parameters]


@every_row("version", ["1.0.0", "1.2.0", "2.0.0", "2.6.0", "3.0.0", "3.1.0", 2.6])
def test_reads_every_version(version: object) -> None:
    assert read({"asyncapi": version}).readable


@every_row("version", ["0.9.0", "4.0.0", "23.0", None, 2, [], "x"])
def test_reads_no_other_version(version: object) -> None:
    assert not read({"asyncapi": version}).readable


def test_version_2_is_written_from_the_clients_side() -> None:
    spec = two({"publish": {"message": {}}, "subscribe": {"operationId": "seen", "message": {}}})
    assert list(spec.operations) == ["publish_orders"]
    assert spec.find("PUBLISH orders") is spec.operations["publish_orders"]
    assert [(one.id, one.kind, one.address) for one in spec.triggers.values()] == [
        ("seen", "channel", "orders")
    ]


def test_version_3_is_written_from_the_applications_side_or_ours() -> None:
    spec = three({"action": "receive"})
    assert (list(spec.operations), list(spec.triggers)) == (["op"], [])
    spec = three({"action": "send"})
    assert (list(spec.operations), list(spec.triggers)) == (["op"], ["op"])


def test_an_id_survives_what_is_added_beside_it() -> None:
    one = two({"publish": {}})
    both = read({"asyncapi": "2.0.0", "channels": {"a": {"publish": {}}, "orders": {"publish": {}}}})
    assert set(one.operations) < set(both.operations)


@every_row(
    ("server", "url"),
    [
        ({"url": "a:9092,b:9092", "protocol": "kafka"}, "kafka://a:9092,b:9092"),
        ({"url": "kafka://a:9092", "protocol": "kafka-secure"}, "kafka-secure://a:9092"),
        ({"url": "amqp://{h}:5672/v", "protocol": "AMQP", "variables": {"h": {"default": "x"}}}, "amqp://{h}:5672/v"),
    ],
)  # fmt: skip
def test_servers_of_buses_are_kept(server: dict[str, Any], url: str) -> None:
    spec = two({"publish": {}}, servers={"s": server})
    assert [one.url for one in spec.servers] == [url]


def test_servers_of_version_3_are_host_and_path() -> None:
    servers = {"s": {"host": "mq:5672", "pathname": "/v", "protocol": "amqps"}}
    spec = three(
        {"action": "receive"}, {"address": "x", "servers": [{"$ref": "#/servers/s"}]}, servers=servers
    )
    assert [one.url for one in spec.servers] == ["amqps://mq:5672/v"]
    assert spec.operations["op"].servers == spec.servers


def test_what_cannot_be_spoken_is_said_and_left_out() -> None:
    spec = two({"publish": {}}, servers={"s": {"url": "x", "protocol": "mqtt"}, "t": {"protocol": "kafka"}})
    assert spec.servers == ()
    assert [(one.code, one.severity) for one in spec.findings] == [
        ("server-protocol", "info"),
        ("server-url", "warning"),
    ]


@every_row(
    ("servers", "bindings", "fields"),
    [
        ({"s": {"url": "k", "protocol": "kafka"}}, {}, ["key", "partition", "headers", "event"]),
        ({"s": {"url": "r", "protocol": "amqp"}}, {}, ["properties", "headers", "event"]),
        ({}, {"amqp": {}}, ["properties", "headers", "event"]),
        ({}, {}, ["key", "partition", "properties", "headers", "event"]),
        ({"s": {"url": "m", "protocol": "mqtt"}}, {}, ["headers", "event"]),
    ],
)
def test_the_bus_decides_what_goes_beside_the_body(
    servers: dict[str, Any], bindings: dict[str, Any], fields: list[str]
) -> None:
    spec = two({"publish": {"message": {"bindings": bindings}}}, servers=servers)
    assert names(spec, "publish_orders") == fields


def test_parameters_stand_in_the_address_or_in_the_exchange() -> None:
    channel = {
        "address": "orders.{region}",
        "parameters": {"region": {"enum": ["eu", "us"]}, "kind": {"default": "direct"}, "unused": {}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": {"name": "x-{kind}"}}},
    }
    schema = three({"action": "receive"}, channel).operations["op"]
    found = {one.name: (one.required, one.schema) for one in schema.parameters if one.location == "path"}
    assert found == {
        "region": (True, {"type": "string", "enum": ["eu", "us"]}),
        "kind": (False, {"type": "string", "default": "direct"}),
    }


def test_an_address_that_is_null_is_an_input() -> None:
    spec = three({"action": "receive"}, {"address": None})
    assert spec.operations["op"].path == "{address}"
    assert names(spec, "op")[0] == "address"


def test_names_that_collide_are_grouped() -> None:
    spec = two({"publish": {"message": {"payload": {}}}}, "orders.{key}")
    operation = next(iter(spec.operations.values()))
    assert operation.grouped
    assert set(spec.input_schema(operation)["properties"]) == {"path", "message", "body"}


def test_several_messages_are_any_of_their_payloads_by_media_type() -> None:
    a, b = {"type": "object"}, {"type": "string"}
    messages = [{"payload": a}, {"payload": b}, {"payload": a}, {"payload": b, "contentType": "text/plain"}]
    body = two({"publish": {"message": {"oneOf": messages}}}).operations["publish_orders"].body
    assert body is not None
    assert [(one.type, one.schema) for one in body.media] == [
        ("application/json", {"anyOf": [a, b]}),
        ("text/plain", b),
    ]
    assert body.required


def test_the_default_content_type_counts() -> None:
    spec = two({"publish": {"message": {"payload": {}}}}, defaultContentType="application/xml")
    body = spec.operations["publish_orders"].body
    assert body is not None
    assert body.media[0].type == "application/xml"


def test_a_message_without_payload_has_no_body() -> None:
    assert two({"publish": {"message": {}}}).operations["publish_orders"].body is None


def test_version_3_takes_the_messages_that_the_operation_lists() -> None:
    channel = {"address": "o", "messages": {"a": {"payload": {"const": 1}}, "b": {"payload": {"const": 2}}}}
    body = (
        three({"action": "receive", "messages": [{"$ref": "#/channels/c/messages/b"}]}, channel)
        .operations["op"]
        .body
    )
    assert body is not None
    assert body.media[0].schema == {"const": 2}
    both = three({"action": "receive"}, channel).operations["op"].body
    assert both is not None
    assert both.media[0].schema == {"anyOf": [{"const": 1}, {"const": 2}]}


def test_traits_lie_below_what_is_written_itself() -> None:
    traits = [{"contentType": "text/plain", "headers": {"properties": {"a": {}}}}]
    message = {
        "traits": traits,
        "contentType": "text/csv",
        "headers": {"properties": {"b": {}}},
        "payload": {},
    }
    operation = two({"publish": {"traits": [{"summary": "s", "description": "d"}], "summary": "own", "message": message}}).operations["publish_orders"]  # fmt: skip
    headers = next(one for one in operation.parameters if one.name == "headers")
    assert operation.body is not None
    assert operation.body.media[0].type == "text/csv"
    assert headers.schema == {"properties": {"a": {}, "b": {}}}
    assert (operation.summary, operation.description) == ("own", "d")


def test_the_key_of_kafka_has_the_schema_of_the_binding() -> None:
    message = {"payload": {}, "bindings": {"kafka": {"key": {"type": "integer"}}}}
    operation = two({"publish": {"message": message}}).operations["publish_orders"]
    assert next(one.schema for one in operation.parameters if one.name == "key") == {"type": "integer"}
    assert operation.extras["bindings"]["message"]["kafka"]["key"] == {"type": "integer"}


@every_row(
    "message",
    [
        {
            "payload": {
                "schemaFormat": "application/vnd.apache.avro;version=1.9.0",
                "schema": {"type": "record"},
            }
        },
        {"schemaFormat": "application/vnd.apache.avro+json", "payload": {"type": "record"}},
    ],
)
def test_another_schema_language_allows_anything_and_says_so(message: dict[str, Any]) -> None:
    spec = two({"publish": {"message": message}})
    operation = spec.operations["publish_orders"]
    assert operation.body is not None
    assert operation.body.media[0].schema == {}
    assert [one.code for one in spec.findings] == ["schema-format"]
    assert "avro" in operation.degraded[0]


@every_row("form", ["application/vnd.aai.asyncapi;version=2.6.0", "application/schema+json;version=draft-07", "application/vnd.oai.openapi+json;version=3.0.0"])  # fmt: skip
def test_json_schema_by_any_name_is_kept(form: str) -> None:
    spec = two({"publish": {"message": {"schemaFormat": form, "payload": {"type": "object"}}}})
    assert spec.findings == ()


@every_row(
    ("operation", "words"),
    [
        ({"action": "maybe"}, "neither send nor receive"),
        ({"action": "receive", "channel": {"$ref": "#/channels/none"}}, "which is not there"),
        ({"action": "receive", "channel": None}, "the channel is not an object"),
    ],
)
def test_one_bad_operation_is_refused_alone(operation: dict[str, Any], words: str) -> None:
    channels = {"c": {"address": "o"}}
    good = {"action": "receive", "channel": {"$ref": "#/channels/c"}}
    spec = read({"asyncapi": "3.0.0", "channels": channels, "operations": {"bad": {"channel": {"$ref": "#/channels/c"}, **operation}, "good": good}})  # fmt: skip
    assert spec.operations["good"].problem == ""
    assert words in spec.operations["bad"].problem
    assert "operation-refused" in {one.code for one in spec.findings}


def test_an_unresolved_part_degrades_and_is_said() -> None:
    spec = two({"publish": {"message": {"$ref": "#/components/messages/none"}}})
    assert spec.operations["publish_orders"].problem == ""
    assert spec.operations["publish_orders"].degraded
    assert {one.code for one in spec.findings} == {"part", "reference-missing"}


def test_our_own_words_choose_the_inputs() -> None:
    own = {"x-pointsman-fields": ["event", "nonsense", 5], "x-pointsman-optional": ["to", "body"]}
    spec = three({"action": "receive", **own}, {"address": "{to}", "messages": {"m": {"payload": {}}}})
    schema = spec.input_schema(spec.operations["op"])
    assert set(schema["properties"]) == {"to", "event", "body"}
    assert "required" not in schema


def first(topics: dict[str, Any], **more: Any) -> Spec:
    return read({"asyncapi": "1.2.0", "topics": topics, **more})


def test_version_1_is_written_from_the_clients_side_too() -> None:
    spec = first(
        {"a.{id}": {"parameters": [{"name": "id", "schema": {"type": "integer"}}], "publish": {"summary": "s", "payload": {"type": "string"}}, "subscribe": {"oneOf": [{"payload": {"type": "string"}}, {"payload": {"type": "integer"}}]}}},
        servers=[{"url": "{h}:9092", "scheme": "kafka", "variables": {"h": {"default": "x"}}}, {"url": "x", "scheme": "mqtt"}],
    )  # fmt: skip
    (operation,) = spec.operations.values()
    (trigger,) = spec.triggers.values()
    assert (operation.path, operation.summary) == ("a.{id}", "s")
    assert operation.parameters[0].schema == {"type": "integer"}
    assert operation.body is not None
    assert operation.body.media[0].schema == {"type": "string"}
    assert (trigger.method, trigger.address, trigger.name) == ("SUBSCRIBE", "a.{id}", "a.{id}")
    assert trigger.body is not None
    assert trigger.body.media[0].schema == {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    assert [server.url for server in spec.servers] == ["kafka://{h}:9092"]
    assert [one.code for one in spec.findings] == ["server-protocol"]


@every_row(
    ("base", "topic", "whole"),
    [
        ("slack.events", "app.mention", "slack.events.app.mention"),
        ("a.", "b", "a.b"),
        ("a", "/b", "a/b"),
        ("", "b", "b"),
    ],
)
def test_a_topic_stands_behind_its_base(base: str, topic: str, whole: str) -> None:
    spec = first({topic: {"publish": {}, "subscribe": {}}}, baseTopic=base)
    (trigger,) = spec.triggers.values()
    assert (trigger.name, trigger.address) == (topic, whole)
    assert [one.path for one in spec.operations.values()] == [whole]


def test_messages_of_a_stream_are_triggers() -> None:
    stream = {
        "framing": {"type": "sse"},
        "read": [{"$ref": "#/components/messages/m"}, {"payload": True}],
        "write": [{}],
    }
    spec = read(
        {
            "asyncapi": "1.2.0",
            "stream": stream,
            "components": {"messages": {"m": {"payload": {"type": "object"}}}},
        }
    )
    assert [(one.name, one.method) for one in spec.triggers.values()] == [("m", "READ"), ("read 2", "READ")]
    (operation,) = spec.operations.values()
    assert "connection that stays open" in operation.problem
    assert spec.extras["framing"] == {"type": "sse"}


def test_events_without_topics_are_written_from_the_clients_side() -> None:
    spec = read({"asyncapi": "1.0.0", "events": {"receive": [{"payload": {}}], "send": [{"payload": {}}]}})
    assert [one.method for one in spec.triggers.values()] == ["RECEIVE"]
    assert [one.status for one in spec.operations.values()] == ["refused"]


def test_an_event_has_its_name_and_its_schema() -> None:
    messages = [
        {"x-ballerina-event-type": name, "payload": {"type": kind}}
        for name, kind in (("a", "string"), ("b", "object"), ("a", "integer"))
    ]
    spec = two(
        {"subscribe": {"message": {"oneOf": messages}}},
        **{"x-ballerina-event-identifier": {"type": "Header", "path": "X-Event"}},
    )
    (trigger,) = spec.triggers.values()
    assert trigger.extras["identifier"] == {"type": "header", "path": "X-Event"}
    assert trigger.extras["events"] == {
        "a": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "b": {"type": "object"},
    }


@every_row("identifier", [{"type": "cookie", "path": "x"}, {"type": "body"}, {}])
def test_an_identifier_that_says_nothing_is_found(identifier: dict[str, str]) -> None:
    spec = two({"subscribe": {"message": {}}}, **{"x-ballerina-event-identifier": identifier})
    assert [one.code for one in spec.findings] == ["event-identifier"]
    assert "identifier" not in next(iter(spec.triggers.values())).extras


def test_channels_that_no_operation_uses_are_both() -> None:
    document = {
        "asyncapi": "3.0.0",
        "channels": {"a/b": {"address": "x", "messages": {"m": {"payload": {"type": "string"}}}}},
    }
    spec = read(document)
    (operation,) = spec.operations.values()
    (trigger,) = spec.triggers.values()
    assert (operation.name, operation.path, operation.method) == ("a/b", "x", "PUBLISH")
    assert (trigger.name, trigger.address, trigger.method) == ("a/b", "x", "CHANNEL")
    assert operation.body == trigger.body
    assert spec.find("a/b") is operation


@every_row("action", ["send", "receive"])
def test_replies_go_the_other_way(action: str) -> None:
    channels = {"c": {"address": "asked"}, "d": {"address": "answered"}}
    operation = {
        "action": action,
        "channel": {"$ref": "#/channels/c"},
        "reply": {"channel": {"$ref": "#/channels/d"}},
    }
    spec = read({"asyncapi": "3.0.0", "channels": channels, "operations": {"op": operation}})
    replies = [one.method for one in spec.triggers.values() if one.address == "answered"]
    answers = [one.id for one in spec.operations.values() if one.path == "answered"]
    assert (replies, answers) == ((["REPLY"], []) if action == "receive" else ([], ["d"]))


def test_payloads_that_a_message_shows_are_examples() -> None:
    shown = [{"name": "first", "payload": {"a": 1}}, {"headers": {"h": 1}}, {"payload": {"a": 2}}, 5]
    spec = two({"publish": {"message": {"name": "m", "payload": {"type": "object"}, "examples": shown}}})
    body = spec.operations["publish_orders"].body
    assert body is not None
    assert body.media[0].examples == {"first": {"value": {"a": 1}}, "m 3": {"value": {"a": 2}}}


def test_drafts_of_version_2_list_servers_and_parameters() -> None:
    spec = read(
        {
            "asyncapi": "2.0.0-rc1",
            "servers": [{"url": "a.x:9092", "protocol": "kafka"}],
            "channels": {
                "a/{b}": {"parameters": [{"name": "b", "schema": {"type": "integer"}}], "publish": {}}
            },
        }
    )
    assert spec.servers[0].url == "kafka://a.x:9092"
    (operation,) = spec.operations.values()
    assert operation.parameters[0].schema == {"type": "integer"}
    assert spec.findings == ()


def test_an_event_in_a_header_is_told_by_the_headers_name() -> None:
    spec = two({"subscribe": {}}, **{"x-ballerina-event-identifier": {"type": "header", "name": "X-Event"}})
    (trigger,) = spec.triggers.values()
    assert trigger.extras["identifier"] == {"type": "header", "path": "X-Event"}

"""What rules see of a message, from intake to the store: every kind of data, sources, attributes."""

from typing import Any

from tests.integration.engine_room import engine_room
from triggers.message import TriggerMessage

DO = [{"call": "shop.one"}]
RULES: dict[str, dict[str, Any]] = {
    "form": {"match": {"data": {"tag": ["b"]}}},
    "text": {"match": {"data": [{"prefix": "hé"}]}},
    "scalar": {"match": {"data": [5]}},
    "nothing": {"when": "!has(event.data) && !has(event.data_base64)"},
    "binary": {"match": {"data_base64": ["AQI="]}},
    "extension": {"match": {"myint": [{"numeric": [">", 5]}], "mybool": [True], "mytext": ["a"]}},
    "exact": {"match": {"data": {"n": [9007199254740993]}}},
    "header": {"match": {"meta": {"headers": {"x-a": ["b"]}}}},
    "expression": {"when": 'has(event.data) && type(data) == string && data.endsWith("o")'},
}


CASES: list[tuple[dict[str, Any], set[str]]] = [
    ({"format": "form", "data": b"tag=a&tag=b"}, {"form"}),
    ({"format": "form", "data": b"tag=b"}, {"form"}),
    ({"format": "form", "data": b"tag=c"}, set()),
    ({"format": "text", "data": "héllo".encode()}, {"text", "expression"}),
    ({"format": "text", "data": b""}, set()),
    ({"format": "binary", "data": b"\x01\x02"}, {"binary"}),
    ({"format": "none"}, {"nothing"}),
    ({"format": "json", "data": b"5.0"}, {"scalar"}),
    ({"format": "json", "data": b"null"}, set()),
    ({"format": "json", "data": b'"hello"'}, {"expression"}),
    ({"format": "json", "data": b'{"tag": ["a", "b"]}'}, {"form"}),
    ({"format": "json", "data": b'{"n": 9007199254740993}'}, {"exact"}),
    ({"format": "json", "data": b'{"n": 9007199254740992}'}, set()),
    ({"format": "json", "data": b'{"n": 9007199254740993.0}'}, set()),
    ({"extensions": {"myint": 7, "mybool": True, "mytext": "a"}}, {"nothing", "extension"}),
    ({"extensions": {"myint": "7", "mybool": True, "mytext": "a"}}, {"nothing"}),
    ({"meta": {"headers": {"x-a": "b"}}}, {"nothing", "header"}),
]


async def test_patterns_and_expressions_see_every_kind_of_message(tmp_path) -> None:
    async with engine_room(tmp_path, working=False) as room:
        await room.use({name: {**rule, "do": DO} for name, rule in RULES.items()})
        for message, rules in CASES:
            given = {"id": "m", "source": "/s", "type": "t", "meta": {"headers": {}}, **message}
            hits, _ = room.intake.match("web", TriggerMessage(**given), 0)
            assert {hit.rule.name for hit in hits} == rules, message
        assert not any(one.when_errors for one in room.intake.rules.values())


async def test_form_data_is_delivered_by_the_rule_it_matches(tmp_path) -> None:
    async with engine_room(tmp_path) as room:
        await room.use(
            {
                "form": {
                    "match": {"data": {"tag": ["b"]}},
                    "do": [{"call": "shop.one", "with": {"body": "${data}"}}],
                }
            }
        )
        message = TriggerMessage(id="1", source="/s", type="t", format="form", data=b"tag=a&tag=b", meta={})
        await room.intake.take("web", [message])
        await room.ended(1)
        (call,) = room.connectors["shop"].calls
        assert call.request == b'{"body":{"tag":["a","b"]}}'

"""Bad values on their way to a backend: nothing becomes structure, nothing leads elsewhere, nothing is sent unseen."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from tests.end_to_end.backend import backend
from tests.end_to_end.instance import OPEN, WEB, connection, document, instance, step, until

ITEM = {"item": "${data.item}", "q": "${data.?q}", "X-Note": "${data.?note}", "crumb": "${data.?crumb}"}

NAUGHTY = [
    "", " ", ".", "..", "\t", "\0", "\r\n", "\x1b]0;title\x07\x1b[31m", "\u202etxt.exe", "\ufeff", "\u2028", "\ufffe",
    "undefined", "null", "true", "-1", "1e400", "NaN", "__proto__", "constructor", "$ref", "${data}", "${1+1}", "$${x}",
    "{{7*7}}", "<script>alert(1)</script>", "' OR 1=1 --", "1;DROP TABLE messages", "`id`", "$(id)", "%s%n%x", "%00",
    "../../etc/passwd", "..%2f..%2f", "file:///etc/passwd", "C:\\con", "é", "e\u0301", "ﬀ", "ß", "İ", "田中さん", "👩‍👩‍👧‍👦",
    "Z̤͔ͧ̑̓ä͖̭̈̇lͮ̒ͫ", "\U0010ffff", "a" * 3000, "٠١٢", "²", "½", "Infinity", "0x10", "1_000", "(((", "[*", "\\", '"', "'", ",", ";",
]  # fmt: skip


def _rules(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"all": {"from": ["web"], "do": [step("shop.putItem", **{"with": arguments})]}}


async def test_what_cannot_stand_in_a_path_or_a_header_is_dead_and_never_sent(tmp_path: Path) -> None:
    up = [
        "..",
        ".",
        "%2e%2e",
        "%2E.",
        ".%2e",
        "%252e%252e",
        "%252E%252e",
        "..%2fx",
        "..\\x",
        "../x",
        "a/../b",
        "..%5cx",
    ]
    lines = [
        "a\r\nX-Evil: 1",
        "a\nb",
        "a\rb",
        "a\0b",
        "a\r\n\r\nGET / HTTP/1.1",
        "\u010d\u010a",
        "\x7f",
        "\x01",
    ]
    bad = [{"item": value} for value in [*up, "", "\0", "a\0"]]
    bad += [{"item": "i", "note": value} for value in lines]
    bad += [{"item": "i", "crumb": value} for value in ("a\r\nSet-Cookie: x", "a\0", "a;b=c", "a\nb")]
    bad += [{"item": None}, {"item": ["..", "x"]}, {"item": {"a": ".."}}, {}]
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=_rules(ITEM))) as it:
        messages = [await it.send(one) for one in bad]
        ends = await asyncio.gather(*(it.ended(message) for message in messages))
        sent = [call.head for call in shop.calls]
        alive = [(one, end["state"]) for one, end in zip(bad, ends, strict=True) if end["state"] != "dead"]
        # What is encoded whole is one segment: it may be sent, and must arrive as that and nothing else.
        for call in shop.calls:
            assert call.target.startswith("/items/"), call.target
            assert call.target.partition("?")[0].count("/") == 2, call.target
            assert "x-evil" not in call.headers
            assert ".." not in call.target.partition("?")[0]
        assert all(head.count(b"\r\n\r\n") == 1 for head in sent)
        assert [one for one, _ in alive if one.get("item") in up] == []
        assert [one for one, _ in alive if one.get("note") in lines[:6]] == []
        assert all(end["reason"].startswith("step putItem: ") for end in ends if end["state"] == "dead")
        assert all(
            not end["attempts"] or end["attempts"][0]["status"] is None
            for end in ends
            if end["state"] == "dead"
        )
        assert (await it.ended(await it.send({"item": "fine"})))["state"] == "delivered"


async def test_naughty_text_arrives_as_it_was_sent_wherever_it_is_mapped(tmp_path: Path) -> None:
    rules = {
        "all": {
            "from": ["web"],
            "do": [
                step(
                    **{
                        "with": {
                            "body": {
                                "text": "${data.s}",
                                "among": "<${data.s}>",
                                "all": "${data}",
                                "key": {"${x}": 1},
                            }
                        }
                    }
                ),
                step("shop.putItem", **{"with": {"item": "x${data.s}", "q": "${data.s}"}}),
            ],
        }
    }
    rules["all"]["do"][0]["with"]["body"]["key"] = {"a": "$${data.s}"}
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=rules)) as it:
        texts = [text for text in NAUGHTY if text]
        messages = [await it.send({"s": text}) for text in texts]
        ends = await asyncio.gather(*(it.ended(message) for message in messages))
        bodies = {call.json["text"]: call.json for call in shop.to("/one")}
        assert set(bodies) == set(texts)
        for text, body in bodies.items():
            assert body == {"text": text, "among": f"<{text}>", "all": {"s": text}, "key": {"a": "${data.s}"}}
        targets = {call.target for call in shop.to("/items/")}
        for text, end in zip(texts, ends, strict=True):
            if end["state"] == "delivered":
                assert f"/items/x{quote(text, safe='~')}?q=" in " ".join(targets), text
            else:
                assert "putItem" in end["reason"], end


async def test_naughty_ids_types_and_subjects_are_kept_shown_and_explained(tmp_path: Path) -> None:
    sources = {
        "web": WEB,
        "open": OPEN,
        "named": {**OPEN, "id": "data.id", "type": "data.type", "subject": "data.subject"},
    }
    rules = {"all": {"from": ["open", "named"], "when": "event.id == event.type || true", "do": [step()]}}
    async with backend() as shop, instance(tmp_path, document(shop.url, sources=sources, rules=rules)) as it:
        taken, refused = [], 0
        for text in NAUGHTY:
            event = {
                "specversion": "1.0",
                "id": text,
                "source": "/" + text,
                "type": text,
                "subject": text,
                "data": {"s": text},
            }
            structured = await it.client.post(
                f"{it.url}/hooks/open", content=msgspec.json.encode(event),
                headers={"content-type": "application/cloudevents+json"},
            )  # fmt: skip
            attributes = {f"ce-{name}": quote(text, safe="") for name in ("id", "type", "subject")}
            binary = await it.client.post(
                f"{it.url}/hooks/open", content=b"{}",
                headers={"content-type": "application/json", "ce-specversion": "1.0", "ce-source": "/b", **attributes},
            )  # fmt: skip
            named = await it.client.post(
                f"{it.url}/hooks/named", content=msgspec.json.encode({"id": text, "type": text, "subject": text}),
                headers={"content-type": "application/json"},
            )  # fmt: skip
            for answer in (structured, binary, named):
                assert answer.status_code in (202, 400), (text, answer.text)
                if answer.status_code == 202:
                    taken.append(answer.json()["id"])
                else:
                    refused += 1
        assert len(taken) > 60
        for message in {one for one in taken if one.startswith("msg_")}:
            for path in ("", "/explain"):
                shown = await it.admin("GET", f"/api/v1/messages/{message}{path}")
                assert shown.status_code == 200, shown.text
        for path in ("messages", "rejects", "deliveries", "rules", "sources"):
            assert (await it.admin("GET", f"/api/v1/{path}", params={"limit": 500})).status_code in (200, 422)
        assert (await it.admin("GET", "/metrics")).status_code == 200
        await it.ended(taken[-1])
        assert all(json.loads(call.body) is not None for call in shop.calls)


async def test_naughty_hook_names_are_nobody(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url)) as it:
        for text in NAUGHTY:
            answer = await it.client.post(f"{it.url}/hooks/{quote(text, safe='')}", content=b"{}")
            assert answer.status_code in (404, 414), text
        for text in NAUGHTY:
            for path in ("messages", "deliveries", "rejects", "connectors"):
                shown = await it.admin("GET", f"/api/v1/{path}/{quote(text + 'x', safe='')}")
                assert 400 <= shown.status_code < 500, (text, shown.text)
        for query in (
            {"cursor": "\0"},
            {"cursor": "z" * 200},
            {"limit": "1e9"},
            {"state": "\x1b"},
            {"rule": "' OR 1"},
        ):
            assert (await it.admin("GET", "/api/v1/deliveries", params=query)).status_code in (200, 404, 422)


async def test_a_number_of_thousands_of_digits_is_seen_copied_and_explained(tmp_path: Path) -> None:
    digits = "9" * 4300
    rules = {
        "copy": {"from": ["web"], "do": [step(**{"with": {"body": {"n": "${data.n}", "all": "${data}"}}})]},
        "text": {"from": ["web"], "do": [step("shop.two", **{"with": {"body": {"s": "n=${data.n}"}}})]},
        "path": {
            "from": ["web"],
            "do": [step("shop.putItem", **{"with": {"item": "${data.n}", "X-Note": "n"}})],
        },
        "match": {
            "from": ["web"],
            "match": {"data": {"n": [{"numeric": [">", 0]}]}},
            "do": [step("shop.two", **{"with": {"body": 1}})],
        },
        "when": {"from": ["web"], "when": "data.n > 0", "do": [step("shop.two", **{"with": {"body": 2}})]},
        "key": {
            "from": ["web"],
            "key": "data.n",
            "mode": "queued",
            "do": [step("shop.two", **{"with": {"body": 3}})],
        },
    }
    async with backend() as shop, instance(tmp_path, document(shop.url, rules=rules)) as it:
        message = await it.send(f'{{"n": {digits}}}'.encode())
        explained = await it.admin("GET", f"/api/v1/messages/{message}/explain")
        shown = await it.admin("GET", f"/api/v1/messages/{message}")
        assert (explained.status_code, shown.status_code) == (200, 200)

        async def all_ended() -> bool:
            return all(row["state"] in ("delivered", "dead") for row in await it.deliveries(message=message))

        await until(all_ended, "the end of every delivery")
        (one,) = shop.to("/one")
        assert one.body == f'{{"n":{digits},"all":{{"n": {digits}}}}}'.encode()
        assert f'"n={digits}"'.encode() in shop.to("/two")[0].body or any(
            digits.encode() in call.body for call in shop.to("/two")
        )
        assert (await it.admin("GET", "/api/v1/deliveries")).status_code == 200
        assert (await it.post(f'{{"n": {digits}9}}'.encode())).status_code == 400
        event = f'{{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{{"n":{digits}9}}}}'
        for content_type, body in (
            ("application/cloudevents+json", event),
            ("application/cloudevents-batch+json", f"[{event}]"),
        ):
            answer = await it.post(body.encode(), headers={"content-type": content_type})
            assert answer.status_code == 400, answer.text


async def test_one_poisoned_message_is_dead_alone(tmp_path: Path) -> None:
    """Expressions that fail on one message, in every way they can, touch neither other messages nor other rules."""
    poison = {
        "divide": "${1 / data.zero}", "absent": "${data.nothing.at.all}", "type": "${data.text + 1}",
        "endless": "${data.many.map(a, data.many.map(b, data.many.map(c, a)))}", "infinite": "${1.0 / double(data.zero)}",
        "overflow": "${data.big + data.big}", "index": "${data.many[1000]}", "bytes": "${b'\\xff'}",
        "pattern": "${data.text.matches('(a+)+$')}", "long": "${data.text.replace('', data.text)}",
    }  # fmt: skip
    rules = {
        name: {"from": ["web"], "do": [step(**{"with": {"body": {"v": text}}})]}
        for name, text in poison.items()
    }
    rules["sound"] = {"from": ["web"], "do": [step("shop.two")]}
    data = {"zero": 0, "text": "a" * 5000, "many": list(range(300)), "big": 9_223_372_036_854_775_807}
    content = document("", rules=rules)
    async with backend() as shop:
        content["connections"] = {"shop": connection(shop.url)}
        async with instance(tmp_path, content) as it:
            for _ in range(3):
                message = await it.send(data)
            await shop.called(3, "/two")

            async def all_ended() -> bool:
                return all(row["state"] in ("delivered", "dead") for row in await it.deliveries())

            await until(all_ended, "the end of every delivery")
            rows = {row["rule"]: row for row in await it.deliveries(message=message)}
            for name in ("divide", "absent", "type", "endless", "infinite", "overflow", "index"):
                assert rows[name]["state"] == "dead", name
                assert "/body/v" in rows[name]["reason"], rows[name]
            assert rows["sound"]["state"] == "delivered"
            assert not [row for row in rows.values() if "internal error" in row["reason"]]

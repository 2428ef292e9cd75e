"""Bad requests against the real command over raw sockets: a clear refusal, no crash, no hang, memory flat."""

import asyncio
import base64
import gzip
import json
from pathlib import Path

import msgspec
import pytest

from tests.end_to_end.backend import Backend, backend
from tests.end_to_end.instance import OPEN, SECRET, WEB, Process, document, process, signed, step, until
from tests.end_to_end.wire import Wire, ask, genuine, high, request, timed
from tests.shared import shared_tar

MIB = 1024 * 1024
JSON = {"content-type": "application/json"}
OPEN_PATH = "/hooks/open"


def _content(shop: Backend) -> dict[str, object]:
    return document(
        shop.url,
        sources={"web": WEB, "open": OPEN},
        rules={"all": {"from": ["web"], "when": "has(data.good)", "do": [step()]}},
    )


async def _still_well(it: Process, shop: Backend) -> None:
    """See that a good webhook is taken and delivered."""
    before = len(shop.calls)
    answer = await ask(it.port, genuine(b'{"good": true}'))
    assert answer.status == 202, answer
    await shop.called(before + 1)


BODIES: dict[str, tuple[bytes, int]] = {
    "100,000 arrays": (b"[" * 100_000 + b"]" * 100_000, 400),
    "100,000 objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
    "100,000 arrays never closed": (b"[" * 100_000, 400),
    "65 deep": (b"[" * 65 + b"]" * 65, 400),
    "64 deep": (b"[" * 64 + b"]" * 64, 202),
    "2^64": (b'{"n": 18446744073709551616}', 202),
    "-2^63 - 1": (b'{"n": -9223372036854775809}', 202),
    "20 digits": (b'{"n": 12345678901234567890}', 202),
    "4,300 digits": (b'{"n": ' + b"9" * 4300 + b"}", 202),
    "4,301 digits": (b'{"n": ' + b"9" * 4301 + b"}", 400),
    "5,000 digits": (b'{"n": ' + b"9" * 5000 + b"}", 400),
    "100,000 digits after the point": (b'{"n": 0.' + b"9" * 100_000 + b"}", 202),
    "1e400": (b'{"n": 1e400}', 400),
    "-1e400": (b'{"n": -1e400}', 400),
    "1e-400": (b'{"n": 1e-400}', 202),
    "1e999999999999": (b'{"n": 1e999999999999}', 400),
    "half a pair": (b'{"s": "\\ud800"}', 400),
    "the other half": (b'{"s": "\\udc00\\ud800"}', 400),
    "half a pair as key": (b'{"\\udfff": 1}', 400),
    "a whole pair": (b'{"s": "\\ud83d\\ude00"}', 202),
    "not UTF-8": (b'{"s": "\xff\xfe"}', 400),
    "overlong": (b'{"s": "\xc0\xaf"}', 400),
    "surrogate in UTF-8": (b'{"s": "\xed\xa0\x80"}', 400),
    "UTF-16": ('{"s": 1}'.encode("utf-16"), 400),
    "a byte order mark": (b"\xef\xbb\xbf{}", 400),
    "NUL": (b'{"s": "\0"}', 400),
    "escaped NUL": (b'{"s": "\\u0000"}', 202),
    "the same key twice": (b'{"a": 1, "a": 2}', 202),
    "100,000 times the same key": (b"{" + b",".join([b'"a":1'] * 100_000) + b"}", 202),
    "50,000 keys": (b"{" + b",".join(b'"k%d":1' % n for n in range(50_000)) + b"}", 202),
    "NaN": (b'{"n": NaN}', 400),
    "Infinity": (b"[Infinity, -Infinity]", 400),
    "a lone string": (b'"text"', 202),
    "nothing": (b"", 400),
    "a trailing comma": (b"[1,]", 400),
    "a comment": (b"{} // no", 400),
}


async def test_odd_bodies_are_stored_whole_or_refused_and_kept(tmp_path: Path) -> None:
    async with backend() as shop, process(tmp_path, _content(shop)) as it, Wire(it.port) as wire:
        wrong = []
        for name, (body, status) in BODIES.items():
            await wire.send(request(body, JSON, path=OPEN_PATH))
            answer = await wire.answer()
            if answer.status != status:
                wrong.append(f"{name}: {answer.status}, not {status}")
            if answer.status == 400:
                assert dict(answer.headers)["content-type"] == "application/problem+json"
                problem = json.loads(answer.body)
                assert problem["type"].startswith("urn:pointsman:problem:"), name
                assert "Traceback" not in problem.get("detail", "")
        assert not wrong, "\n".join(wrong)
        await _still_well(it, shop)
        assert all(line["event"] != "a request failed in an unforeseen way" for line in it.log)


async def test_the_json_suite_over_one_connection(tmp_path: Path) -> None:
    with shared_tar("standards.tar.xz") as archive:
        files = {
            member.name.rpartition("/")[2]: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isfile() and "/test_parsing/" in member.name
        }
    assert len(files) == 318
    async with backend() as shop, process(tmp_path, _content(shop)) as it, Wire(it.port) as wire:
        for name, body in files.items():
            await wire.send(request(body, JSON, path=OPEN_PATH))
            status = (await wire.answer()).status
            assert status in {"y": (202,), "n": (400,), "i": (202, 400)}[name[0]], name
        await _still_well(it, shop)


async def test_signatures_of_every_wrong_kind_are_401_and_leave_nothing(tmp_path: Path) -> None:
    body = b'{"good": false}'
    sound = signed(body, "evt_1")
    scheme, _, mark = sound["webhook-signature"].partition(",")
    wrong = [
        "", ",", "v1", "v1,", f"v1,{mark[:-1]}", f"v1,{mark}=", f"v1,{mark[:-4]}", f"v1,{mark}{mark}", f"v2,{mark}",
        f"v1,{base64.b64decode(mark).hex()}", f"v1,{mark.replace('=', '')}!", "v1,%%%", "v1,\xff\xfe", "v1,\xe9\xa9",
        "v1," + "A" * 8000, f"v1 {mark}", "v1,====", "v1," + base64.b64encode(b"short").decode(), f"v1a,{mark}",
        " ".join(["v1,AAAA"] * 400), base64.b64encode(base64.b64decode(mark)[::-1]).decode(), "v1,\u00b2\u00b2",
    ]  # fmt: skip
    times = ["", "soon", "-1", "1e9", "99999999999999999999", "0", "\u0661", "1.5", " 1", "0x1", "nan", "inf"]
    assert scheme == "v1"
    async with backend() as shop, process(tmp_path, _content(shop)) as it, Wire(it.port) as wire:
        answers = set()
        for value in wrong:
            await wire.send(request(body, {**sound, "webhook-signature": value}))
            answer = await wire.answer()
            answers.add((answer.status, answer.body))
        for value in times:
            headers = {**sound, "webhook-timestamp": value.encode("utf-8").decode("latin-1")}
            await wire.send(request(body, headers))
            answer = await wire.answer()
            answers.add((answer.status, answer.body))
        for missing in ("webhook-signature", "webhook-timestamp", "webhook-id"):
            await wire.send(request(body, {name: value for name, value in sound.items() if name != missing}))
            answer = await wire.answer()
            answers.add((answer.status, answer.body))
        assert len(answers) == 1, answers  # one and the same answer to everybody
        ((status, said),) = answers
        assert status == 401
        assert SECRET.encode() not in said
        await wire.send(request(body, sound))
        assert (await wire.answer()).status == 202
        assert json.loads((await _admin(it, "/api/v1/rejects")).body)["items"] == []
        assert len(json.loads((await _admin(it, "/api/v1/messages")).body)["items"]) == 1


async def _admin(it: Process, path: str) -> "msgspec.Struct | object":
    token = (it.data / "admin.token").read_text("ascii").strip()
    headers = {"authorization": f"Bearer {token}"}
    async with Wire(it.admin_port) as wire:
        raw = request(b"", headers, path=path, method="GET").replace(b"hooks.example", b"127.0.0.1")
        await wire.send(raw)
        return await wire.answer()


async def test_floods_and_bombs_are_refused_early_and_cost_no_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(b"\0" * (100 * MIB))
    head = b"POST /hooks/web HTTP/1.1\r\nHost: x\r\n"
    async with backend() as shop, process(tmp_path, _content(shop)) as it:
        await timed(it.port, 50)
        before = it.resident_bytes()

        answer = await ask(
            it.port, request(bomb[:60_000], {**JSON, "content-encoding": "gzip"}, path=OPEN_PATH)
        )
        assert answer.status == 415
        for coding in ("deflate", "br", "gzip, gzip", "identity, gzip"):
            assert (await ask(it.port, request(b"x", {**JSON, "content-encoding": coding}))).status == 415

        async def flood(first: bytes, piece: bytes, megabytes: int) -> int:
            """Send up to so many megabytes; return the status that came back, 0 when the connection was cut."""
            async with Wire(it.port) as wire:
                taken = 0
                if await wire.send(first):
                    while taken < megabytes and not wire.reader.at_eof() and await wire.send(piece):
                        taken += 1
                said = await wire.rest()
                return int(said.split(b" ", 2)[1]) if said else 0

        many = b"".join(b"x-%06d: %b\r\n" % (n, b"v" * 1000) for n in range(1024))
        assert await flood(head, many, 100) in (431, 0)
        assert await flood(head, b"x-a: " + b"v" * MIB, 100) in (431, 0)
        assert await flood(b"POST /hooks/web?", b"q" * MIB, 100) in (414, 431, 0)
        assert await flood(b"", b"G" * MIB, 100) in (400, 414, 431, 0)
        status = await flood(head + b"Content-Length: 104857600\r\n\r\n", b"b" * MIB, 100)
        assert status in (413, 0)
        chunk = b"%x\r\n%b\r\n" % (MIB, b"c" * MIB)
        status = await flood(head + b"Transfer-Encoding: chunked\r\n\r\n", chunk, 100)
        assert status in (413, 0)
        await asyncio.gather(*(flood(head, many, 20) for _ in range(20)))

        await timed(it.port, 50)
        assert it.resident_bytes() - before < 24 * MIB
        await _still_well(it, shop)


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /hooks/web HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /hooks/web HTTP/1.1\nHost: x\nContent-Length: 2\n\n{}",
        b"POST /hooks/web HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /hooks/web HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}",
        b"POST /hooks/web HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /hooks/web HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n",
        b"POST /hooks/web HTTP/1.1\r\nHost: x\r\nX A: b\r\n\r\n",
        b"POST /hooks/web HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n",
        b"POST /hooks/web HTTP/9.9\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200 + b"\r\n\r\n",
        b"\0" * 200 + b"\r\n\r\n",
        b"POST /hooks/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /hooks/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /hooks/" + "ſ".encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /hooks/../api/v1/messages HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /hooks/web/../web HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST //hooks/web HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /hooks/web HTTP/1.1\r\nHost: x\r\n\r\n",
        b"BREW /hooks/web HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /hooks/" + b"n" * 200 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /hooks/__proto__ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /hooks/web;DROP%20TABLE HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/v1/messages HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT backend:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_broken_requests_get_one_clear_refusal(well: "tuple[Process, Backend]", raw: bytes) -> None:
    it, _ = well
    async with Wire(it.port) as wire:
        await wire.send(raw)
        wire.writer.write_eof()
        said = await wire.rest()
    status = int(said.split(b" ", 2)[1])
    assert 400 <= status <= 505, said
    assert status not in (500, 502, 503, 504)
    assert said.count(b"HTTP/1.1 ") == 1
    assert (await ask(it.port, genuine(b'{"bad": false}'))).status == 202


async def test_slow_connections_keep_no_good_sender_waiting(tmp_path: Path) -> None:
    """Half of all descriptors that the process may open are held by clients that send a byte now and then."""
    few = ("sh", "-c", 'ulimit -n 256; exec "$0" "$@"')
    async with backend() as shop, process(tmp_path, _content(shop), before=few) as it:
        good = high(await timed(it.port, 100))
        slow = [Wire(it.port) for _ in range(128)]
        for wire in slow:
            await wire.__aenter__()
            await wire.send(b"POST /hooks/web HTTP/1.1\r\nHost: x\r\n")

        async def drip() -> None:
            while True:
                for wire in slow:
                    await wire.send(b"x")
                await asyncio.sleep(0.05)

        async def welcome() -> bool:
            return (await ask(it.port, genuine(b'{"bad": true}'))).status == 202

        dripping = asyncio.create_task(drip())
        try:
            await until(welcome, "room for a newcomer")  # a slow one has a tenth of a second
            beside = high(await timed(it.port, 100))
            assert beside < max(0.5, 5 * good)
            await _still_well(it, shop)
        finally:
            dripping.cancel()
            for wire in slow:
                wire.writer.transport.abort()


async def test_clients_that_leave_in_the_middle_leave_nothing_behind(tmp_path: Path) -> None:
    async with backend() as shop, process(tmp_path, _content(shop)) as it:
        whole = genuine(b'{"bad": true, "pad": "' + b"p" * 3000 + b'"}')
        for size in range(1, len(whole), 37):
            async with Wire(it.port) as wire:
                await wire.send(whole[:size])
                wire.writer.transport.abort()
        await _still_well(it, shop)
        messages = json.loads((await _admin(it, "/api/v1/messages")).body)["items"]
        assert len(messages) == 1

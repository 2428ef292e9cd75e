"""What a source tells of random rows is what SELECT says of them: every type, every way to change a row."""

import base64
import datetime as dt
import json
import random
import struct
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from tests.integration.servers.postgres_room import Room, room_of
from triggers.postgres.values import SESSION_SETTINGS

WORDS = [
    "",
    "a",
    "NULL",
    'qu"ote',
    "back\\slash",
    "{brace}",
    "com,ma",
    "grüß",
    "new\nline",
    "tab\t",
    "(x)",
    "' '",
    "\U0001f642",
]


class Type:
    """A type: how a value is made, as text that PostgreSQL reads, and what of it a message must say."""

    def __init__(
        self,
        name: str,
        make: Callable[[random.Random], str],
        same: Callable[[Any, Any, str], bool],
        *,
        digits: bool = False,
    ) -> None:
        self.name = name
        self.make = make
        self.same = same
        self.digits = digits  # compare numbers digit by digit


def plain(seen: Any, native: Any, _: str) -> bool:
    return bool(seen == native)


def as_text(seen: Any, _: Any, text: str) -> bool:
    return bool(seen == text)


def moment(seen: Any, native: Any, _: str) -> bool:
    return bool(dt.datetime.fromisoformat(seen) == native)


def half(seen: Any, native: Any, _: str) -> bool:
    return struct.pack("f", float(seen)) == struct.pack("f", native)


def double(seen: Any, native: Any, _: str) -> bool:
    return struct.pack("d", float(seen)) == struct.pack("d", native)


def as_json(seen: Any, native: Any, _: str) -> bool:
    return bool(seen == json.loads(native))


def record(seen: Any, native: Any, _: str) -> bool:
    return bool(seen == dict(native))


def spread(seen: Any, native: Any, _: str) -> bool:
    if native.isempty:
        return bool(seen == {"empty": True})
    bounds = ("[" if native.lower_inc else "(") + ("]" if native.upper_inc else ")")
    return bool(seen == {"lower": native.lower, "upper": native.upper, "bounds": bounds})


def spreads(seen: Any, native: Any, text: str) -> bool:
    return len(seen) == len(native) and all(map(spread, seen, native, [text] * len(native)))


def numeric(dice: random.Random) -> str:
    digits = "".join(dice.choices("0123456789", k=dice.randint(1, 60)))
    return dice.choice(["", "-"]) + digits + dice.choice(["", ".", ".5", ".000", "." + digits])


def array(dice: random.Random, words: list[str]) -> str:
    quoted = ['"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words]
    return "{" + ",".join(dice.choices([*quoted, "NULL"], k=dice.randint(0, 4))) + "}"


TYPES = [
    Type("bool", lambda dice: dice.choice("tf"), plain),
    Type("int2", lambda dice: str(dice.randint(-(2**15), 2**15 - 1)), plain),
    Type("int8", lambda dice: str(dice.randint(-(2**63), 2**63 - 1)), plain),
    Type("numeric", numeric, lambda seen, _, text: seen == f"number {text}", digits=True),
    Type("numeric", lambda dice: "NaN", as_text),
    Type("float4", lambda dice: str(dice.uniform(-1e10, 1e10)), half),
    Type(
        "float8",
        lambda dice: dice.choice(["1e-320", "-0.5", "1e308", str(dice.random()), "Infinity"]),
        double,
    ),
    Type("text", lambda dice: "".join(dice.choices(WORDS, k=2)), plain),
    Type("varchar(20)", lambda dice: dice.choice(WORDS), plain),
    Type("char(9)", lambda dice: "x", plain),
    Type(
        "bytea",
        lambda dice: "\\x" + dice.randbytes(dice.randint(0, 9)).hex(),
        lambda seen, native, _: base64.b64decode(seen) == native,
    ),
    Type(
        "timestamptz",
        lambda dice: (
            f"20{dice.randint(10, 99)}-03-04 05:06:07.{dice.randint(0, 999999)}+0{dice.randint(0, 9)}"
        ),
        moment,
    ),
    Type(
        "timestamptz",
        lambda dice: dice.choice(["infinity", "-infinity", "0044-03-15 12:00+00 BC", "20000-01-01 00:00+00"]),
        as_text,
    ),
    Type("timestamp", lambda dice: "1999-12-31 23:59:59.9", moment),
    Type("date", lambda dice: dice.choice(["2026-02-28", "infinity", "0044-03-15 BC"]), as_text),
    Type("time", lambda dice: "23:59:59.000001", as_text),
    Type("timetz", lambda dice: "23:59:59+05:30", as_text),
    Type("interval", lambda dice: dice.choice(["1 year 2 mons", "-3 days 04:05:06.7", "0"]), as_text),
    Type("uuid", lambda dice: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", as_text),
    Type("inet", lambda dice: "10.1.2.3/8", as_text),
    Type(
        "json",
        lambda dice: json.dumps({"a": [1.10, None], dice.choice(WORDS): 12345678901234567890}),
        as_json,
    ),
    Type("jsonb", lambda dice: json.dumps([dice.choice(WORDS), {"b": True}], ensure_ascii=False), as_json),
    Type("text[]", lambda dice: array(dice, WORDS), plain),
    Type("int4[]", lambda dice: dice.choice(["{}", "{1,2,NULL}", "{{1,2},{3,4}}"]), plain),
    Type("int4[]", lambda dice: "[0:1]={1,2}", as_text),
    Type(
        "numeric[]",
        lambda dice: "{1.50,2}",
        lambda seen, _, __: seen == ["number 1.50", "number 2"],
        digits=True,
    ),
    Type("mood", lambda dice: dice.choice(["sad", "so so, well", 'very "happy"']), plain),
    Type("mood[]", lambda dice: '{sad,"so so, well"}', plain),
    Type("amount", lambda dice: str(dice.randint(0, 99)), plain),
    Type("place", lambda dice: dice.choice(['(1,"a ""b"" \\\\")', "(,)", '(7,"")']), record),
    Type(
        "place[]",
        lambda dice: '{"(1,x)","(2,\\"y z\\")"}',
        lambda seen, native, _: seen == [dict(one) for one in native],
    ),
    Type("int4range", lambda dice: dice.choice(["[1,5)", "(,3)", "[2,)", "empty", "(,)"]), spread),
    Type("int4multirange", lambda dice: dice.choice(["{}", "{[1,3),[5,8)}"]), spreads),
    Type(
        "box[]",
        lambda dice: "{(2,2),(1,1);(4,4),(3,3)}",
        lambda seen, _, __: seen == ["(2,2),(1,1)", "(4,4),(3,3)"],
    ),
    Type("bit(4)", lambda dice: "1010", as_text),
    Type("tsvector", lambda dice: "'a':1 'b':2", as_text),
]


def loads(data: bytes) -> Any:
    """Read JSON with every number as the text that stands there."""
    return json.loads(
        data, parse_float=lambda text: f"number {text}", parse_int=lambda text: f"number {text}"
    )


def loosely(value: Any) -> Any:
    """Read such numbers as numbers."""
    if isinstance(value, str) and value.startswith("number "):
        text = value.removeprefix("number ")
        return float(text) if set(text) & set(".eE") else int(text)
    if isinstance(value, list):
        return [loosely(one) for one in value]
    if isinstance(value, dict):
        return {name: loosely(one) for name, one in value.items()}
    return value


@pytest.fixture
async def room(pg_database):
    async with room_of(pg_database.dsn) as room:
        await room.sql.execute(
            """
            CREATE TYPE mood AS ENUM ('sad', 'so so, well', 'very "happy"');
            CREATE DOMAIN amount AS int CHECK (value >= 0);
            CREATE TYPE place AS (number int, name text)
            """
        )
        for name, value in SESSION_SETTINGS.items():
            await room.sql.execute("SELECT set_config($1, $2, false)", name, value)
        yield room


async def dropped(room: Room) -> bool:
    """Drop the slot; its walsender may still be on its way out."""
    try:
        await room.sql.execute("SELECT pg_drop_replication_slot($1)", room.slot)
    except asyncpg.ObjectInUseError:
        return False
    return True


def make(dice: random.Random, kinds: list[Type]) -> list[str | None]:
    return [None if dice.random() < 0.1 else kind.make(dice) for kind in kinds]


async def insert(room: Room, dice: random.Random, kinds: list[Type], number: int) -> None:
    places = "".join(f", ${place + 2}::text::{kind.name}" for place, kind in enumerate(kinds))
    await room.sql.execute(f"INSERT INTO orders VALUES ($1{places})", number, *make(dice, kinds))


async def change(room: Room, dice: random.Random, kinds: list[Type], numbers: list[int]) -> None:
    """Do one thing to the table."""
    which = dice.choice(["insert", "insert", "update", "update", "touch", "renumber", "delete", "truncate"])
    if which == "insert" or not numbers:
        numbers.append(max([0, *numbers]) + 1)
        await insert(room, dice, kinds, numbers[-1])
        return
    number = dice.choice(numbers)
    if which == "update":
        place = dice.randrange(len(kinds))
        value = make(dice, [kinds[place]])
        await room.sql.execute(
            f"UPDATE orders SET c{place} = $2::text::{kinds[place].name} WHERE id = $1", number, *value
        )
    elif which == "touch":
        await room.sql.execute("UPDATE orders SET touched = touched + 1 WHERE id = $1", number)
    elif which == "renumber":
        numbers.remove(number)
        numbers.append(max([number, *numbers]) + 1)
        await room.sql.execute("UPDATE orders SET id = $2 WHERE id = $1", number, numbers[-1])
    elif which == "delete":
        numbers.remove(number)
        await room.sql.execute("DELETE FROM orders WHERE id = $1", number)
    elif dice.random() < 0.2:
        numbers.clear()
        await room.sql.execute("TRUNCATE orders")


def rebuilt(room: Room) -> dict[int, dict[str, Any]]:
    """Return the table as the messages tell it."""
    table: dict[int, dict[str, Any]] = {}
    for message in room.emitted.messages:
        data = loads(message.data or b"")
        after, before = data["after"], data["before"]
        if data["op"] == "truncate":
            table.clear()
        elif data["op"] == "delete":
            del table[loosely(before["id"])]
        else:
            old = table.pop(loosely((before or after)["id"]), {})
            for name in data["unchanged"]:
                after[name] = old[name]
            if data["changed"] is not None:
                assert set(data["changed"]) == {name for name in after if after[name] != old[name]}
            table[loosely(after["id"])] = after
    return table


@pytest.mark.parametrize("mode", ["stream", "poll"])
@pytest.mark.parametrize("identity", ["default", "full"])
@pytest.mark.parametrize("seed", [1, 2])
async def test_the_table_can_be_rebuilt_from_the_messages(
    room: Room, mode: str, identity: str, seed: int
) -> None:
    dice = random.Random(f"{mode} {identity} {seed}")
    kinds = dice.sample(TYPES, 12)
    columns = "".join(f", c{place} {kind.name}" for place, kind in enumerate(kinds))
    await room.sql.execute(
        f"CREATE TABLE orders (id int PRIMARY KEY{columns}, touched int DEFAULT 0, big text DEFAULT 'x')"
    )
    # Large values that an update does not touch are not sent.
    await room.sql.execute(
        "ALTER TABLE orders ALTER big SET STORAGE EXTERNAL, ALTER big SET DEFAULT repeat('b', 9000)"
    )
    await room.sql.execute(f"ALTER TABLE orders REPLICA IDENTITY {identity}")
    config = room.config(mode=mode, batch=7)
    await room.set_up(config)
    numbers: list[int] = []
    async with room.running(config) as run:
        for _ in range(40):
            async with room.sql.transaction():
                for _ in range(dice.randint(1, 4)):
                    await change(room, dice, kinds, numbers)
        await insert(room, dice, kinds, 100_000)
        await run.until(
            lambda: any(b'"key":{"id":100000}' in (m.data or b"") for m in room.emitted.messages),
            "the last row",
        )
    table = rebuilt(room)
    shown_as = [
        f"c{place}" + "::text" * (kind.same is as_text) + f" AS c{place}" for place, kind in enumerate(kinds)
    ]
    rows = await room.sql.fetch(f"SELECT id, touched, {', '.join(shown_as)} FROM orders")
    as_texts = "".join(f", c{place}::text" for place in range(len(kinds)))
    texts = {row["id"]: row for row in await room.sql.fetch(f"SELECT id{as_texts} FROM orders")}
    assert sorted(table) == sorted(texts)
    for row in rows:
        seen, shown = table[row["id"]], texts[row["id"]]
        assert (seen["touched"], len(seen["big"])) == (f"number {row['touched']}", 9000)
        for place, kind in enumerate(kinds):
            value, native, text = seen[f"c{place}"], row[f"c{place}"], shown[f"c{place}"]
            if text is None:
                assert value is None
            else:
                value = value if kind.digits else loosely(value)
                assert kind.same(value, native, text), (kind.name, value, native, text)


@pytest.mark.parametrize("mode", ["stream", "poll"])
async def test_bytes_that_are_no_utf_8_are_kept_as_a_reject(pg_database, mode: str) -> None:
    async with room_of(pg_database.dsn) as outer:
        await outer.sql.execute(
            f"CREATE DATABASE {pg_database.database}_ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
        ascii_dsn = pg_database.of(f"{pg_database.database}_ascii").dsn
        try:
            async with room_of(ascii_dsn) as room:
                await room.sql.execute("CREATE TABLE orders (id int PRIMARY KEY, name text)")
                config = room.config(mode=mode)
                await room.set_up(config)
                async with room.running(config) as run:
                    await room.sql.execute("INSERT INTO orders VALUES (1, 'fine')")
                    await room.sql.execute(
                        "INSERT INTO orders SELECT 2, convert_from('\\xff41'::bytea, 'SQL_ASCII')"
                    )
                    await room.sql.execute("INSERT INTO orders VALUES (3, 'fine again')")
                    await run.until(lambda: room.ids() == [1, 3], "the rows around it")
                (reject,) = room.emitted.rejects
                assert reject.reason == "invalid-utf8"
                assert b"\xff\x41" in reject.data
                await room.eventually(lambda: dropped(room), "the slot is free")
        finally:
            await outer.sql.execute(f"DROP DATABASE {pg_database.database}_ascii WITH (FORCE)")


async def test_a_session_with_other_settings_makes_no_difference(pg_database) -> None:
    async with room_of(pg_database.dsn) as room:
        await room.sql.execute(
            f"ALTER DATABASE {pg_database.database} SET TimeZone = 'Asia/Kathmandu';"
            f"ALTER DATABASE {pg_database.database} SET DateStyle = 'German';"
            f"ALTER DATABASE {pg_database.database} SET IntervalStyle = 'postgres_verbose';"
            f"ALTER DATABASE {pg_database.database} SET extra_float_digits = -3;"
            f"ALTER DATABASE {pg_database.database} SET bytea_output = 'escape';"
            "CREATE TABLE orders (id int PRIMARY KEY, at timestamptz, d date, i interval, f float8, b bytea)"
        )
        for mode in ("stream", "poll"):
            config = room.config(mode=mode)
            await room.set_up(config)
            number = ["stream", "poll"].index(mode)
            async with room.running(config) as run:
                await room.sql.execute(
                    "INSERT INTO orders VALUES ($1, '2026-01-02 03:04:05+00', '2026-01-02', '1 day', 0.1, '\\x00ff')",
                    number,
                )
                await run.until(lambda number=number: number in room.ids(), "the row")
        for row in room.rows():
            assert {**row["after"], "id": 0} == {
                "id": 0,
                "at": "2026-01-02T03:04:05Z",
                "d": "2026-01-02",
                "i": "P1D",
                "f": 0.1,
                "b": "AP8=",
            }


async def test_a_composite_that_was_altered_is_still_told_whole(room: Room) -> None:
    await room.sql.execute("CREATE TABLE orders (id int PRIMARY KEY, at place)")
    config = room.config()
    await room.set_up(config)
    async with room.running(config) as run:
        await room.sql.execute("INSERT INTO orders VALUES (1, '(1,x)')")
        await run.until(lambda: room.ids() == [1], "the first row")
        await room.sql.execute("ALTER TYPE place ADD ATTRIBUTE more int")
        await room.sql.execute("INSERT INTO orders VALUES (2, '(1,x,5)')")
        await run.until(lambda: room.ids() == [1, 2], "the second row")
    told = [row["after"]["at"] for row in room.rows()]
    assert told[0] == {"number": 1, "name": "x"}
    assert told[1] in ({"number": 1, "name": "x", "more": 5}, "(1,x,5)")


async def test_it_needs_no_word_of_types_that_are_gone(room: Room) -> None:
    await room.sql.execute("CREATE TABLE orders (id int PRIMARY KEY, m mood)")
    config = room.config()
    await room.set_up(config)
    await room.sql.execute("INSERT INTO orders VALUES (1, 'sad')")
    await room.sql.execute("ALTER TABLE orders DROP COLUMN m")
    await room.sql.execute("DROP TYPE mood")
    async with room.running(config) as run:
        await run.until(lambda: room.ids() == [1], "the row")
    assert room.rows()[0]["after"] == {"id": 1, "m": "sad"}

"""What happened with the other sources in a run, gathered from the journals and from the store, read with sqlite3 alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.crash import history, journal
from tests.crash.generator import digest
from tests.crash.history import History, Sent, Stored
from tests.crash.outside.look import SOURCES
from tests.crash.outside.producers import row_text
from tests.crash.outside.room import identity

UNFORESEEN: Final = '"source failed in an unforeseen way"'
"""What the service's log says when a source raised what no source may raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that was written outside. `confirmed`: the server said so, or it was there at the end."""

    source: str
    id: str
    uid: str
    kind: str
    body: str
    at: float
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message of one of these sources, as it is stored. `read`: by which snapshot it was read, 0 for none."""

    number: int
    source: str
    id: str
    type: str
    message_id: str
    body: str
    lsn: int = 0
    index: int = 0
    read: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A reject of one of these sources. `id` is its place in the log, "" elsewhere."""

    source: str
    reason: str
    body: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A message that a rule published."""

    rule: str
    key: str
    cause: str
    body: str
    uid: str


@dataclass(slots=True, kw_only=True)
class Records:
    """Everything that the judge looks at. `history` is what the verifier of webhooks and calls looks at."""

    history: History
    events: Mapping[tuple[str, str], Event] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    looks: list[Mapping[str, Any]] = field(default_factory=list)
    told: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    """The service's own messages about sources: type and data."""
    open: int = 0
    """Events that were begun and never confirmed."""


def load(folder: Path) -> Records:
    """Gather a run from its folder."""
    records = Records(history=history.load(folder))
    records.events = _events(folder, records)
    _read_store(folder / "data" / "pointsman.db", records)
    for record in journal.read(folder / "truth.jsonl"):
        if record["e"] == "out":
            records.published.append(
                Published(**{name: record[name] for name in ("rule", "key", "cause", "body", "uid")})
            )
    with (folder / "service.log").open(encoding="utf-8") as log:
        records.history.troubles += [line[:1000] for line in log if UNFORESEEN in line]
    records.looks = list(journal.read(folder / "looks.jsonl"))
    _complete(records)
    return records


_COMPARED: Final = ("log", "jobs", "rows", "stock")
"""Sources whose messages are compared with what was written, byte by byte or value by value."""


def _events(folder: Path, records: Records) -> dict[tuple[str, str], Event]:
    """Return what was written: records of the topic as they stand there, the rest as the producers say."""
    events: dict[tuple[str, str], Event] = {}
    written: dict[tuple[str, str], float] = {}
    shown: set[str] = set()
    for record in journal.read(folder / "truth.jsonl"):
        if record["e"] == "record":
            uid = f"{record['uid']}-{record['id'].replace(':', '-')}"
            events["log", record["id"]] = Event(
                source="log", id=record["id"], uid=uid, kind=record["kind"], body=record["body"],
                at=record["at"], confirmed=True,
            )  # fmt: skip
        elif record["e"] == "item":
            shown.add(record["id"])
    for record in journal.read(folder / "items.jsonl"):
        events["items", record["id"]] = Event(
            source="items",
            id=record["id"],
            uid=record["id"],
            kind="listed",
            body="",
            at=record["at"],
            confirmed=record["id"] in shown,
        )
    for record in journal.read(folder / "producers.jsonl"):
        if record["e"] == "end":
            records.open = record["open"]
            records.history.troubles.extend(f"a producer failed: {one}" for one in record["failed"])
            continue
        place = record["source"], record["id"]
        if record["source"] == "log":
            there = events.get(place)
            if record["e"] == "ack" and (there is None or there.body != record["body"]):
                records.history.troubles.append(f"the broker lost {record['uid']} at {record['id']}")
            continue
        at = written.setdefault(place, record["at"])
        confirmed = record["e"] == "ack" or (place in events and events[place].confirmed)
        facts = {name: record[name] for name in ("source", "id", "uid", "kind", "body")}
        if record["source"] not in _COMPARED:
            facts["body"] = ""
        events[place] = Event(**facts, at=at, confirmed=confirmed)
    return events


def _read_store(path: Path, records: Records) -> None:
    connection = history.connect(path)
    try:
        names = dict(connection.execute("SELECT number, name FROM names WHERE kind = 'source'"))
        rows = connection.execute("SELECT number, source, type, record FROM messages ORDER BY number")
        for number, place, kind, record in rows:
            source, message = names[place], msgspec.msgpack.decode(record)
            if source in SOURCES:
                records.taken.append(_taken(number, source, kind, message))
            elif source == "pointsman" and kind.startswith("pointsman.source."):
                records.told.append((kind, msgspec.json.decode(message["data"])))
        for place, reason, data, meta in connection.execute("SELECT source, reason, data, meta FROM rejects"):
            if names[place] in SOURCES:
                facts = msgspec.json.decode(meta)
                where = f"{facts['partition']}:{facts['offset']}" if names[place] == "log" else ""
                records.rejected.append(
                    Rejected(source=names[place], reason=reason, body=digest(data), id=where)
                )
    finally:
        connection.close()


def _taken(number: int, source: str, kind: str, message: Mapping[str, Any]) -> Taken:
    meta = message.get("meta", {})
    known = identity(source, kind, message)
    body, lsn, index = digest(message.get("data", b"")), 0, 0
    if source in ("rows", "stock"):
        after = msgspec.json.decode(message["data"])["after"]
        body = digest(row_text(after["writer"], after["place"], after["pad"]))
        high, _, low = meta["lsn"].partition("/")
        lsn = int(high, 16) << 32 | int(low, 16)
        if kind != "postgres.read":
            index = int(message["id"].rpartition("/")[2])
    return Taken(
        number=number,
        source=source,
        id=known,
        type=kind,
        message_id=message["id"],
        body=body if source in _COMPARED else "",
        lsn=lsn,
        index=index,
        read=meta.get("snapshot", 0),
    )


def _complete(records: Records) -> None:
    """Give the common verifier what it needs: these messages under the names that the suite has for them."""
    known = {one.number: one for one in records.taken}
    messages: list[Stored] = []
    for stored in records.history.messages:
        taken = known.get(stored.number)
        if taken is None:
            messages.append(stored)
        elif taken.source != "clock" and not taken.read:
            messages.append(replace(stored, id=taken.id, body=taken.body))
    records.history.messages = messages
    records.history.sent += [
        Sent(
            event="attempt",
            at=event.at,
            id=event.id,
            source=event.source,
            intent="first",
            body=event.body,
            kind=event.kind,
            uid=event.uid,
        )
        for event in records.events.values()
    ]

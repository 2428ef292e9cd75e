"""What happened in a run, gathered from the journals and from the service's database, read with sqlite3 alone."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from tests.crash import journal
from tests.crash.generator import digest

PENDING: Final = (1, 2, 3, 4)
DELIVERED: Final = 10
DEAD: Final = 11
"""Numbers of states, as they lie on disk. The suite does not ask the service what its numbers mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One try of the generator, or what it heard of one. `event` is attempt, ack, nack or unknown."""

    event: str
    at: float
    id: str
    source: str
    intent: str
    body: str
    kind: str = ""
    uid: str = ""
    key: str = ""
    given: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that came to the ledger. `does` is what was done: ok, slow and cut are executed."""

    at: float
    op: str
    uid: str
    key: str
    body: str
    cause: str
    does: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A message in the database."""

    number: int
    source: str
    id: str
    type: str
    body: str
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run in the database."""

    message: int
    rule: str
    run: int
    state: int
    changed_at: int = 0
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """An attempt in the database."""

    message: int
    rule: str
    run: int
    number: int
    step: int
    started_at: int
    ended_at: int
    outcome: str
    status: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One end of the service. `point` is the crash point, or random; `status` how the process ended."""

    point: str
    status: int


@dataclass(slots=True, kw_only=True)
class History:
    """Everything the verifier looks at.

    `seen` are the ends of runs as they stood when the service lay dead; `commands` of the `starts` were the plain
    command, the others forks; `troubles` is what nobody expected.
    """

    sent: list[Sent] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    messages: list[Stored] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    attempts: list[Tried] = field(default_factory=list)
    rejects: Mapping[int, str] = field(default_factory=dict)
    kills: list[Kill] = field(default_factory=list)
    seen: list[Run] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    starts: int = 0
    commands: int = 0


def load(folder: Path) -> History:
    """Read the journals and the database of a run."""
    history = History()
    unacknowledged = None
    for record in journal.read(folder / "generator.jsonl"):
        if record["e"] == "end":
            unacknowledged = record["open"]
        else:
            facts = {
                name: record[name]
                for name in ("at", "id", "source", "intent", "body", "kind", "uid", "key", "given")
                if name in record
            }
            history.sent.append(Sent(event=record["e"], **facts))
    if unacknowledged != 0:
        history.troubles.append(
            f"the generator ended with {unacknowledged} messages that nobody acknowledged"
        )
    for record in journal.read(folder / "ledger.jsonl"):
        history.calls.append(
            Call(**{name: record[name] for name in ("at", "op", "uid", "key", "body", "cause", "does")})
        )
    for record in journal.read(folder / "nemesis.jsonl"):
        if record["e"] == "kill":
            history.kills.append(Kill(point=record["point"], status=record["status"]))
        elif record["e"] == "start":
            history.starts += 1
            history.commands += record["command"]
        elif record["e"] == "ends":
            history.seen.extend(
                Run(message=m, rule=rule, run=run, state=state) for m, rule, run, state in record["runs"]
            )
        elif record["e"] == "trouble":
            history.troubles.append(record["what"])
    _read_database(folder / "data" / "pointsman.db", history)
    return history


_SIGNS: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def base32(number: int) -> str:
    """Return a number as public ids write it (Crockford's base 32)."""
    text = ""
    while number:
        number, digit = divmod(number, 32)
        text = _SIGNS[digit] + text
    return text.rjust(6, "0")


def number_of(public: str) -> int:
    """Return the number behind the public id of a message or a reject."""
    number = 0
    for sign in public.partition("_")[2]:
        number = number * 32 + _SIGNS.index(sign)
    return number


def connect(path: Path) -> sqlite3.Connection:
    """Open a database for reading alone."""
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10)


def ends(connection: sqlite3.Connection, since: int) -> list[tuple[int, str, int, int, int]]:
    """Return the runs that ended at `since` or later: message, rule, run, state, when."""
    return connection.execute(
        "SELECT r.message, n.name, r.run, r.state, r.changed_at FROM runs r"
        " JOIN names n ON n.kind = 'rule' AND n.number = r.rule WHERE r.state >= 10 AND r.changed_at >= ?",
        (since,),
    ).fetchall()


def unfinished(connection: sqlite3.Connection) -> int:
    """Return how many runs have not ended."""
    return int(connection.execute("SELECT count(*) FROM runs WHERE state < 10").fetchone()[0])


def _read_database(path: Path, history: History) -> None:
    connection = connect(path)
    try:
        check = [text for (text,) in connection.execute("PRAGMA integrity_check")]
        if check != ["ok"]:
            history.troubles.append(f"the database is damaged: {check[:3]}")
        names = {
            (kind, number): name
            for kind, number, name in connection.execute("SELECT kind, number, name FROM names")
        }
        for number, source, kind, record in connection.execute(
            "SELECT number, source, type, record FROM messages"
        ):
            message = msgspec.msgpack.decode(record)
            history.messages.append(
                Stored(
                    number=number,
                    source=names["source", source],
                    id=message["id"],
                    type=kind,
                    body=digest(message.get("data", b"")),
                    subject=message.get("subject") or "",
                )
            )
        for message, rule, run, state, at in connection.execute(
            "SELECT message, rule, run, state, changed_at FROM runs"
        ):
            name = f"dlv_{base32(message)}-{rule}-{run}"
            history.runs.append(
                Run(message=message, rule=names["rule", rule], run=run, state=state, changed_at=at, id=name)
            )
        attempts = connection.execute(
            "SELECT message, rule, run, number, step, started_at, ended_at, outcome, status FROM attempts"
        )
        for message, rule, *rest in attempts:
            fields = dict(
                zip(
                    ("run", "number", "step", "started_at", "ended_at", "outcome", "status"),
                    rest,
                    strict=True,
                )
            )
            history.attempts.append(Tried(message=message, rule=names["rule", rule], **fields))
        history.rejects = dict(connection.execute("SELECT number, reason FROM rejects"))
    finally:
        connection.close()

"""The sender, a process of its own: signed webhooks at a paced rate, each repeated until it is acknowledged.

`python -m tests.crash.generator OPTIONS` with OPTIONS as JSON (see `Options`). Every attempt is in the journal, on
the disk, before its first byte leaves; its outcome (ack, nack, unknown) afterwards. A line on standard input, or its
end, means: begin nothing new, bring what was begun to its acknowledgement, and leave.
"""

import asyncio
import contextlib
import hashlib
import random
import sqlite3
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from tests.crash.journal import Journal
from triggers.presets import sign

KINDS: Final[Mapping[str, int]] = {
    "one": 30,
    "pushed": 10,
    "two": 15,
    "across": 12,
    "queued": 8,
    "refused": 6,
    "nothing": 7,
}
"""What is sent, by weight. The kind is the name of the rule that must match; "nothing" matches none."""

TWICE: Final = 0.06
"""Share of messages sent twice on purpose, at the same time on two connections."""

OTHER: Final = 0.04
"""Share of messages followed by another body under the same id."""

KEYS: Final = 6
BURST: Final = 3
"""How many keys the queued messages have, and how many of a key come at once: so that they wait behind each other."""

TICK: Final = 0.01
AGAIN: Final = 0.03
"""Seconds between two tries of one message."""

WAITING: Final = 300
"""Messages that may wait for an acknowledgement; at more, nothing new is begun."""


class Options(msgspec.Struct):
    """What a generator is told. `most`: runs that have not ended in `database` before nothing new is begun; 0: any."""

    journal: str
    port: int
    rate: float
    seed: int
    secrets: dict[str, str]
    run: str
    connections: int = 6
    drain: float = 15.0
    kinds: dict[str, int] = {}
    database: str = ""
    most: int = 0


class Message(msgspec.Struct, frozen=True):
    """One webhook to send. `intent` says why: first, twice (a repeat on purpose), other (the id with another body)."""

    id: str
    source: str
    kind: str
    uid: str
    key: str
    body: bytes
    intent: str


class Generator:
    """Makes messages and sends them over some keep-alive connections."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.random = random.Random(options.seed)
        self.journal = Journal(Path(options.journal))
        self.queue: asyncio.Queue[Message] = asyncio.Queue()
        self.open = 0
        self.made = 0
        self.stopping = asyncio.Event()
        self.finished = asyncio.Event()

    async def run(self) -> int:
        """Send until told to stop; return 0 when everything begun was acknowledged."""
        workers = [asyncio.create_task(self.send_for_ever()) for _ in range(self.options.connections)]
        await asyncio.gather(self.make_for_ever(), self.listen())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.options.drain):
                await self.finished.wait()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        self.journal.write(e="end", at=time.time(), open=self.open)
        self.journal.close()
        return 1 if self.open else 0

    async def listen(self) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await reader.readline()
        self.stopping.set()

    async def make_for_ever(self) -> None:
        """Make messages at the rate, as far as acknowledgements keep up."""
        due = 0.0
        last = time.monotonic()
        while not self.stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self.stopping.wait()
            now = time.monotonic()
            due = min(due + (now - last) * self.options.rate, self.options.rate * 0.2 + 1)
            last = now
            if due >= 1 and self.options.most and self.behind() > self.options.most:
                due = 0.0
            while due >= 1 and self.open < WAITING:
                kinds = self.options.kinds or KINDS
                kind = self.random.choices(list(kinds), list(kinds.values()))[0]
                key = f"k{self.random.randrange(KEYS)}" if kind == "queued" else ""
                for _ in range(BURST if key else 1):
                    due -= 1
                    self.begin(self.make(kind, key))
        if not self.open:
            self.finished.set()

    def behind(self) -> int:
        """Return how many runs have not ended, as far as the database can be read just now."""
        try:
            with contextlib.closing(
                sqlite3.connect(f"file:{self.options.database}?mode=ro", uri=True)
            ) as connection:
                return int(connection.execute("SELECT count(*) FROM runs WHERE state < 10").fetchone()[0])
        except sqlite3.Error:
            return 0  # there is none yet

    def make(self, kind: str, key: str) -> Message:
        self.made += 1
        uid = f"{self.options.run}-{self.made}"
        data = {
            "type": f"order.{kind}",
            "uid": uid,
            "key": key,
            "amount": self.made / 8,
            "pad": "x" * self.random.randrange(400),
        }
        source = "github" if kind == "pushed" else "orders"
        return Message(f"evt-{uid}", source, kind, uid, key, msgspec.json.encode(data), "first")

    def begin(self, message: Message) -> None:
        self.open += 1
        self.queue.put_nowait(message)
        if message.intent == "first" and self.random.random() < TWICE:
            self.open += 1
            self.queue.put_nowait(msgspec.structs.replace(message, intent="twice"))

    async def send_for_ever(self) -> None:
        connection = Connection(self.options.port)
        try:
            while True:
                message = await self.queue.get()
                if await self.send(connection, message):
                    self.acknowledged(message)
                else:
                    await asyncio.sleep(AGAIN)
                    self.queue.put_nowait(message)
        finally:
            connection.close()

    def acknowledged(self, message: Message) -> None:
        self.open -= 1
        if message.intent == "first" and not self.stopping.is_set() and self.random.random() < OTHER:
            body = msgspec.json.encode(
                {"type": f"order.{message.kind}", "uid": f"{message.uid}-other", "key": message.key}
            )
            self.begin(
                msgspec.structs.replace(message, body=body, uid=f"{message.uid}-other", intent="other")
            )
        if self.stopping.is_set() and not self.open:
            self.finished.set()

    async def send(self, connection: "Connection", message: Message) -> bool:
        """Try once; return whether it was acknowledged."""
        facts = {
            "id": message.id,
            "source": message.source,
            "intent": message.intent,
            "body": digest(message.body),
        }
        self.journal.write(
            e="attempt", at=time.time(), kind=message.kind, uid=message.uid, key=message.key, **facts
        )
        self.journal.sync()
        try:
            status, answer = await connection.post(
                f"/hooks/{message.source}", self.headers(message), message.body
            )
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self.journal.write(e="unknown", at=time.time(), why=type(error).__name__, **facts)
            return False
        given = msgspec.json.decode(answer) if status == 202 else {}
        if status != 202 or "id" not in given:
            self.journal.write(e="nack", at=time.time(), status=status, **facts)
            return False
        self.journal.write(e="ack", at=time.time(), given=given["id"], **facts)
        return True

    def headers(self, message: Message) -> dict[str, str]:
        secret = self.options.secrets[message.source]
        if message.source == "github":
            signed = sign("github", secret, message.body, now=time.time())
            return {"x-github-event": "push", "x-github-delivery": message.id, **signed}
        return sign("standard-webhooks", secret, message.body, now=time.time(), id=message.id)


class Connection:
    """One keep-alive connection, opened again when it broke."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def post(self, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Send one request and return status and body of its answer. Whatever goes wrong closes the connection."""
        try:
            # Not wait_for: before Python 3.12 it may lose a cancellation, and a worker would never end.
            async with asyncio.timeout(5):
                return await self._post(target, headers, body)
        except BaseException:
            self.close()
            raise

    async def _post(self, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        if self.writer is None or self.reader is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [
            f"POST {target} HTTP/1.1",
            "host: 127.0.0.1",
            "content-type: application/json",
            f"content-length: {len(body)}",
        ]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        fields = dict(line.partition(": ")[::2] for line in head.split("\r\n")[1:] if line)
        answer = await self.reader.readexactly(int(fields.get("content-length", "0")))
        if fields.get("connection") == "close":
            self.close()
        return int(head.split(" ", 2)[1]), answer

    def close(self) -> None:
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None


def digest(body: bytes) -> str:
    """Return the hash under which journals know a body."""
    return hashlib.blake2b(body, digest_size=12).hexdigest()


if __name__ == "__main__":
    sys.exit(asyncio.run(Generator(msgspec.json.decode(sys.argv[1], type=Options)).run()))

"""One connection: reads requests, keeps their order, writes the answers, keeps the deadlines.

No task per request and no timer per connection: a source answers at once, storing ends in a callback, and the
server's sweep asks every connection about once a second whether it is overdue. What a request means is the
desk's to say; what sound HTTP is, framing's.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Final, cast

from typing_extensions import override

from service.ingest.answers import CONTINUE, Answers
from service.ingest.bodies import Body, ChunkedBody, CountedBody
from service.ingest.census import Census, Counters, Full, peer_key
from service.ingest.desk import Admitted, Desk, Storing
from service.ingest.exchange import Exchange
from service.ingest.forwarded import Address, Proxies, read_address
from service.ingest.framing import CHUNKED, CR, END, Head, check_short, read_head
from service.ingest.limits import Limits
from service.ingest.refusals import Refusal, too_many_connections, too_slow, unavailable
from triggers.base import HttpRequest, Reply


@dataclass(slots=True, kw_only=True)
class Hall:
    """What all connections of one server share. `stopping` makes each answer the last of its connection."""

    desk: Desk
    limits: Limits
    census: Census
    answers: Answers
    proxies: Proxies
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    stopping: bool = False

    @property
    def counters(self) -> Counters:
        """The numbers for the metrics."""
        return self.census.counters


class Phase(Enum):
    """What a connection makes of its input."""

    HEAD = "head"
    BODY = "body"
    DEAF = "deaf"
    """Throws it away: the last answer is given or on its way."""
    CLOSED = "closed"


# The members as plain names: they are compared several times a request.
HEAD: Final = Phase.HEAD
BODY: Final = Phase.BODY
DEAF: Final = Phase.DEAF
CLOSED: Final = Phase.CLOSED


class Connection(asyncio.Protocol):
    """One client's connection."""

    __slots__ = (
        "_admitted", "_awaited", "_began", "_body", "_due", "_head", "_paused", "_peer", "_phase", "_rest",
        "_served", "_stalled_at", "_transport", "_trusted", "_work", "hall", "held", "key", "since",
    )  # fmt: skip

    _transport: asyncio.Transport
    _head: Head
    _admitted: Admitted

    def __init__(self, hall: Hall) -> None:
        self.hall = hall
        self.key: str | None = None
        self.held = 0
        self.since = hall.monotonic()  # when the present head or body began, or the idle time
        self._peer = ""
        self._trusted = False
        self._phase = HEAD
        self._rest = b""  # input that is not a whole head yet, or not to be read yet
        self._body: Body | None = None
        self._work: deque[Exchange] = deque()
        self._began = False  # whether a head is under way
        self._served = False  # whether a request ever came to its end
        self._awaited = False  # whether the client waits for our 100 Continue
        self._paused = False
        self._stalled_at = inf
        self._due = inf  # when a connection that is to close is cut off

    # What the transport tells us.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        if not name or self.hall.stopping:  # It is gone already, or came in the very turn of the stop.
            self._phase = CLOSED
            self._transport.abort()
            return
        hall = self.hall
        address = cast("Address", read_address(name[0]))
        self._peer = str(address)
        self._trusted = hall.proxies.trusts(address)
        self.key = None if self._trusted else peer_key(address)
        self._transport.set_write_buffer_limits(high=hall.limits.write_buffer_bytes)
        full = hall.census.admit(self)
        if full is not None:
            after = hall.limits.retry_after.total_seconds()
            reply = too_many_connections(after) if full is Full.PEER else unavailable(after)
            self._send(reply, close=True, bare=False, linger=False)

    @override
    def data_received(self, data: bytes) -> None:
        if self._phase is DEAF or self._phase is CLOSED:
            return
        self._read(self._rest + data if self._rest else data)

    @override
    def eof_received(self) -> bool:
        """Keep the connection for the answers that are due, if any; half a request is nothing."""
        if self._phase is CLOSED or not self._work:
            return False
        self._work[-1].close = True
        self._deafen()
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._phase = CLOSED
        self._body = None
        self._rest = b""
        self._due = inf
        self.hall.counters.unanswered += len(self._work)
        self._work.clear()
        self.hall.census.leave(self)

    @override
    def pause_writing(self) -> None:
        self._stalled_at = self.hall.monotonic()

    @override
    def resume_writing(self) -> None:
        self._stalled_at = inf
        self._advance()

    # Reading.

    def _read(self, data: bytes) -> None:
        """Read as many requests as there are and may be in work; keep the rest."""
        try:
            position = self._read_requests(data)
        except Refusal as refusal:
            self._refuse(refusal.reply)
            return
        if self._phase is HEAD or self._phase is BODY:
            self._rest = data[position:]
            held = len(self._rest) + (self._body.received if self._body else 0)
            if held != self.held and not self.hall.census.hold(self, held):
                self._refuse(self.hall.desk.unavailable())
        self._regulate()

    def _read_requests(self, data: bytes) -> int:
        """Return how far we came, which is not the end when a head is short or enough is in work."""
        position, size = 0, len(data)
        while position < size:
            if self._phase is HEAD:
                before = position
                if self._is_full() or (position := self._read_head(data, position)) == before:
                    break
            elif self._phase is BODY:
                position = self._read_body(data, position)
            else:
                break
        return position

    def _read_head(self, data: bytes, position: int) -> int:
        """Read a head, and its request when all of it is here; return where we are now.

        That is `position` again when the head is not complete.
        """
        if data[position] == CR and data.startswith(b"\r\n", position):
            return position + 2  # An empty line before a request is to be ignored (RFC 9112, 2.2).
        limits = self.hall.limits
        end = data.find(END, position) + len(END)
        if end < len(END) or end - position > limits.head_bytes:
            seen = len(self._rest) if not position else 0
            check_short(data[position : end if end >= len(END) else None], seen, limits)
            if not self._began:
                self._began = True
                self.since = self.hall.monotonic()
            return position
        head = self._head = read_head(data, position, end, limits)
        try:
            admitted = self._admitted = self.hall.desk.admit(head)
        except Refusal as refusal:
            if head.length:
                raise
            self._finish_reading()
            self._answer(refusal.reply, close=head.close or self.hall.stopping, bare=head.method == "HEAD")
            return end
        if 0 <= head.length <= len(data) - end:
            self._complete(data[end : end + head.length])
            return end + head.length
        self._phase = BODY
        limit = admitted.source.max_body_bytes
        self._body = ChunkedBody(limit) if head.length == CHUNKED else CountedBody(head.length)
        self.since = self.hall.monotonic()
        if head.awaits and end == len(data):
            self._awaited = True
            self._invite()
        return end

    def _read_body(self, data: bytes, position: int) -> int:
        body = cast("Body", self._body)
        self._awaited = False
        position = body.feed(data, position)
        if body.done:
            self._phase = HEAD
            self._body = None
            self._complete(body.take())
        return position

    def _finish_reading(self) -> None:
        """Note that a request is whole: from now on the connection is idle."""
        self._began = False
        self._served = True
        self.since = self.hall.monotonic()

    def _complete(self, body: bytes) -> None:
        """Hand a whole request to the desk."""
        hall, head, admitted = self.hall, self._head, self._admitted
        peer, scheme, host = self._peer, "http", admitted.host
        if self._trusted:
            peer, scheme, host = hall.proxies.sender(peer, host, head.headers)
        self._finish_reading()
        hall.counters.requests += 1
        outcome = hall.desk.receive(
            admitted,
            HttpRequest(
                method=head.method,
                target=head.target,
                path=admitted.path,
                query=admitted.query,
                headers=head.headers,
                body=body,
                peer=peer,
                scheme=scheme,
                host=host,
                now=hall.clock(),
            ),
        )
        self._answer(outcome, close=head.close or hall.stopping, bare=head.method == "HEAD")

    def _refuse(self, reply: Reply) -> None:
        """Answer as the last thing on this connection, with input possibly still coming."""
        if self._phase is not CLOSED:
            self._answer(reply, close=True, linger=True)

    # Answering.

    def _answer(
        self, outcome: Reply | Storing, *, close: bool, bare: bool = False, linger: bool = False
    ) -> None:
        """Send an answer when its turn has come, else queue it."""
        if close:
            self._deafen()
        reply = outcome if isinstance(outcome, Reply) else None
        if reply is not None and not self._work:
            self._send(reply, close=close, bare=bare, linger=linger)
            return
        exchange = Exchange(self.hall.monotonic(), close=close, bare=bare, linger=linger, reply=reply)
        self._work.append(exchange)
        if isinstance(outcome, Storing):
            exchange.await_storing(outcome, self.hall.desk, self._flush)

    def _flush(self) -> None:
        """Send the answers whose turn has come, then read on."""
        work = self._work
        while work and self._phase is not CLOSED and (reply := work[0].reply) is not None:
            exchange = work.popleft()
            self._send(reply, close=exchange.close, bare=exchange.bare, linger=exchange.linger)
        self._advance()

    def _send(self, reply: Reply, *, close: bool, bare: bool, linger: bool) -> None:
        counts = self.hall.counters.answers
        counts[reply.status] = counts.get(reply.status, 0) + 1
        self._transport.write(self.hall.answers.encode(reply, self.hall.clock(), close=close, bare=bare))
        if close:
            self._finish(linger=linger)

    def _finish(self, *, linger: bool) -> None:
        """Close after the last answer; with `linger`, only after the client had time to read it.

        Closing a socket that has unread input resets the connection and may destroy the answer on its way.
        """
        limits = self.hall.limits
        self._deafen()
        if linger and self._transport.can_write_eof():
            self._due = self.hall.monotonic() + limits.linger_time.total_seconds()
            self._transport.write_eof()
        else:
            self._due = self.hall.monotonic() + limits.write_time.total_seconds()
            self._phase = CLOSED
            self._transport.close()

    def _invite(self) -> None:
        """Say 100 Continue to a client that waits for it, once the answers before it are out."""
        if self._awaited and not self._work:
            self._awaited = False
            self.since = self.hall.monotonic()
            self._transport.write(CONTINUE)

    # Pace.

    def _is_full(self) -> bool:
        return len(self._work) >= self.hall.limits.pipelined or self._stalled_at != inf

    def _advance(self) -> None:
        """Go on after answers went out: with what was read already, then with the socket."""
        if self._phase is CLOSED:
            return
        self._invite()
        if self._rest and not self._is_full():
            rest, self._rest = self._rest, b""
            self._read(rest)
        else:
            self._regulate()

    def _regulate(self) -> None:
        """Stop or start reading the socket, as the answers that are due demand."""
        if self._phase is CLOSED:
            return
        hold = self._is_full() if self._phase is HEAD else self._phase is BODY and self._stalled_at != inf
        if hold != self._paused:
            self._paused = hold
            if hold:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _deafen(self) -> None:
        """Read no further request."""
        self._phase = DEAF
        self._body = None
        self._rest = b""
        self._awaited = False
        self.hall.census.hold(self, 0)
        self._regulate()

    # What the server and the census ask of us.

    def sweep(self, now: float) -> None:
        """Close or refuse what is overdue at `now`."""
        limits = self.hall.limits
        if now >= self._due:
            self.abort()
        elif now - self._stalled_at >= limits.write_time.total_seconds():
            self.hall.counters.timed_out += 1
            self.abort()
        else:
            self._sweep_work(now - limits.answer_time.total_seconds())
            if not self._paused and not self._awaited:
                self._sweep_input(now - self.since)

    def _sweep_work(self, latest: float) -> None:
        """Answer 503 where storing has been going on since `latest` or before."""
        overdue = [exchange for exchange in self._work if exchange.since <= latest and exchange.reply is None]
        for exchange in overdue:
            self.hall.counters.timed_out += 1
            exchange.reply = self.hall.desk.unavailable()
        if overdue:
            self._flush()

    def _sweep_input(self, took: float) -> None:
        """Refuse the request that has been coming in for too long; close when there is none."""
        limits = self.hall.limits
        if self._phase is BODY and self._body is not None:
            allowed = limits.body_grace.total_seconds() + self._body.received / limits.body_rate
            if took >= min(allowed, limits.body_time.total_seconds()):
                self._time_out("Its body took too long.")
        elif self._phase is HEAD and self._began:
            if took >= limits.head_time.total_seconds():
                self._time_out("Its header fields took too long.")
        elif self._phase is HEAD and not self._work:
            idle = limits.idle_time if self._served else limits.head_time
            if took >= idle.total_seconds():
                self.hall.counters.timed_out += 1
                self._finish(linger=False)

    def _time_out(self, detail: str) -> None:
        self.hall.counters.timed_out += 1
        self._refuse(too_slow(detail))

    def stop(self) -> None:
        """End gracefully: at once when idle, else with the answers that are due."""
        if self._phase is HEAD and self._work:
            self._work[-1].close = True
            self._work[-1].linger = bool(self._rest)
            self._deafen()
        elif self._phase is HEAD and not self._began:
            self._finish(linger=False)

    def abort(self) -> None:
        """Cut the connection off."""
        self._phase = CLOSED
        self._transport.abort()

    def patience(self) -> int | None:
        """Return how early it may be closed to make room, as the census wants to know it."""
        if self._work:
            return None
        if self._phase is BODY:
            return 2
        return 1 if self._phase is HEAD and self._served and not self._began else 0

    def evict(self) -> None:
        """Close at once, to make room."""
        self.hall.census.leave(self)
        self.abort()

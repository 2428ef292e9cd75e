"""What one client, and all of them together, may cost the ingest server.

Values only. Bytes and counts are checked as they arrive, times by the server's sweep, about once a second.
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the ingest server. The largest body is each source's own (`max_body_bytes`)."""

    target_bytes: int = 8_192
    """Longest request target; a longer one is 414."""
    head_bytes: int = 32_768
    """Largest request line and header fields together; more is 431."""
    headers: int = 128
    """Most header fields; more is 431."""
    pipelined: int = 16
    """Requests of one connection that may wait for their answers; beyond it the connection is not read."""
    write_buffer_bytes: int = 65_536
    """Answers waiting in one connection's buffer; beyond it the connection is not read."""
    held_bytes: int = 64 * 1024 * 1024
    """Unfinished heads and bodies of all connections together."""

    connections: int = 4_096
    """Most connections at once; half of the descriptors that the process may open is never exceeded."""
    connections_per_peer: int = 512
    """Most connections of one address (IPv6: one /64). Trusted proxies are not counted."""
    backlog: int = 1_024
    """Connections that the kernel keeps until they are accepted."""

    head_time: timedelta = timedelta(seconds=10)
    """From the first byte of a request (or the connection) until its header fields are complete."""
    idle_time: timedelta = timedelta(seconds=75)
    """How long a connection may stay open between two requests."""
    body_time: timedelta = timedelta(seconds=60)
    """The longest a body may take, however large."""
    body_grace: timedelta = timedelta(seconds=5)
    """How long a body may take before its rate counts."""
    body_rate: int = 1_024
    """Bytes a second that a body must bring once its grace is over."""
    answer_time: timedelta = timedelta(seconds=30)
    """How long storing may take before the sender is told 503; it may be stored all the same."""
    write_time: timedelta = timedelta(seconds=10)
    """How long a client may leave its answers unread."""
    linger_time: timedelta = timedelta(seconds=2)
    """How long input is thrown away after a refusal, so that the client can read the answer."""
    evict_after: timedelta = timedelta(milliseconds=100)
    """How long a connection that keeps others out may owe its head or be idle before it is closed."""
    evict_body_after: timedelta = timedelta(seconds=1)
    """How long the body of one that keeps others out may take before it is closed."""
    retry_after: timedelta = timedelta(seconds=5)
    """What a 503 or 429 says in Retry-After unless something better is known."""

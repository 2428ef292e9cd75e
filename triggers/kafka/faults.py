"""What a driver raises, said as what the caller should do. Nothing else of a driver's leaves this package."""

import asyncio
import gzip
import ssl
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiokafka import codec, errors

from triggers.errors import SourceRejected, SourceUnavailable, TriggerError

REFUSALS: Final = (
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.InvalidTopicError,
    errors.InvalidGroupIdError,
    errors.InvalidSessionTimeoutError,
    errors.InconsistentGroupProtocolError,
    errors.UnsupportedVersionError,
    errors.IncompatibleBrokerVersion,
    errors.UnrecognizedBrokerVersion,
    ssl.SSLCertVerificationError,
)
"""What stays so until somebody changes the configuration or the cluster."""

DRIVER: Final = (errors.KafkaError, errors.ConsumerStoppedError, OSError, TimeoutError, EOFError)
"""What aiokafka raises when a broker is gone, refuses, or answers what it should not."""


_cramjam: Final = getattr(
    codec, "cramjam", None
)  # what aiokafka opens snappy, lz4 and zstd with, if it is there
DAMAGE: Final[tuple[type[Exception], ...]] = (
    errors.UnsupportedCodecError,
    errors.CorruptRecordException,
    ArithmeticError,
    EOFError,
    LookupError,
    NotImplementedError,
    ValueError,
    gzip.BadGzipFile,
    struct.error,
    zlib.error,
    *((_cramjam.DecompressionError,) if _cramjam else ()),
)
"""What opening a record batch raises when its codec is unknown or its inside is not what it should be."""


class Damaged(Exception):
    """Some record batch cannot be opened. What was polled is gone: every partition has to be sought again."""


@contextmanager
def told(what: str) -> Iterator[None]:
    """Say what a driver raises: SourceUnavailable or SourceRejected, with `what` was being done."""
    try:
        yield
    except DRIVER as error:
        raise translated(what, error) from error


@contextmanager
def asked_for() -> Iterator[None]:
    """Let a cancellation pass that somebody asked for; any other comes from inside a library (F20)."""
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise SourceUnavailable("the driver gave up in the middle of its work") from error


def translated(what: str, error: BaseException) -> TriggerError:
    """Return our error for a driver's."""
    refused = isinstance(error, REFUSALS) or isinstance(error.__cause__, REFUSALS)
    return (SourceRejected if refused else SourceUnavailable)(f"{what}: {plain(error)}")


def plain(error: BaseException) -> str:
    """Return in one line what a driver's error says, without its own decoration."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, errors.BrokerResponseError):
        said = " ".join(str(argument) for argument in error.args)
        return f"{error.message} ({said})"[:256] if said else str(error.description or error.message)
    return " ".join(str(error).split())[:256] or type(error).__name__

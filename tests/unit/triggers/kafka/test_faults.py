"""What the driver raises is said as what the caller should do, and what fails for a while is shown."""

import asyncio
import ssl

import pytest
from aiokafka import errors

from tests.fakes.sources import Reports
from tests.tables import every_row
from triggers.errors import SourceRejected, SourceUnavailable
from triggers.kafka.commits import Commits
from triggers.kafka.faults import DAMAGE, DRIVER, asked_for, plain, told, translated
from triggers.kafka.member import NotCommitted
from triggers.kafka.offsets import Partition
from triggers.kafka.watching import Patience

ONE = Partition("orders", 0)


def driver_errors() -> list[type[Exception]]:
    """Return all that aiokafka may raise; misuse of it, and a base that nobody raises, apart."""
    apart = (errors.IllegalOperation, errors.BrokerResponseError)
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Exception)]
    return [one for one in classes if one not in apart]


@every_row("raised", driver_errors(), ids=lambda one: one.__name__)
def test_every_error_of_the_driver_is_known(raised: type[Exception]) -> None:
    assert issubclass(raised, DRIVER)
    said = translated("reading", raised("what it says"))
    assert isinstance(said, SourceUnavailable | SourceRejected)
    assert str(said).startswith("reading: ")
    assert "\n" not in str(said)


@every_row(
    ("error", "kind", "words"),
    [
        (errors.SaslAuthenticationFailed("no such user"), SourceRejected, "no such user"),
        (errors.TopicAuthorizationFailedError("orders"), SourceRejected, "orders"),
        (ssl.SSLCertVerificationError(1, "self-signed"), SourceRejected, "self-signed"),
        (errors.NotLeaderForPartitionError(), SourceUnavailable, "leader"),
        (errors.KafkaConnectionError("Unable to bootstrap"), SourceUnavailable, "Unable to bootstrap"),
        (ConnectionRefusedError(111, "Connection refused"), SourceUnavailable, "Connection refused"),
        (TimeoutError(), SourceUnavailable, "no answer in time"),
        (EOFError(), SourceUnavailable, "EOFError"),
    ],
)
def test_refusals_are_told_from_what_passes(error: Exception, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match="joining: ") as caught, told("joining"):
        raise error
    assert words in str(caught.value)
    assert caught.value.__cause__ is error


def test_a_refusal_below_another_error_is_seen() -> None:
    above = errors.KafkaConnectionError("closed")
    above.__cause__ = errors.SaslAuthenticationFailed("no such user")
    assert isinstance(translated("x", above), SourceRejected)


def test_what_is_ours_passes_untouched() -> None:
    with pytest.raises(KeyError), told("x"):
        raise KeyError


def test_texts_are_one_line_and_bounded() -> None:
    assert plain(errors.KafkaError("a\n  b" + "c" * 1000)) == ("KafkaError: a b" + "c" * 1000)[:256]


def test_damage_covers_what_opening_a_batch_raises() -> None:
    for one in (UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), IndexError(), OverflowError(), EOFError()):
        assert isinstance(one, DAMAGE)


async def test_a_cancellation_that_nobody_asked_for_is_no_shutdown() -> None:
    with pytest.raises(SourceUnavailable, match="driver gave up"), asked_for():
        raise asyncio.CancelledError


async def test_a_cancellation_that_was_asked_for_passes() -> None:
    async def work() -> None:
        with asked_for():
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


def test_what_fails_for_a_while_is_shown_and_what_fails_for_long_ends_the_run() -> None:
    report = Reports()
    patience = Patience("unreachable", "start it", 1000, report)
    patience.went_well()
    patience.failed(SourceUnavailable("gone"))
    patience.failed(SourceUnavailable("still gone"))
    assert report.warnings == {"unreachable": ("still gone", "start it")}
    patience.went_well()
    assert report.warnings == {}
    short = Patience("unreachable", "start it", 0, report)
    with pytest.raises(SourceUnavailable, match="gone for good"):
        short.failed(SourceUnavailable("gone for good"))


class Group:
    """A member whose commits fail so many times."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    async def commit(self, offsets: object) -> None:
        if self.failures:
            self.failures -= 1
            raise NotCommitted("the group has moved on")


async def test_a_commit_that_fails_is_counted_and_shown_until_one_goes_well() -> None:
    report = Reports()
    commits = Commits(Group(2).commit, "shop", report)
    assert not await commits.commit({ONE: 1})
    assert not await commits.commit({ONE: 2})
    (text, _) = report.warnings["commit-failed"]
    assert "group shop (2 times in this run): the group has moved on" in text
    assert await commits.commit({ONE: 3})
    assert report.warnings == {}


async def test_partitions_stay_behind_until_they_are_committed_or_anothers() -> None:
    report = Reports()
    commits = Commits(Group(2).commit, "shop", report)
    two, three = Partition("orders", 1), Partition("orders", 2)
    assert not await commits.commit({ONE: 1, two: 1})
    assert not await commits.commit({three: 5})
    assert await commits.commit({})  # which says nothing
    assert await commits.commit({two: 2})
    assert commits.behind({ONE, two, three}) == {ONE, three}
    assert "commit-failed" in report.warnings
    assert commits.behind({ONE}) == {ONE}
    assert commits.behind({ONE, three}) == {ONE}
    assert "commit-failed" in report.warnings
    assert commits.behind({two}) == set()
    assert report.warnings == {}

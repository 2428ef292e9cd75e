"""Says whether the promise was kept for the sources that are not webhooks: a pure function from records to a verdict.

What runs and calls owe is judged by `verifier`; here is what sources owe: nothing lost, nothing twice, nothing out of
order, and at no moment that was looked at a position outside that is ahead of the store.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from tests.crash.history import DELIVERED, base32
from tests.crash.outside.records import Published, Records, Taken
from tests.crash.outside.room import STOCK
from tests.crash.verifier import Verdict, verify

ORDERED: Final = ("rows", "stock")


def judge(records: Records) -> Verdict:
    """Judge a run, with everything that `verifier` judges."""
    verdict = verify(records.history)
    _Judge(records, verdict).judge()
    return verdict


class _Judge:
    def __init__(self, records: Records, verdict: Verdict) -> None:
        self.records = records
        self.verdict = verdict
        self.taken: dict[str, list[Taken]] = defaultdict(list)
        for one in records.taken:
            self.taken[one.source].append(one)
        self.stored = {(one.source, one.id): one for one in records.taken if not one.read}

    def judge(self) -> None:
        self.check_confirmed()
        self.check_rejects()
        self.check_order()
        self.check_looks()
        self.check_snapshots()
        self.check_clock()
        self.check_published()
        self.check_told()
        self.count()

    # -- nothing lost, nothing made up

    def check_confirmed(self) -> None:
        """Everything that a server confirmed is there as it was written; what is no JSON, as a reject."""
        rejected = {(one.source, one.id or one.body) for one in self.records.rejected}
        for event in self.records.events.values():
            what = f"{event.source}/{event.id} ({event.uid}, {event.kind})"
            if event.kind == "bad":
                place = event.id if event.source == "log" else event.body
                if event.confirmed and (event.source, place) not in rejected:
                    self.verdict.breach("lost", f"{what}: no reject")
                continue
            taken = self.stored.get((event.source, event.id))
            if taken is None:
                if event.confirmed:
                    self.verdict.breach("lost", f"{what}: confirmed, and not there")
            elif taken.body != event.body:
                self.verdict.breach(
                    "changed", f"{what}: stored with another body, msg_{base32(taken.number)}"
                )

    def check_rejects(self) -> None:
        """Rejects are of what was bad, of a place in a log one."""
        bad = {
            (event.source, event.id if event.source == "log" else event.body)
            for event in self.records.events.values()
            if event.kind == "bad"
        }
        for one in self.records.rejected:
            if (one.source, one.id or one.body) not in bad:
                self.verdict.breach("unexpected", f"a reject of {one.source}: {one.reason} at {one.id}")
        for place, count in Counter(one.id for one in self.records.rejected if one.source == "log").items():
            if count > 1:
                self.verdict.breach("accepted twice", f"log/{place} was rejected {count} times")

    # -- order

    def check_order(self) -> None:
        """Of a partition, of a table's commits, of one writer, of the outbox: stored as written."""
        partitions: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for one in self.taken["log"]:
            partition, _, offset = one.id.partition(":")
            partitions[partition].append((int(offset), one.id))
        for places in partitions.values():
            self._ascending("log", places)
        for source in ORDERED:
            changes = [one for one in self.taken[source] if not one.read]
            self._ascending(source, [((one.lsn, one.index), one.id) for one in changes])
            writers: dict[str, list[tuple[int, str]]] = defaultdict(list)
            for one in changes:
                _, writer, place = one.id.rsplit("-", 2)
                writers[writer].append((int(place), one.id))
            for places in writers.values():
                self._ascending(source, places)
        self._ascending("box", [(int(one.id.rpartition("-")[2]), one.id) for one in self.taken["box"]])
        self._ascending("items", [(int(one.id.rpartition("-")[2]), one.id) for one in self.taken["items"]])

    def _ascending(self, source: str, places: Iterable[tuple[Any, str]]) -> None:
        for (before, earlier), (after, later) in pairwise(places):
            if not before < after:
                self.verdict.breach("order", f"{source}: {later} was stored after {earlier}")

    # -- positions (I7)

    def check_looks(self) -> None:
        """Whenever the service lay dead, no server believed that more was stored than was."""
        for look in self.records.looks:
            for partition, (outside, stored) in (look.get("kafka") or {}).items():
                if outside > stored:
                    self.verdict.breach(
                        "ahead", f"partition {partition}: {outside} committed, {stored} stored"
                    )
            for source, (outside, stored) in (look.get("postgres") or {}).items():
                if outside > stored:
                    self.verdict.breach("ahead", f"slot of {source}: {outside} confirmed, {stored} stored")
            queue = look.get("rabbitmq")
            if queue and queue["ready"] < queue["owed"]:
                self.verdict.breach("ahead", f"the queue has {queue['ready']}, and {queue['owed']} are owed")

    # -- snapshots, the clock

    def check_snapshots(self) -> None:
        """A snapshot that says it is done has read every row."""
        rows: dict[int, set[str]] = defaultdict(set)
        for one in self.taken["stock"]:
            if one.read:
                rows[one.read].add(one.message_id)
        done = [
            data["number"] for kind, data in self.records.told if kind == "pointsman.source.snapshot-done"
        ]
        for number in done:
            if len(rows[number]) != STOCK:
                self.verdict.breach("lost", f"snapshot {number} has read {len(rows[number])} of {STOCK} rows")
        self.verdict.counts["snapshots"] = len(done)

    def check_clock(self) -> None:
        """Each second from the first tick to the last has its message, and one."""
        ticks = [one.message_id.partition("/")[2] for one in self.taken["clock"]]
        for tick, count in Counter(ticks).items():
            if count > 1:
                self.verdict.breach("accepted twice", f"the tick of {tick} is there {count} times")
        seconds = [datetime.fromisoformat(tick).timestamp() for tick in ticks]
        for before, after in pairwise(seconds):
            if after > before + 1:
                self.verdict.breach("lost", f"no ticks between {before:.0f} and {after:.0f}")

    # -- what rules published

    def check_published(self) -> None:
        """A delivered run has published; all it published has one id and one body, and an attempt of its own."""
        sent: dict[tuple[str, str], list[Published]] = defaultdict(list)
        for one in self.records.published:
            sent[one.rule, one.cause].append(one)
        attempts = Counter((one.rule, one.message) for one in self.records.history.attempts)
        for run in self.records.history.runs:
            if run.rule not in PUBLISHING:
                continue
            cause = f"msg_{base32(run.message)}"
            published = sent.pop((run.rule, cause), [])
            what = f"{run.rule} of {cause}"
            if run.state == DELIVERED and not published:
                self.verdict.breach("lost", f"{what} is delivered, and nothing was published")
            if len({one.key for one in published}) > 1:
                self.verdict.breach("other key", f"{what} has published {len(published)} times")
            if len({one.body for one in published}) > 1:
                self.verdict.breach("other body", f"{what} has published {len(published)} times")
            if run.state == DELIVERED and len(published) > attempts[run.rule, run.message]:
                tried = attempts[run.rule, run.message]
                self.verdict.breach("intent", f"{what}: {len(published)} published, {tried} attempts")
        for rule, cause in sent:
            self.verdict.breach("unexpected", f"{rule} of {cause} has published, and there is no such run")
        self.verdict.counts["published"] = len(self.records.published)
        self.verdict.counts["published again"] = len(self.records.published) - len(
            {(one.rule, one.cause) for one in self.records.published}
        )

    # -- what the service said

    def check_told(self) -> None:
        """No source has ever declared a gap, been refused or stood still: nothing of that happened outside."""
        for kind, data in self.records.told:
            if kind in ("pointsman.source.gap", "pointsman.source.refused", "pointsman.source.stuck"):
                self.verdict.breach("trouble", f"{kind}: {data}")

    def count(self) -> None:
        """Count what people ask for."""
        counts = self.verdict.counts
        for source, taken in sorted(self.taken.items()):
            counts[f"from {source}"] = len(taken)
        counts["confirmed"] = sum(event.confirmed for event in self.records.events.values())
        counts["rejects"] = len(self.records.rejected)
        for kind in ("kafka", "postgres", "rabbitmq"):
            counts[f"looks at {kind}"] = sum(bool(look.get(kind)) for look in self.records.looks)


PUBLISHING: Final = frozenset({"forwarded", "passed"})
"""Rules that publish."""

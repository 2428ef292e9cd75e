"""Says whether the promise was kept: a pure function from a history to a verdict.

It asks what was sent, what was called and what lies in the database, never the service. What is pending is told apart
from what is lost: a backlog is no loss, but after the time to drain it is a fault of its own (not live).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.crash.history import DEAD, DELIVERED, Call, History, Run, Sent, Stored, Tried, base32, number_of

STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "one": ("records",),
    "pushed": ("records",),
    "two": ("reservations", "confirmations"),
    "across": ("reservations", "confirmations"),
    "queued": ("sequences",),
    "refused": ("refusals",),
    "told": ("notices",),
    # of several requests; "" changes nothing: `calls.judge` looks at it
    "paged": ("", "gathered"),
    "job": ("jobs",),
    "edited": ("things",),
    "policed": ("policed",),
    "hooked": ("hooked",),
    "older": ("records",),
    # of the other sources; what two of them publish is judged by `outside.judge`
    "logged": ("records",),
    "forwarded": (),
    "fetched": ("records",),
    "passed": (),
    "changed": ("records",),
    "restocked": ("records",),
    "boxed": ("records",),
    "listed": ("records",),
}
"""What each rule calls, step by step. A message's kind is the name of the rule that must match it."""

ANSWERED: Final = frozenset({"ok", "slow"})
"""What the ledger did that can have reached the service as a success."""

EARLY_MS: Final = 50
"""Milliseconds that the clocks of two processes may be apart."""

LATE_MS: Final = 1000
"""Milliseconds that a request of a killed process may lie at a busy ledger before it is written down."""

SAMPLES: Final = 5


@dataclass(slots=True)
class Verdict:
    """What was counted, and every breach of the promise by kind, with the first samples of each."""

    counts: dict[str, int] = field(default_factory=dict)
    breaches: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    kills: Counter[str] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        """Whether the promise was kept, as far as this history shows."""
        return not self.breaches

    def breach(self, kind: str, what: str) -> None:
        """Note a breach."""
        self.breaches[kind] += 1
        if len(self.samples[kind]) < SAMPLES:
            self.samples[kind].append(what)

    def shown(self) -> dict[str, Any]:
        """Return the verdict as JSON."""
        return {
            "clean": self.clean,
            "counts": self.counts,
            "breaches": dict(self.breaches),
            "samples": dict(self.samples),
            "kills": dict(sorted(self.kills.items())),
        }


def verify(history: History) -> Verdict:
    """Judge a history."""
    return _Verifier(history).verify()


def merge(verdicts: Sequence[Verdict], least: Mapping[str, int] | None = None) -> Verdict:
    """Return the sum of the verdicts of several runs. `least` says how often each point must have killed in all."""
    whole = Verdict()
    for verdict in verdicts:
        for name, count in verdict.counts.items():
            whole.counts[name] = whole.counts.get(name, 0) + count
        whole.breaches.update(verdict.breaches)
        whole.kills.update(verdict.kills)
        for kind, samples in verdict.samples.items():
            whole.samples[kind].extend(samples)
    for point, wanted in (least or {}).items():
        if whole.kills[point] < wanted:
            whole.breach("point", f"{point} killed {whole.kills[point]} times, {wanted} were wanted")
    return whole


class _Verifier:
    def __init__(self, history: History) -> None:
        self.history = history
        self.verdict = Verdict()
        self.attempts = [one for one in history.sent if one.event == "attempt"]
        self.acks = [one for one in history.sent if one.event == "ack"]
        self.first = {(one.source, one.id): one for one in self.attempts if one.intent != "other"}
        self.by_number = {one.number: one for one in history.messages}
        self.stored = {(one.source, one.id): one for one in history.messages}
        self.runs: dict[tuple[int, str], list[Run]] = defaultdict(list)
        for run in sorted(history.runs, key=lambda one: one.run):
            self.runs[run.message, run.rule].append(run)
        self.tried: dict[tuple[int, str], list[Tried]] = defaultdict(list)
        for tried in history.attempts:
            self.tried[tried.message, tried.rule].append(tried)
        self.calls: dict[tuple[int, str], list[Call]] = defaultdict(list)

    def verify(self) -> Verdict:
        self._place_calls()
        self._check_acknowledged()
        self._check_identities()
        for (number, rule), runs in self.runs.items():
            self._check_ends(number, rule, runs)
            self._check_keys(number, rule)
            self._check_intents(number, rule)
        self._check_seen()
        self._check_order()
        self._check_acceptance_order()
        self._check_deaths()
        self._check_kills()
        self._count()
        return self.verdict

    # -- calls and what caused them (I2)

    def _place_calls(self) -> None:
        """Put every call to the run that it was made for; a call without one was not to be made."""
        numbers = {
            one.uid: self.stored[place].number for place, one in self.first.items() if place in self.stored
        }
        rules = {one.uid: one.kind for one in self.first.values()}
        deaths = {
            one.subject: one.number for one in self.history.messages if one.type == "pointsman.delivery.dead"
        }
        for call in self.history.calls:
            number = deaths.get(call.uid) if call.op == "notices" else numbers.get(call.uid)
            rule = "told" if call.op == "notices" else rules.get(call.uid, "")
            if number is None or call.op not in STEPS.get(rule, ()) or (number, rule) not in self.runs:
                self.verdict.breach("unexpected", f"{call.op} of {call.uid} ({call.cause})")
            elif call.cause != _message(number):
                self.verdict.breach("unexpected", f"{call.op} of {call.uid} says it comes from {call.cause}")
            else:
                self.calls[number, rule].append(call)
        for calls in self.calls.values():
            calls.sort(key=lambda one: one.at)

    # -- what was accepted (I1)

    def _check_acknowledged(self) -> None:
        """Everything acknowledged is there: the message, its run of the rule that matches it, its calls."""
        for ack in self.acks:
            what = f"{ack.source}/{ack.id} ({ack.given})"
            if ack.intent == "other":
                if not ack.given.startswith("rej_"):
                    self.verdict.breach("conflict accepted", what)
                elif self.history.rejects.get(number_of(ack.given)) != "id-conflict":
                    self.verdict.breach("lost", f"{what}: the reject is not there")
                continue
            message = self.by_number.get(number_of(ack.given)) if ack.given.startswith("msg_") else None
            if message is None or (message.source, message.id, message.body) != (
                ack.source,
                ack.id,
                ack.body,
            ):
                self.verdict.breach("lost", f"{what}: acknowledged, and not there")
        for message in self.history.messages:
            sent = self.first.get((message.source, message.id))
            if sent is not None and sent.kind in STEPS and (message.number, sent.kind) not in self.runs:
                self.verdict.breach("lost", f"{_message(message.number)} has no run of {sent.kind}")
        for (number, rule), runs in self.runs.items():
            if runs[-1].state == DELIVERED:
                done = {call.op for call in self.calls[number, rule] if call.does in ANSWERED}
                for step in STEPS.get(rule, ()):
                    if step and step not in done:
                        self.verdict.breach(
                            "lost", f"{_name(runs[-1])} is delivered, and {step} was never done"
                        )

    def _check_identities(self) -> None:
        """One identity is one message, whose public id every acknowledgement gives; runs are those of its kind."""
        given: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        for ack in self.acks:
            if ack.intent != "other":
                given[ack.source, ack.id, ack.body].add(ack.given)
        for (source, identity, _body), names in given.items():
            if len(names) > 1:
                self.verdict.breach("accepted twice", f"{source}/{identity}: {sorted(names)}")
        times = Counter((one.source, one.id) for one in self.history.messages if one.source != "pointsman")
        for place, count in times.items():
            if count > 1:
                self.verdict.breach("accepted twice", f"{'/'.join(place)} is there {count} times")
            if place not in self.first:
                self.verdict.breach("unexpected", f"nobody sent {'/'.join(place)}")
        for number, rule in self.runs:
            if not self._matches(self.by_number.get(number), rule):
                self.verdict.breach("unexpected", f"{_message(number)} has a run of {rule}")

    def _matches(self, message: Stored | None, rule: str) -> bool:
        if message is None:
            return False
        if message.source == "pointsman":
            return rule == "told" and message.type == "pointsman.delivery.dead"
        sent = self.first.get((message.source, message.id))
        return sent is None or sent.kind == rule

    # -- ends (I6)

    def _check_ends(self, number: int, rule: str, runs: list[Run]) -> None:
        """One end for each run, one run at a time, and no call once the last one has ended."""
        if [run.run for run in runs] != list(range(1, len(runs) + 1)):
            self.verdict.breach("ends", f"{_name(runs[-1])}: there are the runs {[run.run for run in runs]}")
        for run in runs:
            refused = any(one.outcome == "refused" for one in self.tried[number, rule] if one.run == run.run)
            if run.state == DEAD and not refused:
                self.verdict.breach("ends", f"{_name(run)} is dead, and nobody refused it")
        for run in runs[:-1]:
            if run.state != DEAD:
                self.verdict.breach("ends", f"{_name(run)} is {run.state}, and another run follows")
        last = runs[-1]
        if last.state < DELIVERED:
            self.verdict.breach("pending", f"{_name(last)} is {last.state} after the time to drain")
            return
        if last.state not in (DELIVERED, DEAD) or (last.state == DEAD and rule != "refused"):
            self.verdict.breach("ends", f"{_name(last)} ended as {last.state}")
        calls = self.calls[number, rule]
        if calls and calls[-1].at * 1000 > last.changed_at + LATE_MS:
            self.verdict.breach("ends", f"{_name(last)} was called after its end")

    def _check_seen(self) -> None:
        """An end that once stood in the database stands there for ever."""
        states = {(run.message, run.rule, run.run): run.state for run in self.history.runs}
        for run in self.history.seen:
            if states.get((run.message, run.rule, run.run)) != run.state:
                self.verdict.breach("ends", f"{_name(run)} was {run.state} and is so no longer")

    # -- repeats (I4)

    def _check_keys(self, number: int, rule: str) -> None:
        """Every repeat of a step carries the same key and the same body."""
        for step in STEPS.get(rule, ()):
            calls = [call for call in self.calls[number, rule] if call.op == step]
            if any(not call.key for call in calls):
                self.verdict.breach("other key", f"{step} of {_message(number)} came without a key")
            if len({call.key for call in calls}) > 1:
                self.verdict.breach("other key", f"{step} of {_message(number)}: {len(calls)} calls")
            if len({call.body for call in calls}) > 1:
                self.verdict.breach("other body", f"{step} of {_message(number)}: {len(calls)} calls")

    # -- intent before effect (I3)

    def _check_intents(self, number: int, rule: str) -> None:
        """Every call lies within an attempt of its own that was recorded."""
        for place, step in enumerate(STEPS.get(rule, ())):
            tried = sorted(
                (one for one in self.tried[number, rule] if one.step == place), key=lambda one: one.started_at
            )
            for call in self.calls[number, rule]:
                if call.op != step:
                    continue
                at = call.at * 1000
                found = next(
                    (one for one in tried if one.started_at - EARLY_MS <= at <= one.ended_at + LATE_MS), None
                )
                if found is None:
                    if self.runs[number, rule][-1].state >= DELIVERED:
                        self.verdict.breach("intent", f"{step} of {_message(number)} at {at:.0f}: no attempt")
                else:
                    tried.remove(found)

    # -- order (I5)

    def _check_order(self) -> None:
        """The calls of one key come in the order of acceptance, one message after the other."""
        keys: dict[str, list[int]] = defaultdict(list)
        for place, sent in self.first.items():
            if sent.kind == "queued" and place in self.stored:
                keys[sent.key].append(self.stored[place].number)
        for key, numbers in keys.items():
            before: Call | None = None
            for number in sorted(numbers):
                calls = self.calls[number, "queued"]
                if calls and before is not None and calls[0].at < before.at:
                    self.verdict.breach(
                        "order", f"key {key}: {calls[0].uid} was called before {before.uid} was done"
                    )
                before = max([*calls, *([before] if before else [])], key=lambda one: one.at, default=None)

    def _check_acceptance_order(self) -> None:
        """What was acknowledged before another message was first sent has the lower number."""
        begun: dict[tuple[str, str], float] = {}
        for one in self.attempts:
            begun.setdefault((one.source, one.id), one.at)
        acks = sorted((ack for ack in self.acks if ack.given.startswith("msg_")), key=lambda one: one.at)
        highest, place = 0, 0
        for identity, at in sorted(begun.items(), key=lambda item: item[1]):
            while place < len(acks) and acks[place].at < at:
                highest = max(highest, number_of(acks[place].given))
                place += 1
            message = self.stored.get(identity)
            if message is not None and message.number < highest:
                self.verdict.breach("order", f"{'/'.join(identity)} has a number from before it was sent")

    # -- never silent

    def _check_deaths(self) -> None:
        """Every death is told by exactly one message of the service's own."""
        told = Counter(one.subject for one in self.history.messages if one.type == "pointsman.delivery.dead")
        dead = {_name(run) for run in self.history.runs if run.state == DEAD}
        for name in sorted(dead ^ set(told)):
            self.verdict.breach(
                "untold", f"{name}: {'died in silence' if name in dead else 'told, and not dead'}"
            )
        for name, count in told.items():
            if count > 1:
                self.verdict.breach("untold", f"{name} was told {count} times")

    # -- the kills

    def _check_kills(self) -> None:
        for kill in self.history.kills:
            self.verdict.kills[kill.point] += 1
        for trouble in self.history.troubles:
            self.verdict.breach("trouble", trouble)

    def _count(self) -> None:
        """Count what people ask for."""
        acked = {(ack.source, ack.id) for ack in self.acks if ack.intent != "other"}
        last = [runs[-1] for runs in self.runs.values()]
        tries = Counter((one.source, one.id, one.intent) for one in self.attempts)
        repeats = sum(len(calls) - len({call.op for call in calls}) for calls in self.calls.values())
        self.verdict.counts = {
            "sent": len(self.first),
            "sent again": sum(count > 1 for count in tries.values()),
            "accepted": len(acked),
            "recovered": sum(place in self.stored and place not in acked for place in self.first),
            "messages": len(self.history.messages),
            "deliveries": len(self.runs),
            "delivered": sum(run.state == DELIVERED for run in last),
            "dead": sum(run.state == DEAD for run in last),
            "pending": sum(run.state < DELIVERED for run in last),
            "runs by hand": len(self.history.runs) - len(self.runs),
            "calls": len(self.history.calls),
            "repeats": repeats,
            "interrupted": sum(one.outcome == "unknown" and not one.status for one in self.history.attempts),
            "conflicts": len(set(_others(self.acks))),
            "kills": len(self.history.kills),
            "starts": self.history.starts,
            "starts by the plain command": self.history.commands,
        }


def _others(acks: list[Sent]) -> Iterator[tuple[str, str]]:
    return ((ack.source, ack.id) for ack in acks if ack.intent == "other")


def _message(number: int) -> str:
    return f"msg_{base32(number)}"


def _name(run: Run) -> str:
    return run.id or f"{_message(run.message)}/{run.rule}/{run.run}"

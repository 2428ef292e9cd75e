"""A run while it is in memory: its message, its place among the steps, and what one attempt needs.

Renders arguments, names idempotency keys and trace headers, keeps earlier answers. It makes no call and
stores nothing; `dispatch` decides what follows an attempt.
"""

import hashlib
import itertools
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from actions.base import Answer, Connector, Prepared
from actions.errors import ActionError
from actions.http import CAUSE_HEADER
from service.rules.cel import Budget
from service.rules.mapping import RenderError, View
from service.rules.model import Pin, Rule, Ruleset, Step
from service.store.base import Claimed, RunKey
from service.store.ids import delivery_id, message_id
from triggers.message import TriggerMessage, document

STEPS_BUDGET: Final = 100_000
"""Evaluation steps for rendering one step's arguments."""

ANSWER_KEPT_WELL: Final = 512
"""Bytes kept of an answer that went well."""

ANSWER_KEPT_ILL: Final = 16 * 1024
"""Bytes kept of an answer that did not."""

ANSWER_FOR_STEPS: Final = 256 * 1024
"""Bytes of an answer that later steps can see; of a longer one they see that it is too long."""

HOPS_HEADER: Final = "pointsman-hops"

_decode_message: Final = msgspec.msgpack.Decoder(TriggerMessage).decode
_decode_json: Final = msgspec.json.Decoder().decode


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of an attempt's answer, for people."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    truncated: bool


class StepAnswer(msgspec.Struct, frozen=True, array_like=True):
    """An earlier step's answer as later steps see it."""

    status: int
    headers: dict[str, str]
    body: bytes
    too_long: bool = False


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_kept: Final = msgspec.msgpack.Decoder(Kept).decode
_decode_answers: Final = msgspec.msgpack.Decoder(dict[str, StepAnswer]).decode

_SPAN_BITS: Final = (1 << 64) - 1
_SPANS: Final = itertools.count(int.from_bytes(os.urandom(8), "big") | 1)
"""Ids of our spans: counted on from a random start, since each question to the system costs a switch."""

_ACCEPTED: Final = "accepted "
"""Before the name of a step: what its call was accepted with. No step has a name with a space in it."""

_CREDENTIAL_HEADERS: Final = frozenset(
    {"set-cookie", "www-authenticate", "authorization", "proxy-authenticate"}
)


class Failed(Exception):
    """The run cannot go on as it is: its rule is gone or its arguments have no value."""


class Job:
    """One run that this process owns. Mutable: it walks through its steps."""

    __slots__ = (
        "answers", "digest", "first_at", "generation", "interrupted", "key", "message", "mode", "number",
        "paused_ms", "received_at", "retried", "ruleset", "ruleset_number", "seen", "source", "started_at",
        "step",
    )  # fmt: skip

    def __init__(
        self,
        key: RunKey,
        message: TriggerMessage,
        *,
        source: str,
        ruleset: Ruleset | None,
        ruleset_number: int,
        started_at: int,
        received_at: int,
        mode: str = "parallel",
        seen: dict[str, Any] | None = None,
    ) -> None:
        self.key = key
        self.message = message
        self.source = source
        self.ruleset = ruleset
        self.ruleset_number = ruleset_number
        self.started_at = started_at
        self.first_at = started_at
        self.received_at = received_at
        self.mode = mode
        self.seen = seen  # the JSON object that rules see, when somebody has made it already
        self.number = 1
        self.step = 0
        self.generation = 0
        self.answers: dict[str, StepAnswer] = {}
        self.digest = b""
        self.interrupted = False
        self.retried = 0
        self.paused_ms = 0

    @classmethod
    def of(cls, item: Claimed, source: str) -> "Job":
        """Make the job of a claimed run."""
        job = cls(
            item.key,
            _decode_message(item.record),
            source=source,
            ruleset=None,
            ruleset_number=item.ruleset,
            started_at=item.started_at,
            received_at=item.received_at,
            mode=item.mode,
        )
        job.number = item.number
        job.step = item.step
        job.generation = item.generation
        job.first_at = item.first_at
        job.answers = _decode_answers(item.answers) if item.answers else {}
        job.digest = item.digest
        job.interrupted = item.interrupted
        job.retried = item.retried
        job.paused_ms = item.paused_ms
        return job

    def rule(self) -> Rule:
        """Return the rule, as the run's own ruleset has it. Raise Failed."""
        rule = self.ruleset.by_number.get(self.key.rule) if self.ruleset is not None else None
        if rule is None:
            raise Failed("the ruleset that made this delivery has no such rule")
        return rule

    def step_of(self) -> Step:
        """Return the step that is to be performed. Raise Failed."""
        steps = self.rule().steps
        if self.step >= len(steps):
            raise Failed(f"the rule has {len(steps)} steps, the run stands at step {self.step + 1}")
        return steps[self.step]

    def pin(self, step: Step) -> Pin:
        """Return the description that the run's ruleset pins for a step. Raise Failed."""
        pin = self.ruleset.pins.get(step.pin) if self.ruleset is not None else None
        if pin is None:
            raise Failed(f"the ruleset that made this delivery has no description for {step.pin}")
        return pin

    def following(self) -> Step | None:
        """Return the step after this one, None when this is the last."""
        steps = self.rule().steps
        return steps[self.step + 1] if self.step + 1 < len(steps) else None

    def advance(self, now: int) -> None:
        """Go to the next step, whose attempt was recorded as started at `now`."""
        self.step += 1
        self.number += 1
        self.started_at = now
        self.first_at = now
        self.digest = b""
        self.interrupted = False
        self.retried = 0

    def expired(self, now: int) -> bool:
        """Return whether the message's own `expirytime` (CloudEvents extension) has passed."""
        text = self.message.extensions.get("expirytime")
        if not isinstance(text, str):
            return False
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return False
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() * 1000 <= now

    def accepted(self, step: Step) -> tuple[tuple[str, str], ...]:
        """Return what says where the end of a step's call is to be seen, which was accepted before."""
        known = self.answers.get(_ACCEPTED + step.name)
        return tuple(known.headers.items()) if known is not None else ()

    def remember_accepted(self, step: Step, headers: tuple[tuple[str, str], ...]) -> None:
        """Keep what a call was accepted with; without headers, that it is not to be waited for any more."""
        if headers or _ACCEPTED + step.name in self.answers:
            self.answers[_ACCEPTED + step.name] = StepAnswer(202, dict(headers), b"")

    def view(self) -> View:
        """Return what the expressions see."""
        event = self.seen
        if event is None:
            event = self.seen = document(self.message)
        raw: dict[tuple[str, ...], bytes] = {}
        if self.message.format == "json" and self.message.data is not None:
            raw["data",] = self.message.data
        steps: dict[str, Any] = {}
        for name, answer in self.answers.items():
            if name.startswith(_ACCEPTED):
                continue
            steps[name] = _seen_answer(answer)
            if "body" in steps[name] and not isinstance(steps[name]["body"], str):
                raw["steps", name, "body"] = answer.body
        variables = {"event": event, "data": event.get("data"), "meta": event["meta"], "steps": steps}
        return View(variables, raw, Budget(STEPS_BUDGET))

    def idempotency_key(self, step: Step) -> str:
        """Return the key of a step: the same for every attempt and for retry by hand (`DESIGN.md` §7)."""
        message = self.message
        parts = (self.source, message.source, message.id, str(self.key.rule), step.name, str(self.generation))
        return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def public_id(self) -> str:
        """Return the delivery's public id."""
        return delivery_id(self.key)

    def cause(self) -> str:
        """Return the source name of the message: what troubles about it must not loop back from."""
        return self.source

    def facts(self, reason: str) -> dict[str, Any]:
        """Return what a message about this delivery's trouble says."""
        rule = self.rule()
        return {
            "delivery": delivery_id(self.key),
            "message": message_id(self.key.message),
            "source": self.source,
            "rule": rule.name,
            "step": rule.steps[min(self.step, len(rule.steps) - 1)].name,
            "attempts": self.number,
            "reason": reason,
        }


def prepare(connector: Connector, job: Job, step: Step) -> Prepared:
    """Render a step's arguments and build its request. Raise Failed with the path of the bad leaf."""
    try:
        arguments = step.arguments.render(job.view())
        prepared = connector.prepare(
            step.operation,
            arguments or {},
            key=job.idempotency_key(step),
            at=job.received_at / 1000,
            preset=step.preset,
        )
    except RenderError as error:
        raise Failed(f"step {step.name}: `with` {error}") from error
    except ActionError as error:
        said, listed = str(error), getattr(error, "problems", ())
        problems = "; ".join(f"{pointer or '/'}: {text}" for pointer, text in listed if text not in said)
        raise Failed(f"step {step.name}: {said}" + (f" ({problems})" if problems else "")) from error
    if step.follow is None:
        return prepared
    follow = msgspec.structs.replace(step.follow, accepted=job.accepted(step) if step.follow.wait else ())
    return msgspec.structs.replace(prepared, follow=follow)


def attempt_headers(job: Job) -> dict[str, str]:
    """Return the headers of one attempt: the trace goes on, the cause and the hop count travel along."""
    return {
        "traceparent": _traceparent(job.message),
        CAUSE_HEADER: message_id(job.key.message),
        HOPS_HEADER: str(hops(job.message) + 1),
    }


def hops(message: TriggerMessage) -> int:
    """Return how many hops a message has made, as its headers or its extension `pointsmanhops` say."""
    said = message.extensions.get("pointsmanhops")
    if said is None:
        headers = message.meta.get("headers")
        said = headers.get(HOPS_HEADER) if isinstance(headers, dict) else None
        if said is None:
            return 0
    text = str(said)
    return int(text[:6]) if text.isascii() and text.isdigit() else 0


def _traceparent(message: TriggerMessage) -> str:
    """Return a traceparent (W3C Trace Context) that continues the message's trace with a span of our own."""
    given = message.extensions.get("traceparent")
    if given is None:
        headers = message.meta.get("headers")
        given = headers.get("traceparent") if isinstance(headers, dict) else None
    parts = given.split("-") if isinstance(given, str) else ()
    if len(parts) >= 4 and len(parts[1]) == 32 and _hex(parts[1]) and parts[1].strip("0"):
        trace, flags = parts[1], parts[3][:2] if _hex(parts[3][:2]) and len(parts[3]) >= 2 else "00"
    else:
        identity = f"{message.source}\0{message.id}".encode("utf-8", "surrogatepass")
        trace, flags = hashlib.blake2b(identity, digest_size=16).hexdigest(), "01"
    return f"00-{trace}-{next(_SPANS) & _SPAN_BITS:016x}-{flags}"


def _hex(text: str) -> bool:
    return all(sign in "0123456789abcdef" for sign in text)


def encode_answer(answer: Answer, *, well: bool) -> bytes:
    """Return what is kept of an answer: little when it went well, more when it did not."""
    if well:
        return _encode(
            Kept(answer.status, (), answer.body[:ANSWER_KEPT_WELL], len(answer.body) > ANSWER_KEPT_WELL)
        )
    headers = tuple(pair for pair in answer.headers if pair[0] not in _CREDENTIAL_HEADERS)
    return _encode(
        Kept(answer.status, headers, answer.body[:ANSWER_KEPT_ILL], len(answer.body) > ANSWER_KEPT_ILL)
    )


def decode_kept(data: bytes) -> Kept | None:
    """Return what was kept of an answer."""
    return _decode_kept(data) if data else None


def remember(job: Job, step: Step, answer: Answer) -> None:
    """Keep an answer for the steps that follow; of the last step's nobody asks."""
    if job.following() is None:
        return
    too_long = answer.truncated or len(answer.body) > ANSWER_FOR_STEPS
    headers = {name: value for name, value in answer.headers if name not in _CREDENTIAL_HEADERS}
    job.answers[step.name] = StepAnswer(answer.status, headers, b"" if too_long else answer.body, too_long)


def encode_answers(answers: Mapping[str, StepAnswer]) -> bytes:
    """Return the answers of the steps so far, as the store keeps them."""
    return _encode(answers)


def _seen_answer(answer: StepAnswer) -> dict[str, Any]:
    """Return an earlier answer as expressions see it: `body` is JSON where it is JSON, else text."""
    seen: dict[str, Any] = {"status": answer.status, "headers": answer.headers}
    if answer.too_long:
        return seen
    try:
        seen["body"] = _decode_json(answer.body) if answer.body else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        seen["body"] = answer.body.decode("utf-8", "replace")
    return seen

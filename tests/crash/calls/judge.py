"""Says whether calls of several requests and logins were as promised: a pure function from what happened to a verdict.

Runs, keys, intents and ends are `verifier`'s to judge; this adds what only the market and the looks at the store can tell.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.crash import history, journal
from tests.crash.calls.look import Kept
from tests.crash.history import DELIVERED, Call, History
from tests.crash.verifier import EARLY_MS, Verdict, verify

REFUSALS: Final = 3
"""Refresh tokens that may be refused in one life before it is a loop: the connection has a login for each of two versions."""

EARLY: Final = EARLY_MS / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Something about the n-th token of a login. `does`: how the answer with it went, "cut" if it was lost."""

    at: float
    login: int
    number: int
    does: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Which token was kept while the service lay dead."""

    at: float
    kept: Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """The connection said that somebody has to log in."""

    at: float
    reason: str
    fix: str


@dataclass(slots=True, kw_only=True)
class Records:
    """Everything that is looked at. `states`: when a job was said to be done; `lives`: when each began."""

    history: History
    grants: list[Token] = field(default_factory=list)
    uses: list[Token] = field(default_factory=list)
    refusals: list[Token] = field(default_factory=list)
    denied: list[tuple[str, str]] = field(default_factory=list)  # uid, key
    done: dict[str, float] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)
    needed: list[Needed] = field(default_factory=list)
    logins: list[float] = field(default_factory=list)
    lives: list[float] = field(default_factory=list)


def load(folder: Path) -> Records:
    """Read the journals and the database of a run."""
    records = Records(history=history.load(folder))
    for one in journal.read(folder / "market.jsonl"):
        kind, at = one["e"], one["at"]
        if kind == "call":
            facts = {name: one[name] for name in ("at", "op", "uid", "key", "body", "cause", "does")}
            records.history.calls.append(Call(**facts))
        elif kind == "state":
            if one["done"]:
                records.done.setdefault(one["uid"], at)
        elif kind == "denied":
            records.denied.append((one["uid"], one["key"]))
        else:
            token = Token(at=at, login=one["login"], number=one["number"], does=one.get("does", ""))
            {"grant": records.grants, "use": records.uses, "refused": records.refusals}[kind].append(token)
    for one in journal.read(folder / "nemesis.jsonl"):
        if one["e"] == "start":
            records.lives.append(one["at"])
        elif one["e"] == "look":
            records.looks.append(Look(at=one["at"], kept=Kept(one["login"], one["number"])))
        elif one["e"] == "needed":
            records.needed.append(Needed(at=one["at"], reason=one["reason"], fix=one["fix"]))
        elif one["e"] == "logged in" and one["status"] == 200:
            records.logins.append(one["at"])
    return records


def judge(records: Records) -> Verdict:
    """Judge what happened."""
    verdict = verify(records.history)
    for kind, what in _breaches(records):
        verdict.breach(kind, what)
    lost = sum(_lost_by(records, one) != "" for one in records.refusals)
    repeats = defaultdict(int)
    for call in records.history.calls:
        repeats[call.op, call.uid] += 1
    verdict.counts |= {
        "tokens": len(records.grants),
        "refresh tokens lost by a kill or a cut answer": lost,
        "logins by a person": len(records.logins),
        "calls without a token that counts": len(records.denied),
        "jobs done": len(records.done),
        "jobs asked for again": sum(count > 1 for (op, _), count in repeats.items() if op == "jobs"),
    }
    return verdict


def _breaches(records: Records) -> Iterator[tuple[str, str]]:
    yield from _used_before_kept(records)
    yield from _lost(records)
    yield from _loops(records)
    yield from _untold(records)
    yield from _early(records)
    yield from _other_keys(records)


def _used_before_kept(records: Records) -> Iterator[tuple[str, str]]:
    """What was used lies in the store, or something newer does (`ahead`)."""
    uses = sorted(records.uses, key=lambda one: one.at)
    for look in records.looks:
        for use in uses:
            if use.at > look.at:
                break
            newest = look.kept.login == use.login and look.kept.number < use.number
            if newest or not look.kept.login:
                yield "ahead", f"token {use.login}.{use.number} was used and is not kept: {look.kept}"


def _lost(records: Records) -> Iterator[tuple[str, str]]:
    """No refresh token is presented twice, but where its successor was lost on the way to the store."""
    for refusal in records.refusals:
        if refusal.login < 0:
            yield "token lost", "a refresh token was presented that nobody granted"
        elif not _lost_by(records, refusal) and not _revoked_before(records, refusal):
            yield (
                "token lost",
                f"refresh token {refusal.login}.{refusal.number} was presented again without need",
            )


def _lost_by(records: Records, refusal: Token) -> str:
    """Return what explains that a spent refresh token was presented: "cut", "kill", or "" for nothing."""
    following = [
        one
        for one in records.grants
        if one.login == refusal.login and one.number == refusal.number + 1 and one.at <= refusal.at
    ]
    for grant in following:
        if grant.does == "cut":
            return "cut"
        for look in records.looks:
            stored = look.kept.login != grant.login or look.kept.number < grant.number
            if grant.at - EARLY <= look.at <= refusal.at + EARLY and stored:
                return "kill"
    return ""


def _revoked_before(records: Records, refusal: Token) -> bool:
    """Say whether the whole login had ended by then: whatever is presented of it is refused."""
    return any(one.login == refusal.login and one.at < refusal.at for one in records.refusals)


def _loops(records: Records) -> Iterator[tuple[str, str]]:
    """What is refused is not presented again and again (`loop`)."""
    for place, began in enumerate(records.lives):
        ended = records.lives[place + 1] if place + 1 < len(records.lives) else float("inf")
        refused = sum(began <= one.at < ended for one in records.refusals)
        allowed = REFUSALS + sum(began <= at < ended for at in records.logins)
        if refused > allowed:
            yield "loop", f"{refused} refresh tokens were refused in one life"


def _untold(records: Records) -> Iterator[tuple[str, str]]:
    """A lost login is told, with its reason and what to do (`untold`)."""
    for one in records.needed:
        if not one.reason or "log in: pointsman connections login market" not in f"{one.fix} {one.reason}":
            yield "untold", f"a login is needed, and what is said is {one.reason!r}, {one.fix!r}"
    if records.refusals and not records.needed:
        yield "untold", "refresh tokens were refused, and nobody was told to log in"


def _early(records: Records) -> Iterator[tuple[str, str]]:
    """A job is delivered when it is done, not when it is accepted (`early`)."""
    uids = {call.cause: call.uid for call in records.history.calls if call.op == "jobs"}
    for run in records.history.runs:
        if run.rule != "job" or run.state != DELIVERED:
            continue
        uid = uids.get(f"msg_{history.base32(run.message)}", "")
        done = records.done.get(uid)
        if done is None or run.changed_at < done * 1000 - EARLY_MS:
            yield "early", f"{run.id} is delivered, and its job was not done"


def _other_keys(records: Records) -> Iterator[tuple[str, str]]:
    """What was sent without a token that counts came again with the same key."""
    keys: dict[str, set[str]] = defaultdict(set)
    for call in records.history.calls:
        keys[call.uid].add(call.key)
    for uid, key in records.denied:
        if key and uid in keys and key not in keys[uid]:
            yield "other key", f"{uid} was sent with {key} first, and with {sorted(keys[uid])} then"

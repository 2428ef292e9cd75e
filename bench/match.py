"""Measures the matcher: messages a second on one core, for rulesets of three sizes and two kinds.

Run as `python -m bench.match`. The rulesets imitate those of the table in the rules reference: "x" has exact
values, lists of values, prefixes and 5 % `anything-but`; "n" is the same with a numeric range in 30 % of
the rules. Messages have about 1 KB of JSON data, and all of them differ. Decoding is included, as are head
and data of their own for every message; `match` is over messages that are decoded already.
"""

import argparse
import gc
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from bench.figures import Table
from service.rules.compile import Matcher, compile_patterns
from service.rules.pattern import parse_pattern

SIZES = (10, 1_000, 10_000)
MESSAGES = 20_000
ROUNDS = 5

DOMAINS = (
    "order",
    "payment",
    "invoice",
    "customer",
    "shipment",
    "product",
    "stock",
    "refund",
    "cart",
    "user",
)
VERBS = ("created", "updated", "deleted", "paid", "failed", "sent", "opened", "closed", "held", "released")
TYPES = [
    f"com.example.shop{shop}.{domain}.{verb}" for shop in range(10) for domain in DOMAINS for verb in VERBS
]
REGIONS = [
    f"{area}-{side}-{number}" for area in ("eu", "us", "ap") for side in ("west", "east") for number in (1, 2)
]
STATUSES = ("new", "open", "paid", "packed", "sent", "delivered", "returned", "closed")
TIERS = ("basic", "silver", "gold", "platinum")

Message = tuple[dict[str, Any], bytes]


def make_rules(kind: str, count: int, source: random.Random) -> list[dict[str, Any]]:
    """Return patterns: one of type or source always, then none to two of the fields of the data."""
    rules: list[dict[str, Any]] = []
    for _ in range(count):
        data: dict[str, Any] = {}
        rule: dict[str, Any] = {"data": data}
        dice = source.random()
        if dice < 0.7:
            rule["type"] = [source.choice(TYPES)]
        elif dice < 0.85:
            rule["type"] = source.sample(TYPES, 3)
        else:
            rule["type"] = [{"prefix": source.choice(TYPES)[: source.choice((22, 25))]}]
        if source.random() < 0.5:
            data["region"] = source.sample(REGIONS, source.choice((1, 1, 2)))
        if source.random() < 0.5:
            data["status"] = [source.choice(STATUSES)]
        if source.random() < 0.3:
            data["customer"] = {"tier": [source.choice(TIERS)]}
        if source.random() < 0.05:
            data["status"] = [{"anything-but": source.sample(STATUSES, 2)}]
        if kind == "n" and source.random() < 0.3:
            low = source.randint(0, 900)
            data["total"] = [{"numeric": [">=", low, "<", low + source.randint(1, 100)]}]
        if not data:
            data["customer"] = {"id": [f"cus_{source.randint(0, 5_000)}"]}
        rules.append(rule)
    return rules


def make_messages(count: int, source: random.Random) -> list[Message]:
    """Return messages with about 1 KB of data each."""
    messages: list[Message] = []
    for number in range(count):
        data = {
            "id": f"ord_{number:08}",
            "region": source.choice(REGIONS),
            "status": source.choice(STATUSES),
            "total": source.randint(0, 100_000) / 100,
            "currency": "EUR",
            "customer": {
                "id": f"cus_{source.randint(0, 5_000)}",
                "tier": source.choice(TIERS),
                "name": f"Customer {number}",
                "email": f"customer{number}@example.org",
            },
            "items": [
                {
                    "sku": f"SKU-{source.randint(0, 9_999)}",
                    "quantity": line + 1,
                    "price": 9.99,
                    "note": "as usual",
                }
                for line in range(8)
            ],
            "address": {"street": "Long Street 12", "city": "Springfield", "zip": "12345", "country": "DE"},
            "note": "Please leave the parcel with the neighbour at number fourteen, second floor, and ring.",
            "created_at": "2026-01-01T12:00:00Z",
        }
        head = {
            "specversion": "1.0",
            "id": f"evt_{number:08}",
            "source": f"/sources/shop{source.randint(0, 9)}",
            "type": source.choice(TYPES),
            "time": "2026-01-01T12:00:00Z",
            "datacontenttype": "application/json",
            "meta": {"kind": "webhook", "method": "POST", "headers": {"content-type": "application/json"}},
        }
        messages.append((head, msgspec.json.encode(data)))
    return messages


def rate(run: Callable[[], object], count: int) -> float:
    """Return the median of `count` things a second of CPU over some runs."""
    rates: list[float] = []
    for _ in range(ROUNDS):
        gc.collect()
        start = time.process_time()
        run()
        rates.append(count / (time.process_time() - start))
    return statistics.median(rates)


def match_all(matcher: Matcher, messages: Sequence[Message]) -> int:
    """Match every message from its bytes; return how many rules matched in all."""
    matched, match = 0, matcher.match_message
    for head, data in messages:
        matched += len(match(head, data))
    return matched


def measure(kind: str, size: int, messages: Sequence[Message]) -> dict[str, Any]:
    """Return the figures of one ruleset."""
    patterns = [parse_pattern(rule) for rule in make_rules(kind, size, random.Random(size))]
    start = time.process_time()
    matcher = compile_patterns(patterns)
    build = time.process_time() - start
    matched = match_all(matcher, messages)
    decoded = [{**head, "data": msgspec.json.decode(data)} for head, data in messages[:2_000]]

    def match_decoded() -> None:
        for event in decoded:
            matcher.match(event)

    return {
        "set": kind,
        "rules": size,
        "messages/s": round(rate(lambda: match_all(matcher, messages), len(messages))),
        "decoded messages/s": round(rate(match_decoded, len(decoded))),
        "matches each": round(matched / len(messages), 2),
        "build s": round(build, 3),
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=MESSAGES, help=f"how many messages ({MESSAGES})")


def figures(options: argparse.Namespace) -> Iterator[Table]:
    """Measure every kind and size of ruleset."""
    messages = make_messages(options.messages, random.Random(1))
    size = statistics.mean(len(data) for _, data in messages)
    decode = msgspec.json.Decoder().decode

    def decode_all() -> None:
        for _, data in messages:
            decode(data)

    whole = rate(decode_all, len(messages))
    yield Table(
        f"matching, {size:,.0f} bytes of data; decoding all of it alone: {whole:,.0f} messages/s",
        [measure(kind, count, messages) for kind in ("x", "n") for count in SIZES],
    )


if __name__ == "__main__":
    from bench.__main__ import main

    main(["match", *sys.argv[1:]])

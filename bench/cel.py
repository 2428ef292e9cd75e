"""How long expressions take: compiling, evaluating over a message, and the worst that a budget allows.

Figures for people; nothing here fails by time. Run as `python -m bench cel`.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.figures import Table
from service.rules.cel import Budget, BudgetExceeded, compile_expression, to_json

MESSAGE: dict[str, Any] = {
    "id": "evt-1",
    "source": "/shop",
    "type": "order.paid",
    "data": {
        "id": "o-77",
        "total": 129.5,
        "currency": "EUR",
        "customer": {"id": "c-9", "name": "Ada", "tags": ["new", "eu"]},
        "items": [{"sku": f"s{number}", "qty": number, "price": 9.5} for number in range(10)],
    },
    "meta": {"kind": "webhook", "headers": {"x-region": "eu"}},
}

EXPRESSIONS = {
    "one path": "data.customer.name",
    "one comparison": "data.total > 100.0",
    "two comparisons": 'data.total > 100.0 && data.currency == "EUR"',
    "two comparisons, event path": 'event.type == "order.paid" && data.total >= 100',
    "in a list": 'data.currency in ["EUR", "USD"]',
    "has and comparison": "has(data.customer) && data.customer.id != ''",
    "optional with default": "data.?customer.?vip.orValue(false)",
    "arithmetic": "data.total * 1.19 + 4.9",
    "starts with": "data.id.startsWith('o-')",
    "matches": "data.id.matches('^o-[0-9]+$')",
    "exists over 10": "data.items.exists(i, i.qty > 8)",
    "object of 4 keys": "{'id': data.id, 't': data.total, 'c': data.currency, 'n': data.customer.name}",
    "map over 10": "data.items.map(i, {'sku': i.sku, 'qty': i.qty})",
    "timestamp": "timestamp(data.at) > timestamp('2025-01-31T09:30:00Z')",
}


def _loops(body: str, depth: int, over: str = "data.items") -> str:
    """Return `body` inside nested loops, one variable each."""
    for name in "abcdefgh"[:depth]:
        body = f"{over}.all({name}, {body})"
    return body


def _doubled(value: str) -> str:
    """Return a value that is doubled forty times."""
    body = "size(v40)"
    for number in range(40, 0, -1):
        body = f"cel.bind(v{number}, v{number - 1} + v{number - 1}, {body})"
    return f"cel.bind(v0, {value}, {body})"


BOMBS = {
    "nested loops": _loops("true", 8),
    "errors absorbed": _loops("1/0 == 1 || true", 5),
    "mismatches absorbed": _loops("a + data.id == 1 || true", 5),
    "string doubled": _doubled("'xxxxxxxxxxxxxxxx'"),
    "list doubled": _doubled("[1, 2, 3, 4]"),
    "regex, large": _loops("big.matches('(a|b)*a(a|b){100}c')", 2),
    "regex, new ones": "many.all(a, 'x'.matches('(?i)\\\\pL{' + string(a % 500) + '}') || true)",
    "search": _loops("big.contains(needle)", 2),
    "replace": "big.replace('a', big)",
    "split": _loops("size(big.split('')) > 0", 2),
    "equal lists": _loops("many == more", 2),
    "format": _loops("'%s %s'.format([many, many]) != ''", 2),
    "format numbers": _loops("'%.100f'.format([1e300]) != ''", 5),
    "maps": "many.transformMap(i, v, many.transformMap(j, w, w))",
    "calls": _loops("data.id.startsWith('o-') && size(data.id) > 1", 2, "many"),
    "times": _loops("timestamp(data.at).getHours('Europe/Paris') >= 0", 1, "many"),
    "time zones": _loops("timestamp(data.at).getHours('No/Zone' + string(a)) >= 0 || true", 1, "many"),
    "join": "many.map(a, many.map(b, string(b)).join(','))",
}


def best(run: Callable[[], object], rounds: int, loops: int) -> float:
    """Return microseconds of one call: the best round of several."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(loops):
            run()
        found.append((time.perf_counter() - start) / loops)
    return min(found) * 1e6


def variables() -> dict[str, Any]:
    many = list(range(100_000))
    return {
        "event": MESSAGE,
        "data": {**MESSAGE["data"], "at": "2026-01-31T09:30:00Z"},
        "meta": MESSAGE["meta"],
        "steps": {},
        "big": "ab" * 500_000,
        "needle": "a" * 99 + "b",
        "many": many,
        "more": list(many),
    }


def add_options(_parser: argparse.ArgumentParser) -> None:
    pass


def figures(_options: argparse.Namespace) -> Iterator[Table]:
    values = variables()
    names = list(values)
    rows = []
    for name, text in EXPRESSIONS.items():
        program = compile_expression(text)
        budget = Budget(10**12)
        compiling = best(lambda text=text: compile_expression(text), 3, 20)
        running = best(lambda program=program, budget=budget: program.evaluate(values, budget), 7, 5_000)
        rows.append({"expression": name, "compile µs": round(compiling, 1), "evaluate µs": round(running, 3)})
    yield Table("expressions", rows)
    rows = []
    for name, text in BOMBS.items():
        program = compile_expression(text, variables=names)
        start = time.perf_counter()
        try:
            to_json(program.evaluate(values, Budget()))
            end = "finished"
        except BudgetExceeded:
            end = "budget exceeded"
        rows.append({"bomb": name, "ms": round((time.perf_counter() - start) * 1e3, 1), "end": end})
    yield Table("the worst that a budget allows", rows)


if __name__ == "__main__":
    from bench.__main__ import main

    main(["cel", *sys.argv[1:]])

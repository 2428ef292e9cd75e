"""Random patterns and messages that meet often: a small vocabulary, and everything odd in it."""

import random
from typing import Any

Json = Any

HEAD = ("type", "source", "subject", "meta.method", "meta.headers.x", "x.y")
DATA = ("data", "data.a", "data.b", "data.c", "data.c.d", "data.c.e", "data.c.e.f", "data.items.sku")
MORE = ("data.items.qty", "data.items.parts.id", "data.items.parts.n", "data.tags", "data.__class__", "data.")
ODD = ('data.q"q', "data..a", "data.c.constructor", "data.é", "data.$ref")
STRINGS = ("", "a", "ab", "abc", "abcd", "AB", "b", "ba", "1", "true", "null", "ß", "SS", "*", "\\", "a*b")
ADDRESSES = ("10.0.0.1", "10.0.0.9", "::1", "0:0::1", "::ffff:a00:1", "fe80::1", "10.0.0.1/8", "300.1.1.1")
NUMBERS = (0, 1, 1.0, -1, 2, 2.5, 10, 100, 1e3, 0.1, 2**53 + 1, 2**53, 2.0**53, 10**20, 10**20 + 1, -0.0)
WILDCARDS = ("*", "a*", "*b", "a*b", "*a*", "a*b*c", "ab", r"\*", r"a\*b", r"*\\*", "", "*b*d")
NETWORKS = ("10.0.0.0/24", "10.0.0.8/29", "0.0.0.0/0", "::/0", "fe80::/10", "::/96")


class Maker:
    """Makes patterns and messages from one source of randomness, of few values so that they meet."""

    def __init__(self, source: random.Random) -> None:
        self.random = source
        self.texts = (*source.sample(STRINGS, 4), source.choice(ADDRESSES))
        self.numbers = source.sample(NUMBERS, 3)
        # Half of all sets are of ordinary messages (no arrays), most of the others are not.
        self.ordinary = source.choice((0.2, 0.95))
        self.odd = source.sample(ODD[2:] if self.ordinary > 0.5 else ODD, 2)
        self.met: dict[str, list[Json]] = {}

    def meet(self, event: Json, path: str = "") -> None:
        """Remember the values of a message, so that patterns ask for some of them."""
        if isinstance(event, dict):
            for key, value in event.items():
                self.meet(value, f"{path}.{key}" if path else key)
        elif isinstance(event, list):
            for value in event:
                self.meet(value, path)
        else:
            self.met.setdefault(path, []).append(event)

    def text(self) -> str:
        return self.random.choice(STRINGS + ADDRESSES if self.random.random() < 0.15 else self.texts)

    def number(self) -> Json:
        return self.random.choice(NUMBERS if self.random.random() < 0.15 else self.numbers)

    def scalar(self) -> Json:
        dice = self.random.random()
        if dice < 0.55:
            return self.text()
        if dice < 0.85:
            return self.number()
        return self.random.choice((True, False, None))

    # Patterns

    def numeric(self) -> Json:
        low, high = sorted(self.random.sample([-1, 0, 1, 2, 2.5, 10, 50, 100, 2**53], 2))
        return self.random.choice(
            (
                ["=", low],
                [self.random.choice("<>"), low],
                [self.random.choice((">=", "<=")), high],
                [self.random.choice((">", ">=")), low, self.random.choice(("<", "<=")), high],
            )
        )

    def anything_but(self) -> Json:
        kind = self.random.choice(
            ("text", "texts", "numbers", "prefix", "suffix", "equals-ignore-case", "wildcard")
        )
        if kind == "text":
            return self.text()
        if kind == "texts":
            return [self.text() for _ in range(self.random.randint(1, 3))]
        if kind == "numbers":
            return [self.number() for _ in range(self.random.randint(1, 3))]
        texts = [text for text in STRINGS if text] if kind != "wildcard" else list(WILDCARDS)
        chosen = self.random.sample(texts, self.random.randint(1, 2))
        return {kind: chosen if self.random.random() < 0.5 else chosen[0]}

    def condition(self, path: str) -> Json:
        dice = self.random.random()
        if dice < 0.3 and path in self.met:
            return self.random.choice(self.met[path])
        if dice < 0.4:
            return self.scalar()
        kind = self.random.choice(
            (
                *("prefix", "suffix", "equals-ignore-case", "exactly", "wildcard", "anything-but"),
                *("numeric", "cidr", "exists", "exists", "fold-prefix", "fold-suffix"),
            )
        )
        if kind.startswith("fold-"):
            return {kind[5:]: {"equals-ignore-case": self.text()}}
        if kind == "wildcard":
            return {kind: self.random.choice(WILDCARDS)}
        if kind == "anything-but":
            return {kind: self.anything_but()}
        if kind == "numeric":
            return {kind: self.numeric()}
        if kind == "cidr":
            return {kind: self.random.choice(NETWORKS)}
        if kind == "exists":
            return {kind: self.random.random() < 0.5}
        return {kind: self.text()}

    def fields(self, paths: list[str]) -> dict[str, Json]:
        """Nest paths as objects, now and then with a dotted key."""
        tree: dict[str, Json] = {}
        for path in paths:
            value = [self.condition(path) for _ in range(self.random.choice((1, 2, 2, 3)))]
            self._put(tree, path, value)
        return tree

    def _put(self, tree: dict[str, Json], path: str, value: Json) -> None:
        keys: list[str] = []
        for step in path.split("."):
            if keys and self.random.random() < 0.1:
                keys[-1] += "." + step
            else:
                keys.append(step)
        here = tree
        for key in keys[:-1]:
            here = here.setdefault(key, {})
        here[keys[-1]] = value

    def pattern(self) -> dict[str, Json]:
        paths = self.random.sample(
            HEAD + DATA[1:] + MORE + tuple(self.odd), self.random.choice((1, 1, 1, 1, 2, 2, 3))
        )
        if self.random.random() < 0.05:
            paths = ["data", *paths[:1]] if not paths[0].startswith("data.") else ["data"]
        tree = self.fields(
            [path for path in paths if not any(other.startswith(path + ".") for other in paths)]
        )
        if self.random.random() < 0.2:
            spare = [path for path in HEAD + DATA[1:] + MORE if path not in paths]
            tree["$or"] = [
                self.fields([each]) for each in self.random.sample(spare, self.random.choice((2, 2, 3)))
            ]
        return tree

    # Messages

    def value(self, depth: int = 0) -> Json:
        dice = self.random.random()
        if depth > 2 or dice < 0.8:
            return self.scalar()
        if dice < 0.93:
            return [self.value(depth + 1) for _ in range(self.random.choice((0, 1, 2, 3)))]
        return {self.random.choice(("a", "d", "b", "c.d")): self.value(depth + 1)}

    def element(self) -> Json:
        item: dict[str, Json] = {}
        for key in ("sku", "qty"):
            if self.random.random() < 0.7:
                item[key] = self.value(2)
        if self.random.random() < 0.4:
            item["parts"] = [
                {key: self.scalar() for key in ("id", "n") if self.random.random() < 0.7}
                for _ in range(self.random.choice((0, 1, 2)))
            ]
        return item

    def data(self) -> Json:
        simple = self.random.random() < self.ordinary
        if self.random.random() < 0.06:
            return self.random.choice(
                (self.scalar(), [], [self.value()], [{"a": self.value()}, {"b": self.value()}])
            )
        make = self.scalar if simple else self.value
        data: dict[str, Json] = {}
        for key in ("a", "b", "tags", "__class__", "", "note", "é", "$ref"):
            if self.random.random() < 0.75:
                data[key] = make()
        if self.random.random() < 0.7:
            inner = {key: make() for key in ("d", "e", "constructor") if self.random.random() < 0.7}
            data["c"] = inner if simple or self.random.random() < 0.8 else [inner, {"d": self.value()}]
        if not simple and self.random.random() < 0.7:
            data["items"] = [self.element() for _ in range(self.random.choice((0, 1, 2, 3)))]
            if self.random.random() < 0.1:
                data["items"] = [data["items"], self.element()]
        if self.random.random() < 0.04:
            data[self.random.choice(('q"q', ".a", "c.d", "c.e.f", "items.sku", "c.e"))] = self.value()
        return data

    def head(self) -> dict[str, Json]:
        head: dict[str, Json] = {
            key: self.value(2) if self.random.random() < 0.03 else self.scalar()
            for key in ("type", "source", "subject", "x")
            if self.random.random() < 0.85
        }
        if self.random.random() < 0.8:
            head["meta"] = {"method": self.scalar(), "headers": {"x": self.scalar()}}
        if self.random.random() < 0.03:
            head[self.random.choice(("data.a", "meta.method", "x.y"))] = self.scalar()
        if self.random.random() < 0.3:
            head["x"] = {"y": self.scalar()}
        return head

"""Makes the tree of an expression from its tokens. Reports the first place where the grammar breaks.

Recursive descent with one level of Python calls per operator, bounded in depth: no text can exhaust the
stack. Names get their meaning in `check`, not here.
"""

from dataclasses import replace
from typing import Final
from typing import Literal as Choice

from service.rules.cel.errors import Issue
from service.rules.cel.lexer import KEYWORDS, RESERVED, Token, tokens
from service.rules.cel.tree import (
    Binary,
    Call,
    Conditional,
    Entry,
    Index,
    Item,
    ListLiteral,
    Literal,
    Logic,
    MapLiteral,
    Name,
    Node,
    Select,
    Unary,
)
from service.rules.cel.values import INT_MAX

MAX_LENGTH: Final = 16_384
"""The longest expression, in characters."""

DEFAULT_MAX_DEPTH: Final = 64
"""How deep an expression may nest, counted in its tree and in brackets."""

_PRECEDENCE: Final = {
    "||": 1, "&&": 2,
    "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "in": 3,
    "+": 4, "-": 4,
    "*": 5, "/": 5, "%": 5,
}  # fmt: skip

_WORD_HINTS: Final = {
    "and": "write `&&`",
    "or": "write `||`",
    "not": "write `!`",
    "is": "write `==`",
    "if": "write `condition ? yes : no`",
    "else": "write `condition ? yes : no`",
    "for": "use a macro: list.all(x, …), list.exists(x, …), list.map(x, …), list.filter(x, …)",
    "let": "use cel.bind(name, value, expression)",
    "var": "use cel.bind(name, value, expression)",
    "const": "use cel.bind(name, value, expression)",
}


class _Stop(Exception):
    """The text does not parse from here on; the issue is recorded."""


def parse(text: str, max_depth: int = DEFAULT_MAX_DEPTH) -> tuple[Node | None, list[Issue]]:
    """Return the tree of `text` and what is wrong with it; no tree when the grammar does not hold."""
    if len(text) > MAX_LENGTH:
        issue = Issue(
            message=f"the expression has {len(text)} characters, the most is {MAX_LENGTH}",
            offset=MAX_LENGTH,
            length=1,
            fix="split it into several rules or steps",
        )
        return None, [issue]
    found, issues = tokens(text)
    parser = _Parser(found, issues, max_depth)
    try:
        tree = parser.whole()
    except _Stop:
        return None, issues
    return (None if issues else tree), issues


class _Parser:
    def __init__(self, found: list[Token], issues: list[Issue], max_depth: int) -> None:
        self._tokens = found
        self._at = 0
        self._issues = issues
        self._broken = bool(issues)
        self._max_depth = max_depth
        self._level = 0

    # Tokens

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _at_end(self) -> bool:
        return self._tokens[self._at].kind == "end"

    def _take(self) -> Token:
        # Never the end: whoever takes has seen what is there.
        self._at += 1
        return self._tokens[self._at - 1]

    def _sees(self, *signs: str) -> bool:
        token = self._tokens[self._at]
        return token.kind == "sign" and token.text in signs

    def _accept(self, sign: str) -> Token | None:
        return self._take() if self._sees(sign) else None

    def _expect(self, sign: str, opened: Token | None = None) -> Token:
        if self._sees(sign):
            return self._take()
        if opened is not None and self._next.kind == "end":
            raise self._stop(f"`{opened.text}` is never closed", opened, f"add `{sign}`")
        raise self._unexpected(f"`{sign}`")

    def _unexpected(self, wanted: str) -> _Stop:
        token = self._next
        hint = _WORD_HINTS.get(token.text, "")
        if token.kind == "end":
            before = self._tokens[self._at - 1] if self._at else token
            return self._stop(f"the expression ends where {wanted} is expected", before, hint)
        return self._stop(f"found `{_cut(token.text)}` where {wanted} is expected", token, hint)

    def _stop(self, message: str, token: Token, fix: str = "") -> _Stop:
        # What the lexer could not read explains this better than the grammar can.
        if not self._broken:
            self._issues.append(
                Issue(message=message, offset=token.start, length=max(1, token.end - token.start), fix=fix)
            )
        return _Stop()

    def _depth(self, token: Token, *below: Node) -> int:
        depth = 1 + max((node.depth for node in below), default=0)
        if depth > self._max_depth:
            raise self._too_deep(token)
        return depth

    def _too_deep(self, token: Token) -> _Stop:
        return self._stop(
            f"the expression nests deeper than {self._max_depth} levels",
            token,
            "make it simpler, or split it into several rules or steps",
        )

    # Grammar, from the loosest binding to the tightest

    def whole(self) -> Node:
        if self._at_end():
            raise self._stop("the expression is empty", self._next, "write a value, as in `data.id`")
        tree = self._expression()
        if not self._at_end():
            raise self._unexpected("an operator or the end")
        return tree

    def _expression(self) -> Node:
        choices: list[tuple[Token, Node, Node]] = []
        last = self._binary(1)
        while (mark := self._accept("?")) is not None:
            yes = self._binary(1)
            self._expect(":", mark)
            choices.append((mark, last, yes))
            last = self._binary(1)
        for mark, condition, yes in reversed(choices):
            depth = self._depth(mark, condition, yes, last)
            last = Conditional(condition.start, last.end, depth, condition, yes, last)
        return last

    def _binary(self, lowest: int) -> Node:
        # Every recursion of the grammar comes through here, so this bounds the stack.
        self._level += 1
        if self._level > self._max_depth:
            raise self._too_deep(self._next)
        left = self._unary()
        while True:
            token = self._next
            power = _PRECEDENCE.get(token.text, 0) if token.kind in ("sign", "name") else 0
            if power < lowest:
                self._level -= 1
                return left
            if token.text in ("&&", "||"):
                left = self._logic(left, token, power)
                continue
            self._take()
            right = self._binary(power + 1)
            depth = self._depth(token, left, right)
            left = Binary(left.start, right.end, depth, token.text, token.start, left, right)

    def _logic(self, first: Node, token: Token, power: int) -> Node:
        """Take a chain of one logical operator; it is one node, however long."""
        operator: Choice["&&", "||"] = "&&" if token.text == "&&" else "||"
        parts = [first]
        while self._accept(operator):
            parts.append(self._binary(power + 1))
        return Logic(first.start, parts[-1].end, self._depth(token, *parts), operator, tuple(parts))

    def _unary(self) -> Node:
        token = self._next
        if not self._sees("!", "-"):
            return self._postfix()
        signs = [self._take()]
        while self._sees(token.text):
            signs.append(self._take())
        if len(signs) > self._max_depth:
            raise self._too_deep(token)
        operand = self._negative(signs) if token.text == "-" and self._is_signed() else self._postfix()
        for sign in reversed(signs):
            depth = self._depth(sign, operand)
            operand = Unary(sign.start, operand.end, depth, "!" if sign.text == "!" else "-", operand)
        return operand

    def _is_signed(self) -> bool:
        token = self._next
        return token.kind == "number" and type(token.value) in (int, float)

    def _negative(self, signs: list[Token]) -> Node:
        """Take a number together with the last minus before it: only so is -2**63 an int."""
        sign = signs.pop()
        token = self._take()
        return self._members(Literal(sign.start, token.end, 1, -token.value))

    def _postfix(self) -> Node:
        return self._members(self._primary())

    def _members(self, node: Node) -> Node:
        while True:
            if self._sees("."):
                node = self._member(node, self._take())
            elif self._sees("["):
                opened = self._take()
                optional = self._accept("?") is not None
                index = self._expression()
                end = self._expect("]", opened).end
                node = Index(node.start, end, self._depth(opened, node, index), node, index, optional)
            elif self._sees("{") and isinstance(node, Name | Select):
                raise self._stop(
                    "there are no message types here",
                    self._next,
                    "write a map: {'name': value}, without a name",
                )
            else:
                return node

    def _member(self, node: Node, dot: Token) -> Node:
        optional = self._accept("?") is not None
        token = self._next
        if token.kind == "name" and token.text in KEYWORDS:
            raise self._stop(f"`{token.text}` cannot be a field here", token, f'write ["{token.text}"]')
        if token.kind not in ("name", "quoted"):
            hint = "write [0] for an element of a list" if token.kind == "number" else ""
            raise self._stop(
                f"found `{_cut(token.text)}` where a field's name is expected"
                if token.kind != "end"
                else "the expression ends where a field's name is expected",
                token if token.kind != "end" else dot,
                hint,
            )
        self._take()
        if self._sees("(") and token.kind == "name" and not optional:
            arguments, end = self._arguments()
            depth = self._depth(token, node, *arguments)
            return Call(node.start, end, depth, token.text, token.start, node, arguments)
        return Select(
            node.start, token.end, self._depth(token, node), node, token.value, token.start, optional
        )

    def _arguments(self) -> tuple[tuple[Node, ...], int]:
        opened = self._take()
        found: list[Node] = []
        while not self._sees(")"):
            found.append(self._expression())
            if not self._accept(","):
                break
            if self._sees(")"):
                raise self._unexpected("another argument")
        return tuple(found), self._expect(")", opened).end

    def _primary(self) -> Node:
        token = self._next
        if token.kind in ("number", "string"):
            self._take()
            if type(token.value) is int and token.value > INT_MAX:
                raise self._stop(
                    "an int has 64 bits, this number is larger", token, "write it as a double: 1e30"
                )
            return Literal(token.start, token.end, 1, token.value)
        if token.kind == "name":
            return self._name(token.start, absolute=False)
        if token.kind == "sign":
            if token.text == "(":
                return self._group()
            if token.text == "[":
                return self._list()
            if token.text == "{":
                return self._map()
            if token.text == ".":
                self._take()
                return self._name(token.start, absolute=True)
        raise self._unexpected("a value")

    def _name(self, start: int, *, absolute: bool) -> Node:
        token = self._next
        if token.kind != "name" or (absolute and token.text in KEYWORDS):
            raise self._unexpected("a name")
        if token.text in ("true", "false", "null"):
            self._take()
            value = None if token.text == "null" else token.text == "true"
            return Literal(token.start, token.end, 1, value)
        if token.text == "in" or token.text in RESERVED:
            fix = _WORD_HINTS.get(token.text, "")
            raise self._stop(f"`{token.text}` is a reserved word and no name", token, fix)
        self._take()
        if not self._sees("("):
            return Name(start, token.end, 1, token.text, absolute)
        arguments, end = self._arguments()
        depth = self._depth(token, *arguments)
        return Call(start, end, depth, token.text, token.start, None, arguments, absolute)

    def _group(self) -> Node:
        opened = self._take()
        inner = self._expression()
        # The brackets belong to the node, so that the text of what holds it is whole.
        return replace(inner, start=opened.start, end=self._expect(")", opened).end)

    def _list(self) -> Node:
        opened = self._take()
        items: list[Item] = []
        while not self._sees("]"):
            optional = self._accept("?") is not None
            items.append(Item(self._expression(), optional))
            if not self._accept(","):
                break
        end = self._expect("]", opened).end
        depth = self._depth(opened, *(item.value for item in items))
        return ListLiteral(opened.start, end, depth, tuple(items))

    def _map(self) -> Node:
        opened = self._take()
        entries: list[Entry] = []
        while not self._sees("}"):
            optional = self._accept("?") is not None
            key = self._expression()
            self._expect(":")
            entries.append(Entry(key, self._expression(), optional))
            if not self._accept(","):
                break
        end = self._expect("}", opened).end
        below = [part for entry in entries for part in (entry.key, entry.value)]
        return MapLiteral(opened.start, end, self._depth(opened, *below), tuple(entries))


def _cut(text: str) -> str:
    return text if len(text) <= 30 else text[:29] + "…"

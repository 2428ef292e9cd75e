"""What is new in an answer: the messages to emit and what to remember with them. Pure."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from triggers.base import Expression, Item, Polled, Reject
from triggers.errors import BadEvent
from triggers.expressions import expressed
from triggers.message import TriggerMessage
from triggers.poll.answers import Body, Found, find_items, read, visible_headers
from triggers.poll.config import PollConfig
from triggers.poll.memory import MAX_STATE, Memory, Seen, fingerprint

MAX_ID: Final = 1_024
"""Characters of an item's id."""


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer brought: items to emit by the name they are known by, the oldest first.

    `present` are the names of all items of the answer, the oldest first. `body` is the whole body.
    `strangers` says that nothing in the answer was known though something could have been.
    """

    new: tuple[tuple[str, Item], ...]
    present: tuple[str, ...]
    memory: Memory
    body: Body
    strangers: bool = False


class NewsReader:
    """Tells what is new in answers, for one source."""

    def __init__(self, name: str, config: PollConfig, expressions: Mapping[str, Expression]) -> None:
        self._source = f"/sources/{name}"
        self._config = config
        self._items = expressions.get("items")
        self._item_id = expressions.get("item_id")
        self._state = expressions.get("state")
        self._attributes = {key: expressions[key] for key in ("type", "subject") if key in expressions}

    def read(self, answer: Polled, memory: Memory, seen: Seen, last: Any) -> News:
        """Return what an answer brings beyond what is remembered. Raise BadEvent: it cannot be read."""
        body = read(answer)
        variables = {
            "body": body.value,
            "status": answer.status,
            "headers": visible_headers(answer),
            "state": memory.state if memory.answered else self._config.initial,
            "last": last,
        }
        found = find_items(body, self._config.items, self._items, variables)
        if self._config.order == "newest-first":
            found.reverse()
        state = self._next_state(found, variables)
        learnt = msgspec.structs.replace(memory, answered=True, state=state, bad="", first="")
        quiet = not memory.answered and (memory.first or self._config.first) == "skip"
        if self._changes_as_a_whole(body, found):
            return self._whole(found[0], body, learnt, answer, quiet=quiet)
        named = [(*self._name(one), one) for one in found]
        new = tuple(
            (name, self._item(name, problem, one, answer))
            for name, problem, one in named
            if not quiet and name not in seen
        )
        return News(
            new=new,
            present=tuple(name for name, _, _ in named),
            memory=learnt,
            body=body,
            strangers=bool(new) and len(new) == len(named) and len(seen) > 0,
        )

    def _changes_as_a_whole(self, body: Body, found: list[Found]) -> bool:
        """Say whether the body is the one item and known by its content: then going back is a change, too."""
        return self._item_id is None and len(found) == 1 and found[0].data is body.data

    def _whole(self, one: Found, body: Body, learnt: Memory, answer: Polled, *, quiet: bool) -> News:
        result = fingerprint(one.data)
        if result == learnt.result:
            return News(new=(), present=(), memory=learnt, body=body)
        memory = msgspec.structs.replace(learnt, result=result, changes=learnt.changes + 1)
        if quiet:
            return News(new=(), present=(), memory=memory, body=body)
        name = f"{memory.changes}-{result}"
        return News(new=((name, self._item(name, "", one, answer)),), present=(), memory=memory, body=body)

    def _next_state(self, found: list[Found], variables: Mapping[str, Any]) -> Any:
        before = variables["state"]
        if self._state is None:
            return before
        try:
            state = self._state({**variables, "items": [one.value for one in found]})
        except ValueError as error:
            raise BadEvent("no-state", f"the expression `state:` has no value: {error}") from None
        if state is None:
            return before
        if len(msgspec.json.encode(state)) > MAX_STATE:
            raise BadEvent("state-too-long", f"the state is longer than {MAX_STATE} bytes")
        return state

    def _name(self, one: Found) -> tuple[str, str]:
        """Return what an item is known by, and why that cannot be the id of a message, "" when it can."""
        if self._item_id is None:
            return fingerprint(one.data), ""
        try:
            value = self._item_id({"item": one.value})
        except ValueError as error:
            return f"reject-{fingerprint(one.data)}", str(error)[:200]
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and 0 < len(value) <= MAX_ID and value.isprintable():
            return value, ""
        wanted = f"1 to {MAX_ID} printable characters or a whole number"
        return f"reject-{fingerprint(one.data)}", f"it must be {wanted}"

    def _item(self, name: str, problem: str, one: Found, answer: Polled) -> Item:
        """Return the message of an item, or the reject of one that cannot become a message."""
        meta = {"kind": "poll", "call": self._config.call, "status": answer.status}
        if problem:
            detail = f"the expression `item_id:` gives no id: {problem}"
            return Reject(reason="no-id", detail=detail, data=one.data, meta=meta)
        message = TriggerMessage(
            id=name,
            source=self._source,
            type="poll.item",
            datacontenttype=one.content_type,
            format=one.format,
            data=one.data,
            meta=meta,
        )
        try:
            return expressed(message, self._attributes) if self._attributes else message
        except BadEvent as error:
            return Reject(reason=error.reason, detail=error.detail, data=one.data, meta=meta)

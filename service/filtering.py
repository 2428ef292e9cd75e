"""Takes of a description the operations that its connector wants, and remembers why the others are left out.

Pure. What is left out is in no list and cannot be called; triggers, logins and servers stay as they are.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from actions.specs.model import LeftOut, Operation, Spec
from service.config.connectors import TAG, OperationsConfig
from service.errors import Problem, nearest
from service.rules.wildcard import matches_pieces, split_wildcard

_LISTED: Final = 20_000
"""Names among which one is looked for that may have been meant."""


class _Entry:
    """One entry of a list; `place` is its JSON pointer below `operations`."""

    def __init__(self, place: str, text: str) -> None:
        self.place = place
        self.text = text
        self.of_tags = text.startswith(TAG)
        self._pieces = split_wildcard(text.removeprefix(TAG))

    def names(self, one: Operation) -> bool:
        """Say whether an operation is meant."""
        return any(matches_pieces(self._pieces, name) for name in self.known(one))

    def known(self, one: Operation) -> tuple[str, ...]:
        """Return what entries of this kind may call an operation."""
        return one.tags if self.of_tags else (one.id, *one.aliases)


class Filter:
    """What a connector wants of its description, and of each version of it."""

    def __init__(self, config: OperationsConfig) -> None:
        self._included = config.include is None
        self._include = _entries("/include", config.include)
        self._exclude = _entries("/exclude", config.exclude)

    def of(self, spec: Spec) -> Spec:
        """Return a description with the operations that are wanted of it."""
        left_out = {}
        for id_, one in spec.operations.items():
            reason = self._reason(one)
            if reason is not None:
                left_out[id_] = reason
        if not left_out:
            return spec
        return replace(
            spec,
            operations={id_: one for id_, one in spec.operations.items() if id_ not in left_out},
            left_out=left_out,
            test=None if spec.test is not None and _leads_to(spec, spec.test.name, left_out) else spec.test,
        )

    def _reason(self, one: Operation) -> LeftOut | None:
        """Return why an operation is left out; None when it is wanted."""
        against = next((entry for entry in self._exclude if entry.names(one)), None)
        if against is not None:
            return LeftOut(reason=f"`exclude` names it: {against.text}", place=against.place)
        if self._included or any(entry.names(one) for entry in self._include):
            return None
        return LeftOut(reason="`include` does not name it", place="/include")

    def idle(self, specs: Iterable[Spec], pointer: str) -> Iterator[Problem]:
        """Yield a warning for each entry that names no operation of any of these whole descriptions.

        `pointer` is where `operations` stands.
        """
        operations = [one for spec in specs for one in spec.operations.values()]
        for entry in (*self._include, *self._exclude):
            if any(entry.names(one) for one in operations):
                continue
            what = "tag" if entry.of_tags else "operation"
            names = dict.fromkeys(name for one in operations for name in entry.known(one))
            near = nearest(entry.text.removeprefix(TAG), list(names)[:_LISTED])
            meant = f"did you mean `{TAG if entry.of_tags else ''}{near}`?"
            yield Problem(
                message=f"the description has no {what} of this name: the entry changes nothing",
                code="idle-entry",
                severity="warning",
                pointer=pointer + entry.place,
                found=entry.text[:80],
                fix=meant if near else _there(entry, list(names)),
            )


def _entries(pointer: str, texts: Iterable[str] | None) -> tuple[_Entry, ...]:
    return tuple(_Entry(f"{pointer}/{place}", text) for place, text in enumerate(texts or ()))


def _leads_to(spec: Spec, name: str, left_out: dict[str, LeftOut]) -> bool:
    operation = spec.find(name)
    return operation is not None and operation.id in left_out


def _there(entry: _Entry, names: list[str]) -> str:
    if entry.of_tags:
        return f"its tags: {', '.join(names[:20])}" if names else "its operations have no tags"
    return "`pointsman connectors read PATH -o yaml` lists its operations"

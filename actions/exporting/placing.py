"""Reads a written document again and says beside each part what of it came out differently."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from actions.exporting.writing import Json, Written
from actions.specs.load import Bundle, Document
from actions.specs.model import Operation, Server, Spec, Trigger
from actions.specs.openapi import OpenAPIReader
from actions.specs.reading import EXTENSION, aliases_of
from actions.specs.restoring import plain, remainder

_PARTS: Final = frozenset({"parameters", "body", "responses", "servers"})
"""Fields whose own parts say what is missing, as long as those parts are there."""
_APART: Final = frozenset({"operations", "triggers", "security_schemes", "servers", "aliases", "dialect"})


def complete(wanted: Spec, written: Written, *, whole: bool) -> bool:
    """Add to the document what reading it does not give; False when there was nothing to add.

    `whole`: say fields whole that saying their parts was not enough for.
    """
    return _Completion(wanted, written, whole=whole).run()


class _Completion:
    def __init__(self, wanted: Spec, written: Written, *, whole: bool) -> None:
        self._wanted = wanted
        self._written = written
        self._whole = whole
        self._document = written.document
        self._got = OpenAPIReader().read(Bundle(root=Document(name="", value=self._document)))
        self._added = False

    def run(self) -> bool:
        """Compare part by part."""
        wanted, got = self._wanted, self._got
        ids = {one.id: self._written.operations[one.pointer].id for one in got.operations.values()}
        for one in got.operations.values():
            self._operation(self._written.operations[one.pointer], one, self._at(one.pointer))
        for trigger in got.triggers.values():
            if trigger.pointer in self._written.triggers:
                renamed = replace(trigger, operation=ids.get(trigger.operation, trigger.operation))
                self._trigger(self._written.triggers[trigger.pointer], renamed, self._at(trigger.pointer))
        there = {one.pointer for one in got.triggers.values()}
        for pointer in self._written.triggers.keys() - there:
            self._written.homeless.append(self._written.triggers.pop(pointer))
        for name, scheme in wanted.security_schemes.items():
            holder = self._document["components"]["securitySchemes"][self._written.keys[name]]
            self._say(holder, remainder(scheme, got.security_schemes[name]))
        self._servers(wanted.servers, got.servers, self._document, self._document.get("servers", []))
        self._around()
        return self._added

    def _around(self) -> None:
        """Say what belongs to no part."""
        wanted, got = self._wanted, self._got
        said = remainder(wanted, got, _APART)
        own = aliases_of((one.id, one.aliases) for one in self._written.operations.values())
        if wanted.aliases not in (own, got.aliases):
            said["aliases"] = plain(wanted.aliases)
        if wanted.dialect.startswith("asyncapi") and got.dialect != wanted.dialect:
            said["dialect"] = wanted.dialect
        lost = {one.id: plain(one) for one in self._written.homeless if got.triggers.get(one.id) != one}
        if lost:
            said["triggers"] = lost
        self._say(self._document, said)

    def _operation(self, wanted: Operation, got: Operation, holder: Json) -> None:
        parts = self._inputs(wanted, got, holder)
        for status, written in holder.get("responses", {}).items():
            self._say(written, remainder(wanted.responses[status], got.responses[status]))
        parts["responses"] = wanted.responses.keys() == got.responses.keys()
        parts["servers"] = self._servers(wanted.servers, got.servers, holder, holder.get("servers", []))
        said = remainder(wanted, got, self._settled(parts))
        if "responses" in said and not self._whole:
            said["responses"] = {
                name: one for name, one in said["responses"].items() if name not in got.responses
            }
        self._say(holder, said)

    def _trigger(self, wanted: Trigger, got: Trigger, holder: Json) -> None:
        parts = self._inputs(wanted, got, holder)
        self._say(holder, remainder(wanted, got, self._settled(parts)))

    def _inputs(self, wanted: Operation | Trigger, got: Operation | Trigger, holder: Json) -> dict[str, bool]:
        """Say what is missing of parameters and body; return which of them have all their parts."""
        same = len(wanted.parameters) == len(got.parameters)
        if same and not self._whole:
            for want, have, written in zip(
                wanted.parameters, got.parameters, holder.get("parameters", []), strict=True
            ):
                self._say(written, remainder(want, have))
        body = (wanted.body is None) == (got.body is None)
        if wanted.body and got.body and not self._whole:
            self._say(holder["requestBody"], remainder(wanted.body, got.body))
        return {"parameters": same, "body": body}

    def _servers(
        self, wanted: Sequence[Server], got: Sequence[Server], holder: Json, written: list[Json]
    ) -> bool:
        if len(wanted) == len(got) == len(written) and not self._whole:
            for want, have, one in zip(wanted, got, written, strict=True):
                self._say(one, remainder(want, have))
            return True
        if tuple(wanted) != tuple(got):
            self._say(holder, {"servers": plain(wanted)})
        return True

    def _settled(self, parts: Mapping[str, bool]) -> frozenset[str]:
        return frozenset() if self._whole else frozenset(name for name, there in parts.items() if there)

    def _say(self, holder: Json, said: Json) -> None:
        if said:
            self._added = True
            known = holder.setdefault(EXTENSION, {})
            for name, one in said.items():
                if name in ("extras", "responses", "triggers") and name in known:
                    known[name] |= one
                else:
                    known[name] = one

    def _at(self, pointer: str) -> Json:
        found: Any = self._document
        for token in pointer.split("/")[1:]:
            found = found[token.replace("~1", "/").replace("~0", "~")]
        return found  # type: ignore[no-any-return] # every pointer leads to an object that we wrote

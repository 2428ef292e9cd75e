"""What every reader does the same way: collecting findings, forgiving wrong types, naming operations.

A reader is one file with one class. It gets a bundle and returns a Spec; it neither raises for anything that
can stand in a document nor touches anything outside the bundle.
"""

import hashlib
import re
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal

import msgspec

from actions.base import Finding
from actions.specs.events import escape
from actions.specs.files import OUTSIDE, quoted, split
from actions.specs.load import Bundle
from actions.specs.model import PREFERENCE, Media, Spec, Variable
from actions.specs.references import Registry, Unresolved, dangling

MAX_SAME: Final = 50
"""How many findings of one code a description lists; what is refused is listed all."""
_ALWAYS: Final = frozenset({"operation-refused", "path-refused"})
MAX_ID: Final = 64

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""What may be the name of a header (RFC 9110)."""

EXTENSION: Final = "x-pointsman"
"""Beside a part of an exported description: what OpenAPI cannot say of it."""

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

IDEMPOTENCY: Final = re.compile(r"(?:x-)?idempotency-?key", re.IGNORECASE)

_USABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_WORDS: Final = re.compile(r"[^A-Za-z0-9]+")


class Reader(ABC):
    """Reads one format.

    What its Spec depends on it opens through the bundle: only what was opened is kept (docs/adr/0013).
    """

    kind: ClassVar[str]

    @abstractmethod
    def sniff(self, bundle: Bundle) -> bool:
        """Say whether the root document is in this format, by its marks alone."""

    @abstractmethod
    def read(self, bundle: Bundle) -> Spec:
        """Read a bundle that `sniff` accepted. Never raises: what is wrong is in the findings."""


class Reading:
    """The state of one reading: the findings so far, and the registry."""

    def __init__(self, bundle: Bundle) -> None:
        self._document = bundle.root
        self._counts: Counter[str] = Counter()
        self.registry = Registry.of(bundle)
        self.findings: list[Finding] = []

    def add(
        self,
        code: str,
        message: str,
        pointer: str,
        *,
        fix: str = "",
        severity: Literal["error", "warning", "info"] = "warning",
    ) -> None:
        """Add a finding about the value at a pointer, unless there are enough of its code."""
        self._counts[code] += 1
        if self._counts[code] > MAX_SAME and code not in _ALWAYS:
            return
        if self._counts[code] == MAX_SAME and code not in _ALWAYS:
            message += " (more of these are not listed)"
        if OUTSIDE in message:
            fix = "give the folder that holds all of its files"
        found = Finding(severity=severity, code=code, message=message, fix=fix, pointer=pointer)
        self.findings.append(found)

    def mapping(self, value: Any, pointer: str) -> dict[str, Any]:
        """Return a JSON object; anything else is empty, with a finding unless it was absent.

        A whole part may stand elsewhere (`paths: {$ref: paths/index.yaml}`): no version of any format allows
        it, and many descriptions in several files do it.
        """
        found = self.behind(value)
        return found if isinstance(found, dict) else self._wrong(found, "an object", pointer, {})

    def listing(self, value: Any, pointer: str) -> list[Any]:
        """Return a JSON array, perhaps from elsewhere; else nothing, with a finding unless it was absent."""
        found = self.behind(value)
        return found if isinstance(found, list) else self._wrong(found, "an array", pointer, [])

    def behind(self, value: Any) -> Any:
        """Return what a value refers to, with what stands beside the reference; that leads nowhere: nothing.

        Of a reference that leads nowhere `check_references` tells.
        """
        if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
            return value
        beside = {key: member for key, member in value.items() if key != "$ref"}
        try:
            found = self.registry.follow(value)
        except Unresolved:
            return beside
        return {**found, **beside} if isinstance(found, dict) else found

    def variables(self, value: Any, pointer: str) -> dict[str, Variable]:
        """Read the variables of a server, which OpenAPI and AsyncAPI write the same way."""
        variables = {}
        for name, entry in self.mapping(value, pointer).items():
            variable = self.mapping(entry, f"{pointer}/{escape(name)}")
            enum = self.listing(variable.get("enum"), f"{pointer}/{escape(name)}/enum")
            default = variable.get("default")
            variables[name] = Variable(
                default=None if default is None else text(default),
                enum=tuple(text(one) for one in enum),
                description=text(variable.get("description")),
            )
        return variables

    def _wrong(self, value: Any, wanted: str, pointer: str, instead: Any) -> Any:
        if value is not None:
            self.add("wrong-type", f"{wanted} should stand here; left out", pointer)
        return instead

    def check_references(self) -> None:
        """Add a finding for every reference that leads nowhere."""
        for pointer, _, reason in dangling(self.registry):
            fix = "" if reason.why == "loose" else "anything is allowed there"
            self.add(f"reference-{reason.why}", str(reason), pointer, fix=fix)

    def finish(self) -> tuple[Finding, ...]:
        """Return all findings, those of loading first, each with its place in the text of its file."""
        documents = self.registry.files.documents
        made: dict[str, list[Finding]] = {}
        for one in self.findings:
            file, inner = split(self.registry.where(one.pointer))
            made.setdefault(file or self._document.name, []).append(_at(one, inner))
        found = [*self._document.findings, *self._of_other_files()]
        for name, findings in made.items():
            start = "" if name == self._document.name else f"{quoted(name)}#"
            found.extend(_at(one, start + one.pointer) for one in documents[name].place(findings))
        return tuple(found)

    def _of_other_files(self) -> Iterator[Finding]:
        """Yield what was found while the other files were loaded; none of that can refuse the whole."""
        counts: Counter[str] = Counter()
        for name, document in self.registry.files.documents.items():
            for one in document.findings if document is not self._document else ():
                counts[one.code] += 1
                if counts[one.code] <= MAX_SAME:
                    yield _at(one, f"{quoted(name)}#{one.pointer}", mild=True)


def _at(finding: Finding, pointer: str, *, mild: bool = False) -> Finding:
    severity = "warning" if mild and finding.severity == "error" else finding.severity
    return msgspec.structs.replace(finding, pointer=pointer, severity=severity)


@dataclass(slots=True)
class Sketch:
    """An operation or trigger while it is read: its own findings make its `problem` and `degraded`."""

    reading: Reading
    name: str
    pointer: str
    problems: list[str] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)

    def refuse(self, reason: str) -> None:
        """Keep a reason why this cannot be called."""
        self.problems.append(reason)

    def degrade(self, code: str, reason: str, pointer: str) -> None:
        """Keep what was left out, as a finding too."""
        self.degraded.append(reason)
        self.reading.add(code, f"{self.name}: {reason}", pointer)

    def follow(self, value: Any, what: str) -> Any:
        """Return a part behind its references; None, and the operation refused, where there is none."""
        try:
            found = self.reading.registry.follow(value)
        except Unresolved as reason:
            self.refuse(f"{what} {reason}")
            return None
        if not isinstance(found, dict):
            self.refuse(f"{what} is not an object")
            return None
        return found

    def each_response(self, value: Any) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Yield each answer of `responses`: its status as written, its pointer, what it says."""
        pointer = f"{self.pointer}/responses"
        for status, entry in self.reading.mapping(value, pointer).items():
            if status.startswith("x-"):
                continue
            at = f"{pointer}/{escape(status)}"
            try:
                found = self.reading.registry.follow(entry)
            except Unresolved as reason:
                self.degrade("response", f"the answer {status} {reason}", at)
                found = {}
            yield status, at, self.reading.mapping(found, at)

    def operation_of(self, value: Any) -> Any:
        """Return an operation behind its references; what stands beside them comes before it."""
        found = self.follow(value, "the operation")
        return found if found is None or found is value else self.reading.behind(value)


def text(value: Any) -> str:
    """Return what people are to read; numbers and booleans as they would be written, else nothing."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) else ""


def near(word: str, candidates: Iterable[str]) -> str:
    """Return "; did you mean …?" where a candidate is much like the word, else nothing."""
    from difflib import get_close_matches

    found = get_close_matches(word, list(candidates), n=1, cutoff=0.75)
    return f"; did you mean {found[0]}?" if found else ""


def extras(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the `x-…` members of an object, without our own."""
    return {key: member for key, member in value.items() if key.startswith("x-") and key != EXTENSION}


def preferred(media: Iterable[Media]) -> tuple[Media, ...]:
    """Return media types in the order of preference; equals keep the order of the description."""
    return tuple(sorted(media, key=lambda one: PREFERENCE.index(one.kind)))


def slug(method: str, path: str) -> str:
    """Return a name made of method and path: `get_orders_by_id`, at most MAX_ID characters long."""
    words = _WORDS.sub("_", path.replace("{", "/by_")).strip("_") or "root"
    name = f"{method.lower()}_{words}" if method else words
    return name if len(name) <= MAX_ID else f"{name[: MAX_ID - 9]}_{_digest(method, path)}"


def _digest(method: str, path: str) -> str:
    return hashlib.sha256(f"{method.upper()} {path}".encode()).hexdigest()[:8]


def assign_ids(wanted: Sequence[tuple[str, str, str]]) -> list[str]:
    """Return an id for each (original name, method, path), none twice.

    The original name is the id where it is usable and unique, else the slug of method and path, else that
    slug with a hash. An id depends on what stands at this method and path and on what collides with it,
    never on the order, so that it survives the next version of the description.
    """
    ids = ["" for _ in wanted]
    choices: tuple[Callable[[str, str, str], str], ...] = (
        lambda name, method, path: name if _USABLE.fullmatch(name) else slug(method, path),
        lambda _, method, path: slug(method, path),
        lambda _, method, path: f"{slug(method, path)[: MAX_ID - 9]}_{_digest(method, path)}",
    )
    open_ = list(range(len(wanted)))
    taken: set[str] = set()
    for choose in choices:
        groups: dict[str, list[int]] = defaultdict(list)
        for index in open_:
            groups[choose(*wanted[index])].append(index)
        open_ = []
        for name, members in groups.items():
            if len(members) > 1 or name in taken:
                open_.extend(members)
            else:
                ids[members[0]] = name
                taken.add(name)
    for index in open_:  # the same method and path twice: only their order is left
        count, name = 2, choices[-1](*wanted[index])
        while f"{name}_{count}" in taken:
            count += 1
        ids[index] = f"{name}_{count}"
        taken.add(ids[index])
    return ids


def aliases_of(owners: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, str]:
    """Return alias → id, without the aliases that several share or that are ids themselves."""
    found: dict[str, str] = {}
    shared: set[str] = set()
    ids = set()
    for owner, names in owners:
        ids.add(owner)
        for name in names:
            if name in found and found[name] != owner:
                shared.add(name)
            found[name] = owner
    return {name: owner for name, owner in found.items() if name not in shared and name not in ids}

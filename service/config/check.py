"""Checks a configuration as far as shape, names, files and secrets go, and places every problem.

All problems are reported, those of the text and those of the fields together. What needs a compiled
expression, a pattern or a read description is `service.plan`'s, which places its problems by `problems_at`.
"""

import json
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from pydantic import BaseModel, ValidationError

from service.config import words
from service.config.backends import ConnectionConfig
from service.config.connectors import ConnectorConfig, copy_of
from service.config.include import SECTIONS, load_files
from service.config.marks import Marks, join_pointer, show_key, split_pointer
from service.config.model import OWN_SOURCE, Configuration, RuleConfig
from service.config.references import check_references
from service.config.secrets import MASK, Vault, put_secrets
from service.config.values import NAME_PATTERN, PATTERN_WORDS, is_name
from service.config.words import NOTHING
from service.errors import Problem, nearest
from triggers import SOURCES
from triggers.base import SourceConfig

_AT_KEY: Final = frozenset({"unknown-field", "bad-name", "bad-key", "reserved-name", "unknown-input"})
_ABOUT_A_VALUE: Final = frozenset({"wrong-value", "wrong-form", "out-of-range"})
_MODELS: Final[dict[str, type[BaseModel]]] = {
    "connectors": ConnectorConfig,
    "connections": ConnectionConfig,
    "rules": RuleConfig,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedConfiguration:
    """What a check found. `configuration` is None when any problem is an error.

    `sketch` is what can be looked at further, so that all problems are found at once: the sound resources,
    and broken ones without their broken fields. It may never run. `document` is everything that stands in
    the files in canonical form, secrets as references: what is stored and compared; empty when there is no
    configuration.
    """

    configuration: Configuration | None
    sketch: Configuration
    document: bytes
    marks: Marks
    problems: tuple[Problem, ...]
    files: tuple[Path, ...]

    def path(self, pointer: str) -> Path:
        """Return the file that the text at `pointer` names, relative to the file that says it."""
        return (folder_of(self.marks, pointer) / str(self.marks.value(pointer))).absolute()

    def folder(self, pointer: str) -> Path:
        """Return the folder of the file that says what stands at a pointer."""
        return folder_of(self.marks, pointer).absolute()

    def description(self, connector: str) -> Path:
        """Return where the description of a connector lies: the path that is named, or the copy of a URL."""
        pointer = join_pointer("connectors", connector, "spec")
        pinned = self.sketch.connectors[connector].sha256
        if pinned is None:
            return self.path(pointer)
        return self.folder(pointer) / copy_of(pinned)

    def version(self, connector: str, version: str) -> str:
        """Return the pointer to where it is said which file holds a version's description."""
        pointer = join_pointer("connectors", connector, "versions", version)
        return f"{pointer}/spec" if self.marks.has(f"{pointer}/spec") else pointer

    def sound(self, pointer: str) -> bool:
        """Say whether no error was found at a pointer or below it."""
        return not any(
            problem.severity == "error" and f"{problem.pointer}/".startswith(f"{pointer}/")
            for problem in self.problems
        )


def load_configuration(
    path: Path, *, resolve: bool, env: Mapping[str, str], connection: str | None = None
) -> CheckedConfiguration:
    """Read and check a configuration. Never raises for what the files hold.

    With `resolve` a missing secret is an error; without, a warning, and a placeholder stands for it. With
    `connection` no other secrets than those of the connection of that name are asked for.
    """
    loaded = load_files(path)
    vault = Vault(
        env=env,
        required=resolve,
        folder=lambda pointer: folder_of(loaded.marks, pointer),
        only=None if connection is None else join_pointer("connections", connection),
    )
    shapes = _Shapes(loaded.document, vault)
    shapes.check()
    found = [*(_masked(problem, vault) for problem in shapes.problems), *vault.problems]
    found += check_references(
        loaded.document, lambda pointer: folder_of(loaded.marks, pointer), complete=not loaded.broken
    )
    # What the loader refused is nothing to the models: that is no second problem.
    broken_lines = {(one.file, one.line) for one in loaded.problems if one.severity == "error"}
    placed = [
        _without_secret_key(problem)
        for problem in problems_at(found, loaded.marks)
        if problem.found != NOTHING or (problem.file, problem.line) not in broken_lines
    ]
    problems = tuple(sorted([*loaded.problems, *placed], key=_order))
    sound = not any(problem.severity == "error" for problem in problems)
    configuration = Configuration.model_validate(shapes.built) if sound else None
    return CheckedConfiguration(
        configuration=configuration,
        sketch=configuration or Configuration.model_construct(**shapes.built),
        document=canonical(loaded.document) if sound else b"",
        marks=loaded.marks,
        problems=problems,
        files=loaded.files,
    )


def problems_at(problems: Iterable[Problem], marks: Marks) -> list[Problem]:
    """Return the problems with file, line and column filled in from their pointers and offset."""
    placed = []
    for given in problems:
        problem = _explained(given, marks)
        if problem.line:
            placed.append(problem)
            continue
        at_key = problem.code in _AT_KEY
        place = marks.key(problem.pointer) if at_key else marks.locate(problem.pointer, problem.offset)
        placed.append(msgspec.structs.replace(problem, file=place.file, line=place.line, column=place.column))
    return placed


def _explained(problem: Problem, marks: Marks) -> Problem:
    """Return a problem that says in words of the text what else makes it one."""
    if not problem.because.startswith("/"):
        return problem
    place = marks.locate(problem.because)
    because = f"{place.file}:{place.line}:{place.column}"
    return msgspec.structs.replace(problem, because=because)


def folder_of(marks: Marks, pointer: str) -> Path:
    """Return the folder of the file that says what stands at `pointer`."""
    return Path(marks.file(pointer)).parent


def canonical(document: dict[str, Any]) -> bytes:
    """Return a document in the one form that is stored and compared: no spaces, UTF-8, keys as in the files.

    The order of keys is kept because requests are made of it: a body rendered from the stored form must be
    the one that was rendered from the file. Secrets are references in a document, so there is none in here.
    """
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")


def source_config(kind: str) -> type[SourceConfig]:
    """Return the configuration model of a kind of source. Raise ImportError when its driver is missing."""
    config: type[SourceConfig] = pkgutil.resolve_name(SOURCES[kind]).Config
    return config


class _Shapes:
    """Validates resource by resource, so that one broken resource hides no other."""

    def __init__(self, document: dict[str, Any], vault: Vault) -> None:
        self.problems: list[Problem] = []
        self.built: dict[str, Any] = {}
        self._document = document
        self._vault = vault

    def check(self) -> None:
        """Fill `problems`, and `built` with what is sound."""
        known = list(Configuration.model_fields)
        for key, value in self._document.items():
            if key in SECTIONS:
                self._check_section(key, value)
            elif key == "version":
                self._check_version(value)
            elif key == "settings":
                fix = "settings of the process are options of `serve` and variables POINTSMAN_…"
                self._report("unknown-field", "/settings", "unknown field `settings`", fix)
            else:
                self.problems.append(words.unknown_field(key, known, join_pointer(key)))

    def _check_version(self, value: Any) -> None:
        if value != 1 or isinstance(value, bool):
            found = words.show(value)
            self._report("wrong-choice", "/version", "`version` must be 1", "write version: 1", found=found)

    def _check_section(self, section: str, resources: dict[str, Any]) -> None:
        built = self.built.setdefault(section, {})
        for name, value in resources.items():
            pointer = join_pointer(section, name)
            if not is_name(name):
                message, fix = PATTERN_WORDS[NAME_PATTERN]
                self._report("bad-name", pointer, message, fix, found=words.show(name))
            model = self._source_model(name, value) if section == "sources" else _MODELS[section]
            made = self._build(model, value, pointer) if model is not None else None
            if made is not None:
                built[name] = made

    def _source_model(self, name: str, value: Any) -> type[SourceConfig] | None:
        """Return the model of a source by its kind, or None and a problem that says why not."""
        pointer = join_pointer("sources", name)
        if name == OWN_SOURCE:
            message = f"`{OWN_SOURCE}` is the source of the service's own messages"
            self._report("reserved-name", pointer, message, "choose another name")
        if not isinstance(value, dict):
            found = words.show(value)
            self._report(
                "wrong-type", pointer, "a source must be a mapping", "write {kind: webhook, …}", found=found
            )
            return None
        kinds = ", ".join(SOURCES)
        if "kind" not in value:
            self._report(
                "missing-field", f"{pointer}/kind", "`kind` is missing", f"add kind: … (one of {kinds})"
            )
            return None
        kind = value["kind"]
        found = words.show(kind)
        if isinstance(kind, str) and kind in SOURCES:
            return self._imported(kind, pointer)
        near = nearest(kind, [*SOURCES]) if isinstance(kind, str) else None
        fix = f"did you mean `{near}`?" if near else f"there are: {kinds}"
        self._report("unknown-kind", f"{pointer}/kind", "unknown kind of source", fix, found=found)
        return None

    def _imported(self, kind: str, pointer: str) -> type[SourceConfig] | None:
        try:
            return source_config(kind)
        except ImportError as error:
            message = f"sources of kind {kind} need a package that is not installed: {error.name}"
            self._report("missing-driver", f"{pointer}/kind", message, f"pip install 'pointsman[{kind}]'")
            return None

    def _build(self, model: type[BaseModel], value: Any, pointer: str) -> BaseModel | None:
        """Return the resource; or problems, and what is left of it without the broken fields, if anything."""
        filled = put_secrets(model, value, pointer, self._vault)
        try:
            return model.model_validate(filled)
        except ValidationError as error:
            details = error.errors(include_url=False)
            self.problems += [
                problem
                for problem in words.explain(details, filled, pointer, model)
                if not self._only_missing(problem)
            ]
            return _left_of(model, filled, {str(detail["loc"][0]) for detail in details if detail["loc"]})

    def _only_missing(self, problem: Problem) -> bool:
        """Say whether a complaint is about the placeholder of a secret that has a problem of its own."""
        if problem.code not in _ABOUT_A_VALUE:
            return False
        places = self._vault.unresolved
        return problem.pointer in places or any(
            place.rpartition("/")[0] == problem.pointer and place.rpartition("/")[2].isdigit()
            for place in places
        )

    def _report(self, code: str, pointer: str, message: str, fix: str, *, found: str = "") -> None:
        self.problems.append(Problem(message=message, code=code, pointer=pointer, found=found, fix=fix))


def _left_of(model: type[BaseModel], value: Any, broken: set[str]) -> BaseModel | None:
    """Return a resource without its broken fields, None where the rest would be judged wrongly."""
    if not isinstance(value, dict) or (model is ConnectionConfig and broken & {"server", "variables"}):
        return None
    steps = model is RuleConfig and "do" in broken
    if model is RuleConfig:
        broken = broken | {"tests"} | ({"mode"} if "key" in broken else set())
    left = {name: field for name, field in value.items() if name not in broken}
    try:
        if not steps:
            return model.model_validate(left)
        some = model.model_validate({**left, "do": [{"call": "nothing.at-all"}]})
        return some.model_copy(update={"do": ()})
    except ValidationError:
        return None


def _masked(problem: Problem, vault: Vault) -> Problem:
    """Return a problem without any secret: adapters may repeat what they were given."""
    found = MASK if problem.found and problem.pointer in vault.suspects else problem.found
    return msgspec.structs.replace(
        problem,
        message=vault.mask(problem.message, problem.pointer),
        found=vault.mask(found, problem.pointer),
        fix=vault.mask(problem.fix, problem.pointer),
    )


def _without_secret_key(problem: Problem) -> Problem:
    """Return a placed problem whose pointer shows no secret: an unknown key may be `bearer:s3cret`."""
    if problem.code != "unknown-field":
        return problem
    *above, key = split_pointer(problem.pointer)
    return msgspec.structs.replace(problem, pointer=join_pointer(*above, show_key(key)))


def _order(problem: Problem) -> tuple[str, int, int, str]:
    return problem.file, problem.line, problem.column, problem.message

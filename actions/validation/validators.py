"""Says everything that is wrong with a value, by the schema that the description gives for it.

Validators are compiled on first use and kept per schema. Whatever a description says about types of Swagger 2
to OpenAPI 3.2 is first rewritten (`dialects`); references are followed inside the description only, nothing
is ever fetched, and regular expressions run on an engine that takes linear time or not at all. What a
validator finds is advice: whoever asks decides by its `Strictness` what follows.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, Literal

import jsonschema_rs
import msgspec

from actions.specs.model import NEVER_SET, Media, Operation, Parameter, Spec
from actions.validation.dialects import Rewriter
from actions.validation.explaining import Problem, explain, is_spelling, pointer

Strictness = Literal["off", "warn", "reject"]
"""What follows from problems: nobody looks, they are told, or the call is refused."""

MAX_DEPTH: Final = 128
"""Deeper values are not checked: the engine works on the C stack."""
MAX_PROBLEMS: Final = 50
_MAX_TEXT: Final = 256
_MAX_PATTERN: Final = 5_000
_LINEAR: Final = jsonschema_rs.RegexOptions(size_limit=2 * 1024 * 1024)
_CONTAINERS: Final = (dict, list, tuple)


class Validator:
    """One schema, compiled when the first value comes."""

    def __init__(self, schema: Any, rewriter: Rewriter, *, textual: bool = False) -> None:
        self._schema = schema
        self._rewriter = rewriter
        self._textual = textual

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the schema could not be used, and was left out."""
        return self._compiled[1]

    @functools.cached_property
    def _compiled(self) -> tuple[jsonschema_rs.Draft202012Validator | None, tuple[str, ...]]:
        made, notes = self._rewriter.rewrite(self._schema)
        try:
            compiled = jsonschema_rs.Draft202012Validator(
                made, offline=True, validate_formats=True, pattern_options=_LINEAR
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:  # ValidationError is a ValueError
            return None, (*notes, f"the schema cannot be used: {str(error)[:_MAX_TEXT]}")
        return compiled, notes

    def problems(self, value: Any) -> list[Problem]:
        """Return everything that is wrong with a value, at most MAX_PROBLEMS; `msgspec.Raw` is opened."""
        compiled, _ = self._compiled
        if compiled is None:
            return []
        try:
            value = plain(value)
            if compiled.is_valid(value):
                return []
            found: list[Problem] = []
            for error in compiled.iter_errors(value):
                if self._textual and is_spelling(error):
                    continue
                found.append((pointer(error.instance_path), explain(error)))
                if len(found) == MAX_PROBLEMS:
                    break
        except (TooDeep, ValueError, RecursionError) as reason:
            # Half a surrogate pair, a key that is no text: nothing that JSON has.
            return [("", f"cannot be checked: {str(reason)[:_MAX_TEXT]}")]
        return found


class Validators:
    """The validators of one description. `files`: binary strings may be files as arguments say them."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._rewriters: dict[tuple[bool, bool, bool], Rewriter] = {}
        # The object is kept beside its validator, so that its id stays its own.
        self._known: dict[tuple[int, bool, bool], tuple[Any, Validator]] = {}
        self._arguments: dict[tuple[str, str], Validator] = {}

    def schema(self, schema: Any, *, answer: bool = False, files: bool = False) -> Validator:
        """Return the validator of any schema of the description."""
        key = (id(schema), answer, files)
        known = self._known.get(key)
        if known is None:
            known = (schema, Validator(schema, self._rewriter(answer=answer, files=files)))
            self._known[key] = known
        return known[1]

    def arguments(self, operation: Operation, content_type: str = "") -> Validator:
        """Return the validator of all arguments of an operation, as `Spec.input_schema` groups them.

        What travels as text may be given as text: "5" for 5 is no problem beside the body. What is filled in
        by its default need not be given. `content_type` is what the arguments choose for the body.
        """
        declared = operation.body.media if operation.body else ()
        media = fitting(declared, content_type) or next(iter(declared), None)
        key = (operation.id, media.type if media else "")
        known = self._arguments.get(key)
        if known is None:
            ours = [one for one in operation.parameters if _is_input(one)]
            schema = self._spec.input_schema(replace(operation, parameters=tuple(ours)))
            if media:
                schema["properties"]["body"] = _argument(media)
            files = media is not None and media.kind != "json"
            known = Validator(schema, self._rewriter(answer=False, files=files, fills=True), textual=True)
            self._arguments[key] = known
        return known

    def parameter(self, parameter: Parameter) -> Validator:
        """Return the validator of one parameter's value."""
        return self.schema(parameter.schema)

    def body(self, media: Media) -> Validator:
        """Return the validator of a request's body."""
        return self.schema(media.schema, files=media.kind != "json")

    def answer(self, operation: Operation, status: int, content_type: str) -> Validator | None:
        """Return the validator of an answer's body, None when the description says nothing about it."""
        declared = (str(status), f"{status // 100}XX", f"{status // 100}xx", "default")
        response = next((operation.responses[one] for one in declared if one in operation.responses), None)
        if response is None:
            return None
        media = fitting(response.media, content_type)
        return self.schema(media.schema, answer=True) if media else None

    def _rewriter(self, *, answer: bool, files: bool, fills: bool = False) -> Rewriter:
        known = self._rewriters.get((answer, files, fills))
        if known is None:
            spec = self._spec
            known = Rewriter(spec.registry, spec.dialect, is_usable, answers=answer, files=files, fills=fills)
            self._rewriters[answer, files, fills] = known
        return known


class TooDeep(Exception):
    """The value has more levels than anybody can mean."""


def fitting(declared: Iterable[Media], content_type: str) -> Media | None:
    """Return the declared media type that a content type is of: itself first, then `text/*`, then `*/*`."""
    essence = content_type.partition(";")[0].strip().lower()
    best: tuple[int, Media | None] = (0, None)
    for media in declared:
        name = media.type.partition(";")[0].strip().lower()
        if name == essence or media.type.strip().lower() == content_type.strip().lower():
            rank = 3
        elif "/" not in name and name not in ("", "*"):  # `x-www-form-urlencoded` and the like
            rank = 2 * (name == essence.rpartition("/")[2])
        elif name.endswith("/*") and name != "*/*" and essence.startswith(name[:-1]):
            rank = 2
        else:
            rank = int(name in ("*/*", "*", ""))
        if rank > best[0]:
            best = (rank, media)
    return best[1]


@functools.lru_cache(maxsize=4_096)
def is_usable(pattern: str) -> bool:
    """Say whether a regular expression can be matched in linear time."""
    if len(pattern) > _MAX_PATTERN:
        return False
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern}, offline=True, pattern_options=_LINEAR)
    except ValueError:
        return False
    return True


def plain(value: Any) -> Any:
    """Return a value as plain JSON: tokens decoded, bytes as text. Raises TooDeep."""
    level: list[Any] = [value]
    plain_already = True
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below += [child for child in one.values() if type(child) not in _SCALARS]
            elif isinstance(one, _CONTAINERS):
                below += [child for child in one if type(child) not in _SCALARS]
            elif type(one) not in _SCALARS:
                plain_already = False
        if not below:
            return value if plain_already else _opened(value)
        level = below
    raise TooDeep(f"nested more than {MAX_DEPTH} levels deep")


_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


def _opened(value: Any) -> Any:
    """Return a value of bounded depth with its tokens decoded."""
    if isinstance(value, msgspec.Raw):
        decoded = msgspec.json.decode(value)
        return plain(decoded) if isinstance(decoded, _CONTAINERS) else decoded
    if isinstance(value, Mapping):
        return {key: _opened(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_opened(child) for child in value]
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _is_input(parameter: Parameter) -> bool:
    return parameter.location != "header" or parameter.name.lower() not in NEVER_SET


def _argument(media: Media) -> Any:
    """Return the schema of a body as it stands in the arguments."""
    if media.kind == "binary":
        return {"type": "string", "format": "binary"}
    return {"anyOf": [{"type": "string"}, media.schema]} if media.kind == "xml" else media.schema

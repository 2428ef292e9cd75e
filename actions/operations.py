"""The operations of a description, as connectors show and find them. Pure."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from typing_extensions import override

from actions.base import OperationInfo
from actions.errors import Refused
from actions.raw import find_called
from actions.specs.model import Operation, Spec


def find(spec: Spec, name: str, connection: str) -> Operation:
    """Return an operation by id or alias, or `:http`. Raise Refused with what was meant."""
    operation = find_called(spec, name)
    if operation is None:
        near = get_close_matches(name, [*spec.operations, *spec.aliases], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise Refused(f"{connection} has no operation {name!r}{hint}")
    return operation


class Infos(Mapping[str, OperationInfo]):
    """What the outside is told of the operations, made when asked for: some descriptions have thousands."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    @override
    def __getitem__(self, key: str) -> OperationInfo:
        return _info(self._spec, self._spec.operations[key])

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._spec.operations)

    @override
    def __len__(self) -> int:
        return len(self._spec.operations)


def _info(spec: Spec, operation: Operation) -> OperationInfo:
    return OperationInfo(
        id=operation.id,
        aliases=operation.aliases,
        title=operation.summary,
        description=operation.description,
        method=operation.method,
        path=operation.path,
        deprecated=operation.deprecated,
        input_schema=spec.input_schema(operation),
        output_schemas=dict(spec.output_schemas(operation)),
        takes_key=bool(operation.key_header),
        problem=operation.problem,
    )

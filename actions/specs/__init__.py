"""Reading descriptions of APIs into the one model (`model.Spec`), whatever the format.

Pure: bytes by file name in, a Spec out. A reader is one file, one line in READERS and one class.
"""

import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from actions.base import Finding
from actions.specs.load import MAX_BYTES, Bundle, load
from actions.specs.model import Spec
from actions.specs.naming import unread
from actions.specs.reading import Reader

MAX_OPERATIONS: Final = 10_000
"""How many operations of one description can be called; the others are listed with that reason."""

_FAR: Final = 10
"""How many times too many operations a description may have and still be read."""

READERS: Final[dict[str, str]] = {
    "openapi": "actions.specs.openapi:OpenAPIReader",
    "powerplatform": "actions.specs.powerplatform.reader:PowerPlatformReader",
    "swagger2": "actions.specs.swagger2:Swagger2Reader",
    "postman": "actions.specs.postman.reader:PostmanReader",
    "asyncapi": "actions.specs.asyncapi:AsyncAPIReader",
}
"""Registry: kind → "module:Class", resolved on first use by `pkgutil.resolve_name`; the first that fits."""


def read_spec(
    files: Mapping[str, bytes],
    root: str | None = None,
    *,
    max_operations: int = MAX_OPERATIONS,
    max_bytes: int = MAX_BYTES,
) -> Spec:
    """Read a description out of its files; `root` names the one to begin with where there are several.

    Never raises for anything in the files. What cannot be read at all is a Spec that is not `readable` and
    says why in its findings. Of the other files only those are asked for that the root leads to.
    """
    names = sorted(files, key=lambda name: (name.count("/"), name)) if root is None else [root]
    findings: list[Finding] = []
    for name in names:
        try:
            document = load(name, files[name], max_bytes=max_bytes)
        except KeyError as reason:
            why = str(reason.args[0]) if type(reason) is not KeyError and reason.args else "is not there"
            findings.append(_error("no-such-file", f"the file {name} {why}", name))
            continue
        if document.value is None and any(one.severity == "error" for one in document.findings):
            findings.extend(document.findings)
            continue
        count = _count(document.value)
        if count > max_operations * _FAR:
            message = f"it has {count} operations, far more than the {max_operations} that can be called"
            findings.append(_error("too-large", message, name))
            continue
        bundle = Bundle(root=document, files=files, max_bytes=max_bytes)
        for target in READERS.values():
            reader: Reader = pkgutil.resolve_name(target)()
            if reader.sniff(bundle):
                return _bounded(reader.read(bundle), name, max_operations)
        findings.extend((*document.findings, *unread(document)))
    if not names:
        findings.append(_error("empty", "there is no file to read", ""))
    return Spec(findings=tuple(findings))


def _count(value: Any) -> int:
    """Return how many operations a description by paths has, at most: reading each of them takes its time."""
    paths = value.get("paths") if isinstance(value, dict) else None
    items = paths.values() if isinstance(paths, dict) else ()
    return sum(len(item) for item in items if isinstance(item, dict))


def _bounded(spec: Spec, name: str, most: int) -> Spec:
    """Refuse the operations beyond the most that a description may have; they stay in the list."""
    if len(spec.operations) <= most:
        return spec
    reason = f"the description has more than {most} operations"
    operations = {
        id_: one if place < most or one.problem else replace(one, problem=reason)
        for place, (id_, one) in enumerate(spec.operations.items())
    }
    count = len(operations) - most
    message = f"{reason}; {count} of its {len(operations)} cannot be called"
    found = Finding(
        severity="warning", code="too-many-operations", message=message, file=name, line=1, column=1
    )
    return replace(spec, operations=operations, findings=(*spec.findings, found))


def _error(code: str, message: str, file: str) -> Finding:
    return Finding(severity="error", code=code, message=message, file=file, line=1, column=1)

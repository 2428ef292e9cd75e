"""Reading descriptions of APIs into the one model (`model.Spec`), whatever the format.

Pure: bytes by file name in, a Spec out. A reader is one file, one line in READERS and one class.
"""

import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, Final

from actions.base import Finding
from actions.specs.load import Bundle, Document, load
from actions.specs.model import Spec
from actions.specs.reading import Reader

READERS: Final[dict[str, str]] = {
    "openapi": "actions.specs.openapi:OpenAPIReader",
    "swagger2": "actions.specs.swagger2:Swagger2Reader",
    "asyncapi": "actions.specs.asyncapi:AsyncAPIReader",
}
"""Registry: kind → "module:Class", resolved on first use by `pkgutil.resolve_name`; the first that fits."""


def _version(key: str) -> Callable[[dict[str, Any]], str]:
    return lambda value: str(value[key])[:20] if isinstance(value.get(key), str | int | float) else ""


def _postman(value: dict[str, Any]) -> str:
    info = value.get("info")
    schema = info.get("schema") if isinstance(info, dict) else None
    if isinstance(schema, str) and "postman.com/" in schema:
        return "v2"
    old = isinstance(value.get("requests"), list) and "order" in value
    return "v1" if old or "_postman_variable_scope" in value else ""


def _connector(value: dict[str, Any]) -> str:
    properties = value.get("properties")
    return "connector" if isinstance(properties, dict) and "connectionParameters" in properties else ""


_NOT_YET: Final[tuple[tuple[str, Callable[[dict[str, Any]], str]], ...]] = (
    ("OpenAPI", _version("openapi")),
    ("Swagger", _version("swagger")),
    ("Swagger", _version("swaggerVersion")),
    ("AsyncAPI", _version("asyncapi")),
    ("Postman", _postman),
    ("Power Platform", _connector),
)


def read_spec(files: Mapping[str, bytes], root: str | None = None) -> Spec:
    """Read a description out of its files; `root` names the one to begin with where there are several.

    Never raises for anything in the files. What cannot be read at all is a Spec that is not `readable` and
    says why in its findings.
    """
    names = sorted(files, key=lambda name: (name.count("/"), name)) if root is None else [root]
    unread: list[Finding] = []
    for name in names:
        if name not in files:
            unread.append(_error("no-such-file", f"there is no file {name}", name))
            continue
        document = load(name, files[name])
        if document.value is None and any(one.severity == "error" for one in document.findings):
            unread.extend(document.findings)
            continue
        bundle = Bundle(root=document, files=files)
        for target in READERS.values():
            reader: Reader = pkgutil.resolve_name(target)()
            if reader.sniff(bundle):
                return reader.read(bundle)
        unread.extend((*document.findings, _unknown(document)))
    if not files:
        unread.append(_error("empty", "there is no file to read", ""))
    return Spec(findings=tuple(unread))


def _unknown(document: Document) -> Finding:
    value = document.value
    if isinstance(value, dict):
        for name, version in _NOT_YET:
            found = version(value)
            if found:
                return _error("format-not-yet", f"{name} {found} is not read yet", document.name)
        seen = ", ".join(repr(key)[:40] for key in list(value)[:5]) or "nothing"
        return _error("no-description", f"not an API description: it holds {seen}", document.name)
    kind = _KINDS.get(type(value), "a number")
    if isinstance(value, str) and value.startswith("<"):
        kind = "HTML or XML"
    return _error("no-description", f"not an API description: it is {kind}, not an object", document.name)


_KINDS: Final[dict[type, str]] = {type(None): "null", str: "text", list: "a list", bool: "a boolean"}


def _error(code: str, message: str, file: str) -> Finding:
    fix = "" if code != "no-description" else "an OpenAPI document begins with `openapi: 3.1.0`"
    return Finding(severity="error", code=code, message=message, fix=fix, file=file, line=1, column=1)

"""Checks what resources say about each other and about files: names must exist, files must be there.

Works on the document, not on models, so that a rule with a broken field is still checked for the rest.
"""

import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from service.config.connectors import copy_of, is_url
from service.config.marks import join_pointer
from service.config.model import OWN_SOURCE
from service.config.values import SHA256_PATTERN, is_name
from service.errors import Problem, nearest

Folder = Callable[[str], Path]
"""Takes a pointer, returns the folder that a path standing there is relative to."""


def check_references(document: dict[str, Any], folder: Folder, *, complete: bool) -> list[Problem]:
    """Return all problems with names and files.

    Not `complete`: some file could not be read, so a name that seems missing may stand there.
    """
    problems = list(_files(document, folder))
    problems += _rules(document)
    if complete:
        problems += _unknown_names(document)
    return problems


def _section(document: dict[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _resources(document: dict[str, Any], section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield pointer and value of every resource that is a mapping."""
    for name, value in _section(document, section).items():
        if isinstance(value, dict):
            yield join_pointer(section, name), value


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Yield pointer and text of a text or of a list's texts."""
    if isinstance(value, str):
        yield pointer, value
    for index, item in enumerate(_listed(value)):
        if isinstance(item, str):
            yield f"{pointer}/{index}", item


def _unknown(what: str, name: str, known: list[str], pointer: str) -> Problem:
    near = nearest(name, known)
    there = f"there are: {', '.join(sorted(known)[:20])}" if known else f"there is no {what} at all yet"
    return Problem(
        message=f"there is no {what} of this name",
        code=f"unknown-{what}",
        pointer=pointer,
        found=name[:80],
        fix=f"did you mean `{near}`?" if near else there,
    )


def _unknown_names(document: dict[str, Any]) -> Iterator[Problem]:
    sources = [*_section(document, "sources"), OWN_SOURCE]
    connectors = list(_section(document, "connectors"))
    connections = list(_section(document, "connections"))
    for pointer, connection in _resources(document, "connections"):
        name = connection.get("connector")
        if isinstance(name, str) and is_name(name) and name not in connectors:
            yield _unknown("connector", name, connectors, f"{pointer}/connector")
    for pointer, source in _resources(document, "sources"):
        name = _called(source)
        if source.get("kind") == "poll" and is_name(name) and name not in connections:
            yield _unknown("connection", name, connections, f"{pointer}/call")
    for pointer, rule in _resources(document, "rules"):
        for place, name in _texts(rule.get("from"), f"{pointer}/from"):
            if is_name(name) and name not in sources:
                yield _unknown("source", name, sources, place)
        for place, step in _steps(rule, pointer):
            name = _called(step)
            if is_name(name) and name not in connections:
                yield _unknown("connection", name, connections, f"{place}/call")


def _called(caller: dict[str, Any]) -> str:
    """Return the connection of a `call: connection.operation`, "" where there is none."""
    call = caller.get("call")
    name, dot, _ = call.partition(".") if isinstance(call, str) else ("", "", "")
    return name if dot else ""


def _steps(rule: dict[str, Any], pointer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, step in enumerate(_listed(rule.get("do"))):
        if isinstance(step, dict):
            yield f"{pointer}/do/{index}", step


def _rules(document: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong inside rules and between them."""
    former: dict[str, str] = {}
    names = _section(document, "rules")
    for pointer, rule in _resources(document, "rules"):
        yield from _repeated_steps(rule, pointer)
        yield from _idle_key(rule, pointer)
        for place, name in _texts(rule.get("was"), f"{pointer}/was"):
            if name in names:
                message, fix = (
                    "a rule of this name exists, so it cannot be this rule's earlier name",
                    "remove it",
                )
            elif name in former:
                message, fix = (
                    f"two rules were this one; the other stands at {former[name]}",
                    "remove one of them",
                )
            else:
                former[name] = place
                continue
            yield Problem(message=message, code="was-taken", pointer=place, found=name[:80], fix=fix)


def _repeated_steps(rule: dict[str, Any], pointer: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, step in _steps(rule, pointer):
        given, call = step.get("name"), step.get("call")
        name = given if isinstance(given, str) else call.partition(".")[2] if isinstance(call, str) else ""
        if name and name in seen:
            yield Problem(
                message=f"two steps of this rule are named `{name[:80]}`",
                code="step-twice",
                pointer=f"{place}/{'name' if isinstance(given, str) else 'call'}",
                fix="give this step a `name` of its own; answers are found under steps.<name>",
            )
        seen.add(name)


def _idle_key(rule: dict[str, Any], pointer: str) -> Iterator[Problem]:
    if rule.get("mode", "parallel") == "parallel" and isinstance(rule.get("key"), str):
        yield Problem(
            message="`key` has no effect in mode parallel",
            code="key-without-mode",
            severity="warning",
            pointer=f"{pointer}/key",
            fix="add mode: queued (or single, restart), or remove the key",
        )


def _files(document: dict[str, Any], folder: Folder) -> Iterator[Problem]:
    """Yield what is wrong with the files that resources name."""
    for pointer, connector in _resources(document, "connectors"):
        spec = connector.get("spec")
        place = f"{pointer}/spec"
        if isinstance(spec, str) and is_url(spec):
            yield from _copy(connector, pointer, folder)
        elif isinstance(spec, str) and spec:
            yield from _file(spec, place, folder, description=True)
        code = connector.get("code")
        if isinstance(code, str) and code:
            yield from _file(code, f"{pointer}/code", folder)
        versions = connector.get("versions")
        for version, said in versions.items() if isinstance(versions, dict) else ():
            yield from _version(said, pointer + join_pointer("versions", version), folder)
    for pointer, connection in _resources(document, "connections"):
        tls = connection.get("tls")
        for name in ("ca", "cert", "key"):
            file = tls.get(name) if isinstance(tls, dict) else None
            if isinstance(file, str) and file:
                yield from _file(file, f"{pointer}/tls/{name}", folder)


def _version(said: Any, pointer: str, folder: Folder) -> Iterator[Problem]:
    """Yield what is wrong with the file of a version; of one that is withdrawn nothing is read."""
    whole = isinstance(said, dict)
    path = said.get("spec") if whole else said
    if isinstance(path, str) and path and not (whole and "withdrawn" in said):
        yield from _file(path, f"{pointer}/spec" if whole else pointer, folder, description=True)


def _copy(connector: dict[str, Any], pointer: str, folder: Folder) -> Iterator[Problem]:
    """Yield what is missing of the copy that a description from a URL is read from."""
    place, pinned = f"{pointer}/spec", connector.get("sha256")
    fetch = f"`pointsman connectors fetch {pointer.rpartition('/')[2]}`"
    if pinned is None:
        message = "a description from a URL is read from a copy, which is pinned by the hash of its bytes"
        fix = f"{fetch} fetches it and says what to write as `sha256`"
    elif re.fullmatch(SHA256_PATTERN, str(pinned)) and not (folder(place) / copy_of(pinned)).is_file():
        message, fix = "the copy of this description is not here", f"{fetch} fetches it again"
    else:
        return
    scheme, _, rest = str(connector["spec"]).partition("?")[0].partition("://")
    found = f"{scheme}://{rest.rpartition('@')[2]}"  # whatever stands before the @ is a secret
    yield Problem(message=message, code="spec-url", pointer=place, found=found[:80], fix=fix)


def _file(name: str, pointer: str, folder: Folder, *, description: bool = False) -> Iterator[Problem]:
    """Yield what is wrong with a file; a description may be a folder, too, or lie inside of an archive."""
    path = folder(pointer) / name
    message = fix = ""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            if not description:
                message, fix = "this is a folder", "give the path of a file"
        elif not stat.S_ISREG(status.st_mode):
            message, fix = "this is not a regular file", "give the path of a file"
        else:
            path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        if not (description and _in_archive(path)):
            message, fix = "there is no such file", _meant(path, name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message, fix = f"the file cannot be read: {reason}", "check the path and its permissions"
    if message:
        yield Problem(message=message, code="bad-file", pointer=pointer, found=name[:80], fix=fix)


def _in_archive(path: Path) -> bool:
    """Say whether a path goes on inside of a file or of a git directory."""
    above = next((one for one in path.parents if one.exists()), path)
    return above.is_file() or ((above / "HEAD").is_file() and (above / "objects").is_dir())


def _meant(path: Path, name: str) -> str:
    """Return what was probably meant by a path that leads nowhere."""
    try:
        near = nearest(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        near = None
    return (
        f"did you mean `{Path(name).with_name(near)}`?"
        if near
        else "paths are relative to the file that says them"
    )

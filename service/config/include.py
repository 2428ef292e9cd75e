"""Puts several files together: the main file and what it includes, every resource once.

An include is a path or a pattern relative to the file that names it, and stays inside that file's folder,
symbolic links followed. Hidden files are never matched by a pattern.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from service.config.load import read_file
from service.config.marks import Marks, Node, Text
from service.errors import Problem, nearest

SECTIONS: Final = ("sources", "connectors", "connections", "rules")
"""The sections that hold resources by name; several files may each have a part of them."""

MAX_FILES: Final = 1_000
_WILD: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """All files as one document. `broken` says that some text could not be read: more may be missing."""

    document: dict[str, Any]
    files: tuple[Path, ...]
    marks: Marks
    problems: list[Problem]
    broken: bool


def load_files(path: Path) -> Loaded:
    """Read a configuration file and everything it includes. Never raises for what they hold."""
    gathering = _Gathering()
    gathering.read(path, str(path), ())
    root = gathering.root(str(path))
    return Loaded(
        document=root.value,
        files=tuple(gathering.files),
        marks=Marks(root),
        problems=gathering.problems,
        broken=gathering.broken,
    )


@dataclass(slots=True)
class _Gathering:
    """What has been read so far."""

    files: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    broken: bool = False
    _first: Text | None = None
    _keys: dict[str, Node] = field(default_factory=dict)
    _others: dict[str, Node] = field(default_factory=dict)
    _names: dict[str, dict[str, Node]] = field(default_factory=dict)
    _resources: dict[str, dict[str, Node]] = field(default_factory=dict)

    def root(self, name: str) -> Node:
        """Return the one tree of everything that was read."""
        text = self._first or Text(name, "")
        members = dict(self._others)
        for section, resources in self._resources.items():
            value = {name: node.value for name, node in resources.items()}
            key = self._keys[section]
            members[section] = Node(key.text, key.start, key.end, "{", value, self._names[section], resources)
        value = {key: node.value for key, node in members.items()}
        return Node(text, 0, 0, "{", value, self._keys, members)

    def read(self, path: Path, name: str, above: tuple[Path, ...]) -> None:
        """Read one file and what it includes; `above` are the files that led here."""
        real = _real(path)
        if real in self.files:
            return
        self.files.append(real)
        parsed = read_file(path, name)
        self.problems += parsed.problems
        if parsed.root is None:
            failed = any(problem.severity == "error" for problem in parsed.problems)
            self.broken |= failed
            if not failed and not above:
                self._report(
                    Node(Text(name, ""), 0, 0, "", None),
                    "empty",
                    "the file says nothing",
                    "write at least one section: sources, connectors, connections or rules",
                )
            return
        self._first = self._first or parsed.root.text
        if parsed.root.style != "{":
            if parsed.root.value is None and above:
                return
            self._report(
                parsed.root,
                "not-a-mapping",
                "a configuration file is a mapping of sections",
                "write sections at the margin: sources:, connectors:, connections:, rules:",
            )
            self.broken = True
            return
        for key, node in parsed.root.members.items():
            if key in SECTIONS:
                self._take_section(key, parsed.root.keys[key], node)
            elif key != "include":
                self._take_other(key, parsed.root.keys[key], node)
        # Afterwards: of two definitions, the one further up is the first.
        if "include" in parsed.root.members:
            self._include(parsed.root.members["include"], path, name, (*above, real))

    def _report(self, node: Node, code: str, message: str, fix: str = "", *, found: str = "") -> None:
        place = node.place
        self.problems.append(
            Problem(
                message=message,
                code=code,
                found=found[:80],
                fix=fix,
                file=place.file,
                line=place.line,
                column=place.column,
            )
        )

    def _take_section(self, section: str, key: Node, node: Node) -> None:
        self._keys.setdefault(section, key)
        names = self._names.setdefault(section, {})
        resources = self._resources.setdefault(section, {})
        if node.value is None:
            return
        if node.style != "{":
            self._report(
                node,
                "not-a-mapping",
                f"`{section}` must be a mapping from names to settings",
                f"write {section}: and below it, indented, name: {{…}}",
            )
            return
        for name, member in node.members.items():
            if name in names:
                first = names[name].place
                self._report(
                    node.keys[name],
                    "defined-twice",
                    f"`{name[:80]}` in `{section}` is defined twice, first at {first.file}:{first.line}",
                    "remove or rename one of them",
                )
                continue
            names[name] = node.keys[name]
            resources[name] = member

    def _take_other(self, key: str, key_node: Node, node: Node) -> None:
        if key in self._others:
            first = self._keys[key].place
            message = f"`{key[:80]}` may stand in one file only; it also stands at {first.file}:{first.line}"
            self._report(key_node, "defined-twice", message, "remove one of them")
            return
        self._keys[key] = key_node
        self._others[key] = node

    def _include(self, node: Node, path: Path, name: str, above: tuple[Path, ...]) -> None:
        items = (node,) if isinstance(node.value, str) else node.items
        if not items and node.value not in ([], None):
            self._report(
                node, "bad-include", "`include` must be a list of paths", "write include: [rules/*.yaml]"
            )
        for item in items:
            if not isinstance(item.value, str) or not item.value:
                self._report(
                    item, "bad-include", "an include is a path or a pattern", "for example rules/*.yaml"
                )
                continue
            for found in self._match(item, path.parent):
                self._read_included(item, found, path, name, above)

    def _read_included(self, item: Node, found: Path, path: Path, name: str, above: tuple[Path, ...]) -> None:
        real = _real(found)
        if real in above:
            self._report(
                item,
                "include-cycle",
                "the file includes itself, directly or through others",
                "remove this include",
                found=item.value,
            )
        elif not real.is_relative_to(_real(path.parent)):
            self._report(
                item,
                "include-outside",
                "an included file must lie in the folder of the file naming it",
                "move the file, or replace the symbolic link by the file",
                found=item.value,
            )
        elif len(self.files) >= MAX_FILES:
            self._report(
                item, "too-many-files", f"more than {MAX_FILES:,} files", "put several rules into one file"
            )
        else:
            self.read(found, str(Path(name).parent / found.relative_to(path.parent)), above)

    def _match(self, item: Node, folder: Path) -> list[Path]:
        """Return the files that an include names, in the order of their names."""
        pattern: str = item.value
        parts = pattern.replace("\\", "/").split("/")
        if Path(pattern).is_absolute() or ".." in parts or "\0" in pattern:
            self._report(
                item,
                "include-outside",
                "an include may not leave the folder of the file naming it",
                "give a path below this folder, without ..",
                found=pattern,
            )
            return []
        if not _WILD & set(pattern):
            if _is_file(folder / pattern):
                return [folder / pattern]
            self._missing(item, folder, parts)
            return []
        # What `**` means beside other characters, and as the last part, changed with Python 3.13.
        if any("**" in part and part != "**" for part in parts):
            self._no_pattern(item, "`**` is a part of its own")
            return []
        try:
            hits = sorted(folder.glob(f"{pattern}/*" if parts[-1] == "**" else pattern))
        except (OSError, ValueError, NotImplementedError) as error:
            self._no_pattern(item, str(error))
            return []
        files = [hit for hit in hits if _is_file(hit) and not _hidden(hit.relative_to(folder))]
        if not files:
            self.problems.append(
                Problem(
                    message="no file matches this include",
                    code="include-empty",
                    severity="warning",
                    found=pattern[:80],
                    fix="check the pattern; hidden files are not matched",
                    file=item.place.file,
                    line=item.place.line,
                    column=item.place.column,
                )
            )
        return files

    def _no_pattern(self, item: Node, reason: str) -> None:
        fix = "for example rules/*.yaml, or rules/**/*.yaml"
        self._report(item, "bad-include", f"this is no pattern: {reason}", fix, found=item.value)

    def _missing(self, item: Node, folder: Path, parts: list[str]) -> None:
        parent = folder.joinpath(*parts[:-1])
        try:
            near = nearest(parts[-1], [entry.name for entry in parent.iterdir()])
        except OSError:
            near = None
        meant = f"did you mean `{'/'.join((*parts[:-1], near))}`?" if near else "check the path"
        self._report(item, "include-missing", "there is no such file", meant, found=item.value)


def _real(path: Path) -> Path:
    """Return the path with symbolic links followed; a loop of them ends where it begins."""
    return Path(os.path.realpath(path))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that may not be searched
        return False


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)

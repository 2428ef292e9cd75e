"""References to secrets: where a model wants one, the file has `{env: …}`, `{file: …}` or `{sealed: …}`.

A secret's value goes into a `SecretStr` and nowhere else: the document keeps the reference, and no problem
repeats a value, not even one that was wrongly written in plain.
"""

import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from pydantic import SecretStr

from service.config.marks import join_pointer, split_pointer
from service.config.sealing import Ring, Unsealable, read_ring, ring_path
from service.config.shape import SECRETS, child, holds_secrets, is_list, is_reference, settle
from service.errors import Problem

MAX_SECRET_BYTES: Final = 64 * 1024
PLACEHOLDER: Final = "dW5yZXNvbHZlZC11bnJlc29sdmVkLXVu"
"""Stands for a secret that could not be resolved, so that the rest can still be checked.

Base64 of 24 bytes, the form of which the most schemes take it for one of theirs.
"""

MASK: Final = "***"
SHORTEST: Final = 4
"""Characters. A shorter text is no secret, and masking it would only garble what is said."""

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFER: Final = "write {env: NAME}, {file: path} or {sealed: text}"


class Keeper(Protocol):
    """What `put_secrets` hands its finds to."""

    def resolve(self, value: Any, pointer: str) -> SecretStr:
        """Return the secret for what stands where one is wanted, or a placeholder."""

    def suspect(self, pointer: str) -> None:
        """Take note of a text that stands where something with secrets in it is wanted: it may be one."""


def put_secrets(kind: Any, value: Any, pointer: str, keeper: Keeper) -> Any:
    """Return a copy of `value` with a SecretStr wherever the type `kind` wants one.

    What does not fit the type is left as it is: that is for validation to say.
    """
    if value is None or not holds_secrets(kind):
        return value
    kind = settle(kind, value)
    if kind in SECRETS:
        return keeper.resolve(value, pointer)
    if isinstance(value, str) and holds_secrets(kind):
        keeper.suspect(pointer)
    if isinstance(value, dict) and not is_list(kind):
        return {
            key: put_secrets(child(kind, key), item, pointer + join_pointer(key), keeper)
            for key, item in value.items()
        }
    if isinstance(value, list) and is_list(kind):
        return [
            put_secrets(child(kind, index), item, f"{pointer}/{index}", keeper)
            for index, item in enumerate(value)
        ]
    return value


class _Unusable(Exception):
    """A secret's file cannot be used; the words say why and what to do."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fix = fix


@dataclass(slots=True, kw_only=True)
class Vault:
    """Resolves references for one check. Knows afterwards what to mask and what is missing.

    With `required` False a secret that is not there is a warning: the check runs where the secrets are not.
    `folder` tells for a pointer which folder a file's path is relative to. With `only`, the pointer of a
    resource, no other resource's references are followed: a placeholder stands for each.
    """

    env: Mapping[str, str]
    required: bool
    folder: Callable[[str], Path]
    only: str | None = None
    problems: list[Problem] = field(default_factory=list)
    unresolved: set[str] = field(default_factory=set)
    suspects: set[str] = field(default_factory=set)
    _values: dict[str, set[str]] = field(default_factory=dict, repr=False)
    _ring: Ring | None = field(default=None, repr=False)

    def resolve(self, value: Any, pointer: str) -> SecretStr:
        """Return the secret that a reference stands for, or a placeholder and record why."""
        text: str | None = None
        if not is_reference(value):
            self._refuse_plain(value, pointer)
        elif self.only in (None, _resource(pointer)):
            text = self._follow(value, pointer)
        if text is None:
            self.unresolved.add(pointer)
            return SecretStr(PLACEHOLDER)
        self._know(text, pointer)
        return SecretStr(text)

    def _follow(self, reference: Mapping[str, Any], pointer: str) -> str | None:
        if "env" in reference:
            return self._from_variable(reference["env"], f"{pointer}/env")
        if "file" in reference:
            return self._from_file(reference["file"], f"{pointer}/file")
        return self._from_sealed(reference["sealed"], f"{pointer}/sealed")

    def suspect(self, pointer: str) -> None:
        """Take note of a text that must not be shown."""
        self.suspects.add(pointer)

    def mask(self, text: str, pointer: str) -> str:
        """Return what is said about a resource, or a part of it, without any secret of that resource."""
        for value in sorted(self._values.get(_resource(pointer), ()), key=len, reverse=True):
            if len(value) >= SHORTEST:
                text = text.replace(value, MASK)
        return text

    def _know(self, value: str, pointer: str) -> None:
        self._values.setdefault(_resource(pointer), set()).add(value)

    def _report(
        self, pointer: str, code: str, message: str, fix: str, *, found: str = "", warning: bool = False
    ) -> None:
        severity: Literal["error", "warning"] = "warning" if warning else "error"
        self.problems.append(
            Problem(message=message, code=code, severity=severity, pointer=pointer, found=found, fix=fix)
        )

    def _refuse_plain(self, value: Any, pointer: str) -> None:
        if isinstance(value, dict):
            message = "a reference to a secret has exactly one of env, file and sealed"
            self._report(pointer, "secret-reference", message, _REFER)
            return
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            self._know(str(value), pointer)
        self._report(
            pointer, "secret-plain", "secrets are references, never plain", "write {env: NAME}", found=MASK
        )

    def _from_variable(self, name: Any, pointer: str) -> str | None:
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            self._know(str(name), pointer)
            message = "not the name of an environment variable"
            self._report(
                pointer, "secret-reference", message, "write {env: NAME}, the name and not the secret"
            )
            return None
        text = self.env.get(name)
        if text:
            return text
        state = "is not set" if text is None else "is empty"
        self._report(
            pointer,
            "secret-missing",
            f"the environment variable {name} {state}",
            f"set it before the service starts: export {name}=…",
            warning=not self.required,
        )
        return None

    def _from_file(self, name: Any, pointer: str) -> str | None:
        if not isinstance(name, str) or not name or "\0" in name:
            self._report(pointer, "secret-reference", "not the path of a file", "write {file: path}")
            return None
        try:
            text, mode = _read(self.folder(pointer) / name)
        except _Unusable as error:
            message = f"the secret file {error}"
            warning = not self.required
            self._report(pointer, "secret-missing", message, error.fix, found=name[:80], warning=warning)
            return None
        self._judge_mode(pointer, name, mode)
        return text

    def _from_sealed(self, sealed: Any, pointer: str) -> str | None:
        try:
            if self._ring is None:
                self._ring = read_ring(ring_path(self.env, self.folder("")))
            return self._ring.open(sealed if isinstance(sealed, str) else "")
        except Unsealable as error:
            self._report(pointer, "secret-sealed", str(error), error.fix, warning=not self.required)
            return None

    def _judge_mode(self, pointer: str, name: str, mode: int) -> None:
        """Report a file that others may write (an error) or read: containers mount secrets like that."""
        others = stat.S_IMODE(mode)
        if others & (stat.S_IWGRP | stat.S_IWOTH):
            message = f"others may write the secret file (mode {others:04o})"
            self._report(pointer, "secret-open", message, f"chmod 600 {name}", found=name[:80])
        elif others & stat.S_IROTH:
            message = f"everybody on this machine may read the secret file (mode {others:04o})"
            self._report(pointer, "secret-open", message, f"chmod 600 {name}", found=name[:80], warning=True)


def _resource(pointer: str) -> str:
    return join_pointer(*split_pointer(pointer)[:2])


def _read(path: Path) -> tuple[str, int]:
    """Return a secret file's text, without the line break at its end, and its mode."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _Unusable("is not a regular file", "give the path of a file")
        if status.st_size > MAX_SECRET_BYTES:
            raise _Unusable(f"has more than {MAX_SECRET_BYTES:,} bytes", "check the path")
        text = path.read_bytes().decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise _Unusable(f"cannot be read: {error.strerror}", "check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise _Unusable("is not UTF-8 text", "store the secret as text") from error
    if not text:
        raise _Unusable("is empty", "write the secret into it")
    return text, status.st_mode

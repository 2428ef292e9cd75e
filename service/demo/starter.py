"""Writes the files of the demo, and of a project of one's own, into a folder. Overwrites nothing."""

import base64
import os
import secrets
from importlib.resources import files
from pathlib import Path
from typing import Final

from service.errors import Conflict

STARTER: Final = ("pointsman.yaml", "shop.openapi.yaml")
"""The files that are copied as they are."""

SECRETS: Final = ("secrets/github", "secrets/orders", "secrets/shop")
"""The secrets that the configuration refers to; each is made anew, readable for its owner alone."""


def write_starter(folder: Path) -> list[str]:
    """Write the starter and return what was written. Raise Conflict when one of it is there already."""
    there = [name for name in (*STARTER, *SECRETS) if (folder / name).exists()]
    if there:
        raise Conflict(f"{folder} has {', '.join(there)} already; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "secrets").mkdir(mode=0o700, exist_ok=True)
    for name in STARTER:
        text = files("service.demo").joinpath("files", name).read_text("utf-8")
        (folder / name).write_text(text, "utf-8")
    for name in SECRETS:
        _write_secret(folder / name, _new_secret(name))
    return [*STARTER, *SECRETS]


def _new_secret(name: str) -> str:
    """Return a new secret; Standard Webhooks wants base64 of 24 to 64 bytes behind `whsec_`."""
    if name.endswith("/orders"):
        return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode("ascii")
    return secrets.token_urlsafe(32)


def _write_secret(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)

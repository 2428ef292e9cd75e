"""Writes the files of the demo, and of a project of one's own, into a folder. Overwrites nothing."""

import base64
import os
import re
import secrets
from importlib.resources import files
from pathlib import Path
from typing import Final

import msgspec

from service.config.schema import configuration_schema
from service.errors import Conflict

CONFIG: Final = "pointsman.yaml"
SHOP_SECRET: Final = "secrets/shop"  # noqa: S105 - the name of a file, not a secret

FILES: Final = (CONFIG, "shop.openapi.yaml", "order.json")
"""The files that are copied as they are."""

SECRETS: Final = ("secrets/github", "secrets/orders", SHOP_SECRET)
"""The secrets that the configuration refers to; each is made anew, readable for its owner alone."""

SCHEMA: Final = "pointsman.schema.json"
IGNORE: Final = ".gitignore"
IGNORED: Final = "secrets/\npointsman-data/\n"

NEXT: Final = (
    ("everything that is wrong in the configuration, with its place", "pointsman check"),
    ("in a second terminal: the shop that the configuration calls", "pointsman demo --shop ."),
    ("in a third: the service", "pointsman serve"),
    (
        "here: send a signed order",
        """pointsman signature sign standard-webhooks --secret @secrets/orders --body @order.json \\
    | curl -i -H @- -H 'content-type: application/json' --data-binary @order.json \\
    http://127.0.0.1:8080/hooks/orders""",
    ),
    ("what became of it", "pointsman deliveries"),
)
"""What to do with a new project, as (meaning, command); each command works as it stands, in its folder."""

_SERVER: Final = re.compile(r"(?m)^( +server: http://[A-Za-z0-9.-]+:)(\d+)")


def write_starter(folder: Path) -> list[str]:
    """Write the starter and return what was written. Raise Conflict when one of it is there already."""
    names = [*FILES, *SECRETS, SCHEMA]
    there = [name for name in names if (folder / name).exists()]
    if there:
        raise Conflict(f"{folder} has {', '.join(there)} already; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "secrets").mkdir(mode=0o700, exist_ok=True)
    for name in FILES:
        text = files("service.demo").joinpath("files", name).read_text("utf-8")
        (folder / name).write_text(text, "utf-8")
    for name in SECRETS:
        _write_secret(folder / name, _new_secret(name))
    (folder / SCHEMA).write_bytes(msgspec.json.format(msgspec.json.encode(configuration_schema()), indent=2))
    if (folder / IGNORE).exists():
        return names
    (folder / IGNORE).write_text(IGNORED, "utf-8")
    return [*names, IGNORE]


def shop_port(folder: Path) -> int:
    """Return where a project's configuration expects the shop. Raise Conflict where it does not."""
    try:
        found = _SERVER.search((folder / CONFIG).read_text("utf-8"))
    except OSError as error:
        raise Conflict(f"{folder / CONFIG} cannot be read: {error.strerror}") from error
    if found is None:
        raise Conflict(f"{folder} has no shop: make a project with `pointsman init FOLDER`")
    return int(found[2])


def move_shop(folder: Path, port: int) -> None:
    """Let a project's configuration expect the shop at another port."""
    path = folder / CONFIG
    path.write_text(_SERVER.sub(rf"\g<1>{port}", path.read_text("utf-8"), count=1), "utf-8")


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

"""One folder of a run: configuration, secrets, journals, the service's data; and the ports that it uses."""

import base64
import random
import secrets
import socket
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import msgspec

_FILES = resources.files("tests.crash") / "files"


class Room(Protocol):
    """Something that a run's configuration speaks of, beside webhooks and the ledger."""

    @property
    def passwords(self) -> dict[str, str]:
        """Secrets by the name of their file."""

    def extend(self, text: str) -> str:
        """Return the configuration with its own part."""


@dataclass(slots=True)
class Folder:
    """Where a run's files lie."""

    path: Path
    port: int
    secrets: dict[str, str] = field(default_factory=dict)
    ledger_port: int = 0
    room: "Room | None" = None
    """What the run has beside webhooks and the ledger; None: nothing."""

    @property
    def data(self) -> Path:
        """The service's data directory."""
        return self.path / "data"

    @property
    def config(self) -> Path:
        """The service's configuration."""
        return self.path / "pointsman.yaml"

    def journal(self, name: str) -> Path:
        """Return the path of a journal."""
        return self.path / f"{name}.jsonl"

    def make(self) -> None:
        """Write secrets and the description; the configuration follows when the ledger's port is known."""
        (self.path / "secrets").mkdir(parents=True, mode=0o700)
        self.secrets = {
            "orders": "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode(),
            "github": secrets.token_hex(16),
        }
        files = dict(self.secrets)
        if self.room is not None:
            files |= self.room.passwords
        for name, value in files.items():
            file = self.path / "secrets" / name
            file.write_text(value, "ascii")
            file.chmod(0o600)
        (self.path / "ledger.openapi.yaml").write_bytes((_FILES / "ledger.openapi.yaml").read_bytes())

    def write_config(self, version: int, *, broken: bool = False) -> None:
        """Put a version of the configuration in place, all at once. A broken one has an error no reload may take."""
        text = (_FILES / "pointsman.yaml").read_text("utf-8")
        if self.room is not None:
            text = self.room.extend(text)
        text = text.replace("LEDGER", str(self.ledger_port)).replace("VERSION", str(version))
        if broken:
            text = text.replace("ledger.append", "ledger.appendix")
        part = self.path / "pointsman.yaml.part"
        part.write_text(text, "utf-8")
        part.replace(self.config)


def together(whole: dict[str, Any], more: dict[str, Any]) -> str:
    """Return the text of a configuration with the resources of another beside its own."""
    for section, entries in more.items():
        whole[section] = {**whole.get(section, {}), **entries}
    return msgspec.json.format(msgspec.json.encode(whole)).decode()


def free_port() -> int:
    """Return a port that nobody uses, below those that systems give to clients.

    The service comes back to the same port after each kill. A port among the clients' could be taken meanwhile, or
    a sender could even connect to itself on it.
    """
    for _ in range(200):
        port = random.randrange(12_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("no free port")

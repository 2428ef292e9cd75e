"""From the URL of a description to a call, by commands alone: add, connect, try, call, export, diff, lint."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from tests.end_to_end.shell import pointsman

CONFIG = "# Ours.\nversion: 1\n\nconnectors: {}\n"


class Shop:
    """A server that has its own description, and one operation behind a key."""

    def __init__(self) -> None:
        self.seen: list[str | None] = []
        self.version = "1"
        shop = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path != "/openapi.json":
                    shop.seen.append(self.headers.get("X-Key"))
                body = shop.description() if self.path == "/openapi.json" else b'{"orders": []}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, format: str, *args: object) -> None:
                """Stay silent."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"

    def description(self) -> bytes:
        document = {
            "swagger": "2.0",
            "info": {"title": "Shop", "version": self.version},
            "host": self.host,
            "schemes": ["http"],
            "securityDefinitions": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
            "security": [{"key": []}],
            "paths": {
                "/orders": {"get": {"operationId": "listOrders", "responses": {"200": {"description": "x"}}}}
            },
        }
        return json.dumps(document).encode()


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    thread = threading.Thread(target=shop.server.serve_forever)
    thread.start()
    yield shop
    shop.server.shutdown()
    thread.join()
    shop.server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pointsman.yaml").write_text(CONFIG, "utf-8")
    return tmp_path


def test_an_api_is_called_two_commands_after_its_url_is_known(folder: Path, shop: Shop) -> None:
    url = f"http://{shop.host}/openapi.json"
    refused = pointsman("connectors", "add", "shop", url, cwd=folder)
    assert (refused.returncode, (folder / "pointsman.yaml").read_text("utf-8")) == (1, CONFIG)

    added = pointsman("connectors", "add", "shop", url, "--allow", shop.host, cwd=folder)
    assert added.returncode == 0, added.stderr
    sha256 = hashlib.sha256(shop.description()).hexdigest()
    assert sha256 in (folder / "pointsman.yaml").read_text("utf-8")
    assert (folder / ".pointsman/descriptions" / sha256).read_bytes() == shop.description()
    assert "--api-key-env VARIABLE" in added.stderr

    words = (
        "connections",
        "add",
        "shop",
        "--connector",
        "shop",
        "--api-key-env",
        "SHOP_KEY",
        "--egress",
        shop.host,
    )
    connected = pointsman(*words, cwd=folder)
    assert connected.returncode == 0, connected.stderr
    assert (folder / "pointsman.yaml").read_text("utf-8").startswith("# Ours.\nversion: 1\n")

    called = pointsman("call", "shop.listOrders", "-o", "json", cwd=folder, SHOP_KEY="s3cret")
    assert (called.returncode, json.loads(called.stdout)["outcome"]) == (0, "ok")
    assert shop.seen == ["s3cret"]


def test_a_description_that_changed_is_told_by_its_hash(folder: Path, shop: Shop) -> None:
    url = f"http://{shop.host}/openapi.json"
    assert pointsman("connectors", "add", "shop", url, "--allow", shop.host, cwd=folder).returncode == 0
    same = pointsman("connectors", "fetch", "shop", "--allow", shop.host, "-o", "json", cwd=folder)
    assert (same.returncode, json.loads(same.stdout)["version"]) == (0, "1")
    shop.version = "2"
    other = pointsman("connectors", "fetch", "shop", "--allow", shop.host, "-o", "json", cwd=folder)
    assert (other.returncode, json.loads(other.stdout)["version"]) == (1, "2")
    assert json.loads(other.stdout)["sha256"] in other.stderr


def test_an_export_is_no_difference_and_has_no_error(folder: Path, shop: Shop) -> None:
    (folder / "shop.json").write_bytes(shop.description())
    assert pointsman("connectors", "add", "shop", "shop.json", cwd=folder).returncode == 0
    exported = pointsman("connectors", "export", "shop", "--format", "json", cwd=folder)
    (folder / "again.json").write_text(exported.stdout, "utf-8")
    compared = pointsman("connectors", "diff", "shop.json", "again.json", "-o", "json", cwd=folder)
    assert (compared.returncode, json.loads(compared.stdout)["changes"]) == (0, [])
    linted = pointsman("connectors", "lint", "again.json", "--strict", cwd=folder)
    assert linted.returncode == 0, linted.stdout

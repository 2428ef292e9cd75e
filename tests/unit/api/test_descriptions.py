"""Descriptions that are sent to be looked at."""

import io
import json
import zipfile

import pytest

from tests.tables import every_row

pytestmark = pytest.mark.asyncio(loop_scope="module")

API = """\
openapi: 3.0.3
info: {title: Shop, version: "1"}
paths:
  /a: {get: {operationId: list, responses: {"200": {description: ok}}}}
  b: {get: {responses: {"200": {description: ok}}}}
"""


async def look(home, verb, body):
    answer = await home.ask("POST", f"/api/v1/descriptions/{verb}", "operator", content=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_what_a_description_holds_is_said_and_nothing_is_kept(home):
    before = await home.get("/api/v1/connectors")
    (shown,) = await look(home, "read", API)
    assert (shown["dialect"], shown["title"]) == ("openapi3.0", "Shop")
    assert [one["status"] for one in shown["operations"]] == ["ok", "degraded"]
    assert await home.get("/api/v1/connectors") == before


async def test_everything_that_is_wrong_has_its_place_and_a_hint(home):
    found = {one["code"]: one for one in await look(home, "lint", API)}
    assert found.keys() == {"path", "no-server"}
    assert (found["path"]["line"], found["path"]["hint"]) == (5, "Write one.")


async def test_every_description_of_an_archive_is_looked_at(home):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("one.yaml", API)
        archive.writestr("two/broken.yaml", "openapi: 3.0.0\npaths: [\n")
    one, two = await look(home, "read", packed.getvalue())
    assert (one["path"], two["path"]) == ("description/one.yaml", "description/two/broken.yaml")
    assert two["error"]["line"] == 3


@every_row("body", [b"", b"hello", b"\x00\xff\xfe", b"PK\x03\x04cut", b"[" * 5_000, json.dumps({}).encode()])
async def test_what_is_no_description_is_said(home, body):
    (shown,) = await look(home, "read", body)
    assert shown["error"]["message"]


async def test_nothing_beside_what_was_sent_is_opened(home):
    body = API + "components: {schemas: {A: {$ref: /etc/passwd}, B: {$ref: ../../pyproject.toml}}}\n"
    (shown,) = await look(
        home, "read", body.replace("ok}", "ok, content: {a/b: {schema: {$ref: /etc/passwd}}}}", 1)
    )
    assert "root:" not in json.dumps(shown)
    assert any(one["code"].startswith("reference-") for one in shown["findings"])

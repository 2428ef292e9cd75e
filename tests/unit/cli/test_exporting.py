"""`connectors export`: a connector, or any description, as OpenAPI 3.1 on standard output."""

import json

import pytest

from actions.comparing import compare
from actions.specs import read_spec

OLD = """\
swagger: "2.0"
info: {title: Shop, version: "1"}
host: shop.example
paths:
  /orders:
    get:
      operationId: listOrders
      parameters: [{name: ids, in: query, type: array, items: {type: string}, collectionFormat: tsv}]
      responses: {200: {description: x}}
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "shop.yaml").write_text(OLD, "utf-8")
    (tmp_path / "pointsman.yaml").write_text(
        "version: 1\nconnectors: {old: {spec: shop.yaml}}\nconnections: {shop: {connector: old}}\n", "utf-8"
    )
    return tmp_path


@pytest.mark.parametrize("what", ["shop.yaml", "old", "shop"])
@pytest.mark.parametrize("syntax", ["json", "yaml"])
def test_a_description_is_written_as_openapi_31(pointsman, place, what, syntax):
    ran = pointsman("connectors", "export", what, "--format", syntax)
    assert ran.code == 0
    again = read_spec({f"x.{syntax}": ran.out.encode()})
    assert again.dialect == "openapi3.1"
    assert compare(read_spec({"shop.yaml": OLD.encode()}), again) == []
    assert "under x-pointsman" in ran.err
    if syntax == "json":
        assert json.loads(ran.out)["openapi"] == "3.1.0"


@pytest.mark.parametrize("what", ["nowhere", "no/where.yaml"])
def test_what_is_not_there_is_told(pointsman, what):
    ran = pointsman("connectors", "export", what)
    assert ran.code == 1
    assert what.rpartition("/")[2] in ran.err
    assert not ran.out


def test_a_connector_that_is_not_there_is_told_with_what_is_near(pointsman, place):
    ran = pointsman("connectors", "export", "shopp")
    assert ran.code == 1
    assert "there is no connector shopp" in ran.err


def test_what_cannot_be_read_is_told_with_its_line(pointsman, tmp_path):
    (tmp_path / "bad.yaml").write_text("openapi: 3.0.0\npaths: {\n", "utf-8")
    ran = pointsman("connectors", "export", "bad.yaml")
    assert ran.code == 1
    assert "bad.yaml:3:" in ran.err

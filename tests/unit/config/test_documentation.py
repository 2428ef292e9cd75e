"""The page on the configuration file says what the models say."""

from pathlib import Path

import jsonschema_rs
import pytest

from service.config import model
from service.config.load import read_text
from service.config.schema import configuration_schema
from service.config.shape import is_model, wire_fields
from triggers import SOURCES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"


def blocks():
    return [part.partition("```")[0] for part in PAGE.read_text("utf-8").split("```yaml\n")[1:]]


@pytest.mark.parametrize(
    "name",
    [name for name, found in vars(model).items() if is_model(found) and issubclass(found, model.Closed)],
)
def test_every_field_is_on_the_page(name):
    page = PAGE.read_text("utf-8")
    for field in wire_fields(getattr(model, name)):
        assert f"`{field}`" in page or f"{field}: " in page, f"{name}.{field}"


def test_the_example_is_good(check, write, monkeypatch):
    monkeypatch.setitem(SOURCES, "webhook", "triggers.webhook:WebhookSource")
    write("specs/shop.openapi.yaml", "{}")
    write("rules/empty.yaml", "{}")
    checked = check(blocks()[0], GITHUB_SECRET="secret", SHOP_TOKEN="token")
    assert checked.problems == ()
    validator = jsonschema_rs.validator_for(configuration_schema())
    assert list(validator.iter_errors(read_text(blocks()[0], "f").root.value)) == []


def test_every_way_to_log_in_is_good():
    for line in blocks()[1].splitlines():
        parsed = read_text(line, "f")
        assert parsed.problems == []
        auth = parsed.root.value["auth"]
        if "env" in str(auth) or "file" in str(auth):
            assert set(auth) <= set(wire_fields(model.LoginConfig))

"""The page on the configuration file says what the models say."""

import re
from pathlib import Path
from typing import get_args

import jsonschema_rs
import pytest

from service.config import backends, connectors, logins, model
from service.config.load import read_text
from service.config.schema import configuration_schema
from service.config.shape import is_model, wire_fields
from service.settings import Settings
from tests.tables import every_row
from triggers import SOURCES
from triggers.verification import SCHEME_NAMES, VerifyConfig
from triggers.webhook import RespondConfig, WebhookConfig

PAGE = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"
LOGINS = PAGE.with_name("connections.md")


def blocks():
    return [part.partition("```")[0] for part in PAGE.read_text("utf-8").split("```yaml\n")[1:]]


@every_row(
    ("name", "found"),
    {
        name: found
        for module in (model, backends, connectors)
        for name, found in vars(module).items()
        if is_model(found) and issubclass(found, model.Closed)
    }.items(),
)
def test_every_field_is_on_the_page(name, found):
    page = PAGE.read_text("utf-8")
    for field in wire_fields(found):
        assert f"`{field}`" in page or f"{field}: " in page, f"{name}.{field}"


@every_row(
    "name",
    [name for name, found in vars(logins).items() if is_model(found) and issubclass(found, logins.Closed)],
)
def test_every_field_of_a_login_is_on_its_page(name):
    page = LOGINS.read_text("utf-8")
    for field in wire_fields(getattr(logins, name)):
        assert f"`{field}`" in page or f"{field}: " in page, f"{name}.{field}"


@pytest.mark.parametrize(
    "line",
    [
        line
        for part in LOGINS.read_text("utf-8").split("```yaml\n")[1:]
        for line in part.partition("```")[0].splitlines()
        if line.startswith("auth: {")
    ],
)
def test_every_login_on_its_page_is_good(check, write, line):
    write("a.json", "{}")
    write("app.pem", "secret").chmod(0o600)
    names = dict.fromkeys(re.findall(r"env: (\w+)", line), "secret")
    head = "connectors: {a: {spec: a.json}}\nconnections:\n  a:\n    connector: a\n    "
    assert check(head + line + "\n", **names).problems == ()


def test_the_example_is_good(check, write, monkeypatch):
    monkeypatch.setitem(SOURCES, "webhook", "triggers.webhook:WebhookSource")
    write("specs/shop.openapi.yaml", "{}")
    write("rules/empty.yaml", "{}")
    checked = check(blocks()[0], GITHUB_SECRET="secret", SHOP_TOKEN="token")
    assert checked.problems == ()
    validator = jsonschema_rs.validator_for(configuration_schema())
    assert list(validator.iter_errors(read_text(blocks()[0], "f").root.value)) == []


def test_every_field_of_a_webhook_is_on_the_page():
    page = PAGE.read_text("utf-8").partition("### webhook")[2].partition("## Connectors")[0]
    models = [WebhookConfig, RespondConfig, *get_args(get_args(VerifyConfig)[0])]
    for name in {name for made in models for name in wire_fields(made)} | set(SCHEME_NAMES) - {"kind"}:
        assert f"`{name}`" in page or f"{name}: " in page, name


def test_the_webhooks_are_good(check, write, monkeypatch):
    monkeypatch.setitem(SOURCES, "webhook", "triggers.webhook:WebhookSource")
    write("secrets/machine", "secret").chmod(0o600)
    names = re.findall(r"env: (\w+)", blocks()[1])
    checked = check(blocks()[1], **dict.fromkeys(names, "whsec_c2VjcmV0"))
    assert checked.problems == ()
    assert len(checked.configuration.sources) == 7
    validator = jsonschema_rs.validator_for(configuration_schema())
    assert list(validator.iter_errors(read_text(blocks()[1], "f").root.value)) == []


def test_every_setting_is_on_the_page_with_its_default():
    page = PAGE.read_text("utf-8").partition("## The process")[2]
    for name, field in Settings.model_fields.items():
        (line,) = (line for line in page.splitlines() if f"`POINTSMAN_{name.upper()}`" in line)
        default = field.default
        words = (
            ", ".join(default) or "none" if isinstance(default, tuple) else f"{default}".removesuffix(".0")
        )
        assert words in line, name


def test_every_way_to_log_in_is_good():
    for line in blocks()[2].splitlines():
        parsed = read_text(line, "f")
        assert parsed.problems == []
        auth = parsed.root.value["auth"]
        if "env" in str(auth) or "file" in str(auth):
            assert set(auth) <= set(wire_fields(backends.LoginConfig))

"""The pages for people say what the code says: settings, metrics, problems, resources, the container, the README."""

import asyncio
import re
import shlex
import tomllib
from pathlib import Path

import yaml

from service.api.problems import _HTTP, STATUSES
from service.api.server import create_app
from service.cli.app import NOUNS, VERBS
from service.config.sealing import RING_VARIABLE
from service.observe import METRICS
from service.settings import Settings
from service.usecases.checking import check_configuration
from tests.tables import every_row
from triggers import SOURCES

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
API = (ROOT / "docs/api.md").read_text("utf-8")
CONFIGURATION = (ROOT / "docs/configuration.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
INNER = {"__init__", "base", "errors", "brokers", "cloudevents", "operations"}
"""Modules of the actions that are the floor, or a part of one that the page names."""


@every_row("name", Settings.model_fields)
def test_every_setting_is_described_with_its_default(name):
    row = next(
        line
        for line in OPERATIONS.splitlines()
        if line.startswith("| `") and f"`POINTSMAN_{name.upper()}`" in line
    )
    default = Settings.model_fields[name].default
    shown = (
        ",".join(default)
        if isinstance(default, tuple)
        else f"{default:g}"
        if isinstance(default, float)
        else str(default)
    )
    assert shown in row or (default == () and "none" in row)


def test_no_setting_is_described_that_there_is_not():
    named = set(re.findall(r"POINTSMAN_([A-Z_]+)", OPERATIONS + API + README + DOCKERFILE))
    others = {"SERVER", "TOKEN", RING_VARIABLE.removeprefix("POINTSMAN_")}
    assert named <= {name.upper() for name in Settings.model_fields} | others


@every_row("name", METRICS)
def test_every_metric_is_described(name):
    assert f"| `{name}` | {METRICS[name]} |" in OPERATIONS


def test_no_metric_is_described_that_there_is_not():
    assert set(re.findall(r"pointsman_[a-z_]+", OPERATIONS)) <= set(METRICS)


def test_every_kind_of_problem_is_described():
    slugs = {row[1] for row in STATUSES.values()} | {slug for slug, _ in _HTTP.values()}
    slugs |= {"internal", "unknown-host", "foreign-origin"}
    assert set(re.findall(r"^\| `([a-z-]+)` \| \d{3} \|", API, re.MULTILINE)) == slugs


def test_every_resource_is_described():
    paths = create_app(None, None, ()).openapi()["paths"]
    for path in paths:
        first, *rest = path.removeprefix("/api/v1").strip("/").split("/")
        assert f"/{first}" in API, path
        for part in rest:
            assert part in API, path


def test_every_file_that_a_page_links_to_is_there():
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


PAGES = (
    "README.md",
    *sorted(f"docs/{page.relative_to(ROOT / 'docs')}" for page in (ROOT / "docs").rglob("*.md")),
)


@every_row("page", PAGES)
def test_every_command_in_a_page_is_one_that_there_is(page):
    text = (ROOT / page).read_text("utf-8")
    nouns = {noun: set(commands) for noun, _, commands in NOUNS}
    said = r"(?:`|^|\| |&& |exec pointsman )pointsman ([a-z]+)(?: ([a-z][a-z-]*)\b(?![./]))?"
    for first, second in re.findall(said, text, re.MULTILINE):
        assert first in nouns or first in {verb.__name__ for verb in VERBS} | {"pointsman"}, first
        assert first not in nouns or not second or second in nouns[first], f"{first} {second}"


def test_every_layer_of_the_service_and_every_package_of_the_actions_is_on_the_page_about_them():
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(one for one in contracts if one["name"] == "service is layered")["layers"]
    built = {name.strip() for layer in layers for name in layer.split("|") if "(" not in name}
    packages = {path.parent.name for path in (ROOT / "actions").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "actions").glob("*.py")} - INNER
    for name in built | packages | modules:
        assert re.search(rf"[`/]{name}[`/.(]", page), name


def test_the_configuration_of_the_readme_is_fine(tmp_path):
    example = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)[1]
    (tmp_path / "pointsman.yaml").write_text(example, "utf-8")
    description = (ROOT / "service/demo/files/shop.openapi.yaml").read_bytes()
    (tmp_path / "shop.openapi.yaml").write_bytes(description)
    secrets = {"GITHUB_SECRET": "a-secret-of-some-length", "SHOP_TOKEN": "another"}
    checked = asyncio.run(check_configuration(tmp_path / "pointsman.yaml", resolve=True, env=secrets))
    assert [str(one) for one in checked.problems] == []
    assert len(checked.wanted().ruleset.rules) == 1


# -- the container


def instructions(name):
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.partition(" ")[2].strip() for line in joined.splitlines() if line.startswith(f"{name} ")]


def test_everything_that_the_image_is_made_of_is_there_and_let_in():
    let_in = {
        line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")
    }
    copied = set()
    for line in instructions("COPY"):
        if not line.startswith("--from"):
            copied |= set(line.split()[:-1])
    assert copied == let_in
    for name in copied:
        assert (ROOT / name).exists()


def test_the_image_sets_only_settings_and_listens_where_it_says(monkeypatch):
    said = dict(pair.split("=", 1) for line in instructions("ENV") for pair in shlex.split(line))
    settings = {name: value for name, value in said.items() if name.startswith("POINTSMAN_")}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    made = Settings()
    assert {name.removeprefix("POINTSMAN_").lower() for name in settings} <= set(Settings.model_fields)
    assert made.host == "0.0.0.0"
    assert made.admin_host == "127.0.0.1", "the admin API stays inside"
    assert instructions("EXPOSE") == [str(made.port)]
    assert instructions("VOLUME") == [str(made.data)]
    health = DOCKERFILE.partition("HEALTHCHECK")[2]
    assert f"http://{made.admin_host}:{made.admin_port}/health/ready" in health
    assert made.admin_host in made.admin_hosts
    assert instructions("USER") == ["pointsman"]


def test_compose_mounts_what_the_image_reads_and_publishes_webhooks_alone():
    service = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["pointsman"]
    said = dict(pair.split("=", 1) for line in instructions("ENV") for pair in shlex.split(line))
    targets = [volume.rsplit(":", 2)[-2 if volume.endswith(":ro") else -1] for volume in service["volumes"]]
    assert targets == [str(Path(said["POINTSMAN_CONFIG"]).parent), said["POINTSMAN_DATA"]]
    assert service["ports"] == ["127.0.0.1:8080:8080"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert int(service["stop_grace_period"].removesuffix("s")) > Settings.model_fields["grace"].default


def test_every_kind_of_source_has_its_page():
    listed = re.findall(r"^\| `([a-z]+)` \| .* \| \[", CONFIGURATION, re.MULTILINE)
    assert sorted(listed) == sorted(SOURCES)
    assert {page.stem for page in (ROOT / "docs/sources").glob("*.md")} == set(SOURCES) - {"webhook"}

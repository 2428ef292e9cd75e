"""compose.yaml says what its comments promise: pinned, watched, closed, and a configuration that would run."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from service.demo.starter import shop_port
from service.usecases.checking import check_configuration
from tests.servers.containers import IMAGES
from tests.tables import every_row

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "compose.yaml").read_text("utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
OURS = ("pointsman", "shop", "feed")
EXAMPLE = ROOT / "examples/compose"


def value(text):
    """Return what compose makes of a text where no variable is set."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text)


def test_there_is_the_service_every_server_the_shop_and_a_feeder():
    assert set(SERVICES) == {*OURS, *IMAGES}


@every_row("name", IMAGES)
def test_servers_are_those_that_tests_run_pinned_by_version(name):
    assert SERVICES[name]["image"] == IMAGES[name]
    assert re.search(r":\d+(\.\d+)*", SERVICES[name]["image"])


@every_row("name", OURS)
def test_what_is_ours_is_one_hardened_image(name):
    service = SERVICES[name]
    assert (service["image"], service["build"]) == ("pointsman", ".")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]


@every_row("name", SERVICES)
def test_every_container_is_watched_and_started_again(name):
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries"} <= set(check)
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_the_service_waits_for_all_servers_and_the_feeder_for_the_service():
    healthy = {"condition": "service_healthy"}
    assert SERVICES["pointsman"]["depends_on"] == dict.fromkeys([*IMAGES, "shop"], healthy)
    assert SERVICES["feed"]["depends_on"] == {"pointsman": healthy}


def test_nothing_is_published_but_webhooks_on_the_loopback():
    assert {name: one["ports"] for name, one in SERVICES.items() if "ports" in one} == {
        "pointsman": ["127.0.0.1:8080:8080"]
    }
    assert "0.0.0.0" not in TEXT
    assert not any("network_mode" in one or "privileged" in one for one in SERVICES.values())


def test_all_data_are_in_named_volumes_so_that_positions_and_servers_stay_together():
    kept = {one.split(":")[0] for service in SERVICES.values() for one in service.get("volumes", ())}
    assert set(COMPOSE["volumes"]) == {"data", *IMAGES} <= kept


def test_what_is_mounted_is_there():
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = value(volume).split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).exists()


def test_one_s_own_project_takes_the_place_of_the_example():
    assert "${PROJECT:-./examples/compose}:/etc/pointsman:ro" in SERVICES["pointsman"]["volumes"]


async def test_the_example_would_run_with_the_variables_that_compose_sets():
    given = {name: value(text) for name, text in COMPOSE["x-demo"].items()}
    assert SERVICES["pointsman"]["environment"] == SERVICES["feed"]["environment"] == COMPOSE["x-demo"]
    candidate = await check_configuration(EXAMPLE / "pointsman.yaml", resolve=True, env=given)
    assert [str(one) for one in candidate.errors] == []
    kinds = {config.kind for config in candidate.checked.sketch.sources.values()}
    assert kinds == {"webhook", "kafka", "rabbitmq", "postgres"}


def test_every_address_of_the_example_is_a_container():
    text = (EXAMPLE / "pointsman.yaml").read_text("utf-8")
    named = re.findall(r"(?:://|\")([a-z]+):\d+", text)
    assert set(named) == {"kafka", "rabbitmq", "shop"}
    assert f"127.0.0.1:{shop_port(EXAMPLE)}/health" in json.dumps(SERVICES["shop"]["healthcheck"])
    assert "@postgres:5432/" in COMPOSE["x-demo"]["POSTGRES_URL"]


def test_the_example_calls_the_shop_that_the_demo_has():
    shop = (ROOT / "service/demo/files/shop.openapi.yaml").read_bytes()
    assert (EXAMPLE / "specs/shop.openapi.yaml").read_bytes() == shop


def test_the_feeder_brings_orders_to_every_source_of_the_example():
    words = [value(word) for word in SERVICES["feed"]["command"]]
    assert words[:2] == ["demo", "--feed=http://pointsman:8080/hooks/orders"]
    assert {word.split("=")[0][2:] for word in words[2:]} == set(IMAGES)
    example = yaml.safe_load((EXAMPLE / "pointsman.yaml").read_text("utf-8"))["sources"]
    assert example["orders"]["kind"] == "webhook"
    assert example["stream"]["topics"] == [example["queue"]["queue"]] == ["orders"]
    assert example["rows"]["tables"] == ["public.orders"]


def test_passwords_are_the_same_on_both_sides():
    servers = {name: SERVICES[name]["environment"] for name in ("rabbitmq", "postgres")}
    demo, feed = COMPOSE["x-demo"], SERVICES["feed"]["command"]
    assert servers["rabbitmq"]["RABBITMQ_DEFAULT_PASS"] == demo["RABBITMQ_PASSWORD"]
    assert SERVICES["shop"]["environment"]["SHOP_TOKEN"] == demo["SHOP_TOKEN"]
    assert f"pointsman:{servers['postgres']['READER_PASSWORD']}@" in demo["POSTGRES_URL"]
    assert any(f"shop:{servers['postgres']['POSTGRES_PASSWORD']}@" in word for word in feed)
    assert any(
        f"{servers['rabbitmq']['RABBITMQ_DEFAULT_USER']}:{demo['RABBITMQ_PASSWORD']}@" in word
        for word in feed
    )


def test_the_compose_plugin_takes_the_file(tmp_path):
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "compose", "version"], check=False, capture_output=True).returncode
    ):
        pytest.skip("the plugin `docker compose` is not here")
    for variables in ({}, {"PROJECT": str(tmp_path)}):
        ran = subprocess.run(
            [docker, "compose", "--file", ROOT / "compose.yaml", "config", "--quiet"],
            check=False, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")

"""Health says the truth, also when it is unpleasant; metrics are valid and documented."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.observe import METRICS
from tests.unit.api.house import house


async def ready(home):
    answer = await home.ask("GET", "/health/ready", None)
    return answer.status_code, answer.json()["status"]


async def test_an_instance_that_takes_webhooks_is_ready(own_home):
    assert (await own_home.ask("GET", "/health/live", None)).json() == {"status": "live"}
    assert await ready(own_home) == (200, "ready")
    health = await own_home.get("/api/v1/health")
    assert health["status"] == "ok"
    assert health["refusing"] == ""
    assert health["store"]["writable"] is True
    assert health["sources"]["open"]["state"] == "running"
    assert health["sources"]["open"]["last_message_at"].endswith("Z")
    assert health["sources"]["signed"] == {
        "state": "running",
        "stuck": False,
        "healthy": True,
        "detail": "",
        "fix": "",
        "warnings": [],
        "last_message_at": None,
    }
    assert health["connections"]["shop"] == {"state": "ok", "reason": ""}


async def test_an_instance_without_rules_lives_and_is_not_ready(tmp_path):
    async with house(tmp_path, loaded=False) as home:
        assert (await home.ask("GET", "/health/live", None)).status_code == 200
        assert await ready(home) == (503, "refusing")
        health = await home.get("/api/v1/health")
        assert (health["status"], health["refusing"]) == ("degraded", "no rules are loaded")
        for path in ("/connections", "/rules", "/sources", "/connectors", "/configuration"):
            answer = await home.ask("GET", "/api/v1" + path)
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:pointsman:problem:unavailable")
            assert answer.headers["retry-after"] == "1"


async def test_an_instance_whose_disk_is_nearly_full_says_so_per_source(own_home):
    own_home.service.hooks.refuse = "the disk is nearly full"
    assert await ready(own_home) == (503, "refusing")
    health = await own_home.get("/api/v1/health")
    assert (health["status"], health["refusing"]) == ("degraded", "the disk is nearly full")
    assert {one["state"] for one in health["sources"].values()} == {"refusing"}
    sources = await own_home.get("/api/v1/sources")
    assert {one["detail"] for one in sources["items"]} == {"the disk is nearly full"}


async def test_a_store_that_takes_nothing_shows_at_once(own_home):
    said = own_home.service.store.health()

    class Full:
        def __getattr__(self, name):
            return {"writable": False, "reason": "the disk is full"}.get(name, getattr(said, name))

    own_home.service.store.health = Full
    assert await ready(own_home) == (503, "refusing")
    assert (await own_home.get("/api/v1/health"))["store"]["reason"] == "the disk is full"
    assert figures(await own_home.ask("GET", "/metrics"))["pointsman_store_writable"] == {(): 0.0}


async def test_a_connection_that_takes_no_calls_degrades_the_instance_but_not_its_readiness(own_home):
    shop = next(one for one in own_home.service.dispatch.connections() if one.name == "shop")
    shop.hold("401: the token is not taken", now=0.0, wall=0.0)
    assert await ready(own_home) == (200, "ready")
    health = await own_home.get("/api/v1/health")
    assert health["status"] == "degraded"
    assert health["connections"]["shop"] == {"state": "held", "reason": "401: the token is not taken"}
    released = await own_home.ask("POST", "/api/v1/connections/shop/release", "operator")
    assert released.json() == {"name": "shop", "state": "ok"}
    assert (await own_home.get("/api/v1/health"))["status"] == "ok"


def figures(answer):
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation, family.name
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
            assert family.type in ("counter", "gauge")
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found.setdefault(name, {})
    return found


async def test_the_metrics_are_exactly_those_that_are_documented(own_home):
    assert set(figures(await own_home.ask("GET", "/metrics", "reader"))) == set(METRICS)


async def test_the_metrics_count_what_happened(own_home):
    found = figures(await own_home.ask("GET", "/metrics"))
    assert found["pointsman_messages_total"]["new",] >= 3
    assert found["pointsman_messages_total"]["rejected",] == 1
    assert found["pointsman_messages_unmatched_total"][()] >= 1
    assert found["pointsman_attempts_total"]["ok",] == 1
    assert found["pointsman_attempts_total"]["refused",] == 1
    assert found["pointsman_deliveries_ended_total"]["delivered",] == 1
    assert found["pointsman_deliveries_ended_total"]["dead",] == 1
    assert found["pointsman_rule_matched_total"]["paid",] == 1
    assert found["pointsman_connection_up"]["shop",] == 1
    assert found["pointsman_ruleset"][()] == 1
    assert found["pointsman_source_last_message_seconds"]["open",] > 1e9


async def test_names_that_could_break_the_format_are_escaped(own_home):
    own_home.service.intake.last_at['x"\n\\'] = 1000
    found = figures(await own_home.ask("GET", "/metrics"))
    assert found["pointsman_source_last_message_seconds"]['x"\n\\',] == 1.0


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_what_needs_no_token_names_nothing(own_home, path):
    answer = await own_home.ask("GET", path, None)
    assert set(answer.json()) == {"status"}


async def test_looking_at_everything_at_once_is_fine(own_home):
    paths = ["/metrics", "/api/v1/health", "/api/v1/connections", "/api/v1/messages"] * 10
    answers = await asyncio.gather(*(own_home.ask("GET", path) for path in paths))
    assert {answer.status_code for answer in answers} == {200}

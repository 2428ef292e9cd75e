"""Verbs that look at an instance, here at the store of a stopped one."""

import asyncio
import json

import pytest
import yaml

from tests.tables import every_row
from tests.unit.api.house import house

EVIL = "\x1b]0;owned\x07"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of an instance that ran and was stopped: one delivered, one dead, one unmatched, one reject."""
    folder = tmp_path_factory.mktemp("stopped")

    async def ran():
        async with house(folder) as home:
            await home.send({"id": "4", "type": "evil", "note": EVIL})

    asyncio.run(ran())
    return folder


@pytest.fixture
def at(pointsman, monkeypatch, stopped):
    monkeypatch.setenv("POINTSMAN_DATA", str(stopped / "data"))
    monkeypatch.setenv("POINTSMAN_ADMIN_HOST", "no-host.invalid")  # nobody answers there, and nobody is asked
    monkeypatch.setattr("service.cli.client.Client._answer", _nobody)
    return pointsman


def _nobody(self, *_args, **_more):
    from service.cli.client import Unreachable

    raise Unreachable("no instance answers")


def test_messages_are_listed_as_a_table(at):
    ran = at("messages")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].split() == ["ID", "SOURCE", "TYPE", "RECEIVED", "AT", "BYTES", "DELIVERIES"]
    assert lines[-1].startswith("msg_000001  open")
    assert lines[-1].endswith("delivered:1")


@pytest.mark.parametrize("words", [("messages",), ("deliveries",), ("rejects",), ("tokens",)])
def test_every_list_can_be_read_by_machines(at, words):
    page = json.loads(at(*words, "-o", "json").out)
    assert page["items"]
    assert yaml.safe_load(at(*words, "-o", "yaml").out) == page
    assert [json.loads(line) for line in at(*words, "-o", "jsonl").out.splitlines()] == page["items"]


@pytest.mark.parametrize(
    "words", [("messages", "show", "msg_000001"), ("rejects", "show", "rej_000001"),
              ("deliveries", "show", "dlv_000001-1-1"), ("explain", "msg_000003", "paid")],
)  # fmt: skip
def test_every_thing_can_be_read_by_machines(at, words):
    shown = json.loads(at(*words, "-o", "json").out)
    assert yaml.safe_load(at(*words, "-o", "yaml").out) == shown
    assert at(*words).code == 0


def test_pages_go_on_where_the_one_before_said(at):
    first = at("messages", "--limit", "2")
    cursor = first.err.split("--cursor ")[1].strip()
    second = at("messages", "--cursor", cursor)
    assert len(first.out.splitlines()) + len(second.out.splitlines()) - 2 == len(
        json.loads(at("messages", "-o", "json").out)["items"]
    )
    ran = at("messages", "--cursor", "nope")
    assert ran.code == 1
    assert "cursor" in ran.err


def test_filters_are_kept_and_unknown_names_are_answered_with_near_ones(at):
    assert "dead" in at("deliveries", "--state", "dead").out
    assert at("deliveries", "--state", "held").err == "nothing to show\n"
    for words, meant in (
        (("deliveries", "--state", "deed"), "did you mean dead?"),
        (("deliveries", "--rule", "pald"), "did you mean paid?"),
        (("messages", "--source", "opn"), "did you mean open?"),
        (("explain", "msg_000001", "pald"), "did you mean paid?"),
    ):
        ran = at(*words)
        assert ran.code == 1
        assert meant in ran.err


@every_row(
    "words", [("messages", "show", "x"), ("messages", "show", "msg_ffffff"), ("deliveries", "show", "msg_000001"),
              ("rejects", "show", "../tokens"), ("explain", "msg_zz")],
)  # fmt: skip
def test_what_is_not_there_ends_with_1(at, words):
    ran = at(*words)
    assert ran.code == 1
    assert ran.err.startswith("pointsman: ")
    assert len(ran.err.splitlines()) == 1


def test_a_delivery_shows_its_attempts_and_answers(at):
    dead = json.loads(at("deliveries", "--state", "dead", "-o", "json").out)["items"][0]["id"]
    out = at("deliveries", "show", dead).out
    assert "NUMBER  STEP NAME  STARTED AT" in out
    assert "refused  422" in out
    assert 'answer to attempt 1:\n  {"why":"no"}' in out


def test_an_explanation_reads_well(at):
    out = at("explain", "msg_000003", "paid").out
    assert out.splitlines()[0] == "msg_000003  paid  from open, ruleset 1"
    assert "✗ paid does not match: data.total is 5; would match: a number >= 100" in out
    assert '  ✓ type: "paid"\n  ✗ data.total: 5; would match: a number >= 100' in out
    out = at("explain", "msg_000001").out
    assert "✓ paid matches" in out
    assert 'data.currency == "EUR" → "EUR" == "EUR" → true' in out


def test_control_characters_of_a_message_stay_in_the_message(at):
    newest = json.loads(at("messages", "--type", "evil", "-o", "json").out)["items"][0]["id"]
    for style in ("table", "json", "jsonl", "yaml"):
        out = at("messages", "show", newest, "-o", style).out
        assert all(sign.isprintable() or sign == "\n" for sign in out)
    shown = json.loads(at("messages", "show", newest, "-o", "json").out)
    assert shown["message"]["data"]["note"] == EVIL


def test_a_dead_delivery_of_a_stopped_instance_can_be_retried_and_discarded(at):
    dead = json.loads(at("deliveries", "--state", "dead", "-o", "json").out)["items"][0]["id"]
    ran = at("deliveries", "retry", dead, "dlv_000001-1-1", "nope", "-o", "json")
    assert ran.code == 1
    done, delivered, nothing = json.loads(ran.out)["items"]
    assert done["of"] == dead
    assert "was delivered" in delivered["error"]
    assert "no delivery id" in nothing["error"]
    ran = at("deliveries", "discard", done["id"], "--reason", "not wanted")
    assert ran.code == 0
    assert "discarded by command line: not wanted" in ran.out


def test_tokens_of_a_stopped_instance_are_made_and_revoked(at):
    made = json.loads(at("tokens", "make", "grafana", "-o", "json").out)
    assert made["token"].startswith("pmt_")
    assert made["role"] == "reader"
    assert made["token"] not in at("tokens", "-o", "json").out
    assert at("tokens", "make", "grafana").code == 1
    wrong = at("tokens", "make", "x y", "--role", "boss")
    assert wrong.code == 1
    assert len(wrong.err.splitlines()) == 2
    assert at("tokens", "revoke", "grafana").code == 0
    assert "did you mean admin?" in at("tokens", "revoke", "admn").err


def test_what_only_a_running_instance_knows_says_so(at):
    for words in (("connections",), ("connections", "release", "shop")):
        ran = at(*words)
        assert ran.code == 3
        assert "this needs a running one: pointsman serve" in ran.err

"""The real command, serving: how it starts, how it refuses to, how it reloads and ends, how commands reach it."""

import json
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from service.demo.starter import write_starter
from tests.end_to_end.instance import document, instance, signed
from tests.end_to_end.shell import pointsman, serving, shell, started


@pytest.fixture
def project(tmp_path):
    write_starter(tmp_path / "p")
    return tmp_path / "p"


def rewrite(project, old, new):
    path = project / "pointsman.yaml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


# -- starting


def test_a_wrong_configuration_is_not_started_with_and_nothing_is_written(project):
    rewrite(project, "kind: webhook", "kind: webhok")
    rewrite(project, "call: shop.confirmOrder", "call: shop.confirmOrdr")
    (project / "secrets/shop").unlink()
    ran = pointsman("serve", "--port", "0", "--admin-port", "0", cwd=project)
    assert ran.returncode == 1
    assert ran.stderr.count("error: ") == 4, ran.stderr
    assert "did you mean `webhook`?" in ran.stderr
    assert "did you mean confirmOrder?" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (project / "pointsman-data").exists()


def test_a_port_that_is_taken_is_said_in_one_line(project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words in (("--port", port, "--admin-port", "0"), ("--port", "0", "--admin-port", port)):
            ran = pointsman("serve", *words, cwd=project)
            assert ran.returncode == 1
            said = [line for line in ran.stderr.splitlines() if not line.startswith("{")]
            assert len(said) == 1, ran.stderr
            assert f"127.0.0.1:{port}" in said[0]
            assert "already in use" in said[0].lower()


def test_a_variable_that_means_nothing_is_warned_of(project):
    with serving(project, POINTSMAN_ADMIN_PROT="1") as (running, _):
        assert "POINTSMAN_ADMIN_PROT means nothing; did you mean POINTSMAN_ADMIN_PORT?" in running.said


def test_a_data_directory_that_cannot_be_written_is_said(project):
    ran = pointsman("serve", "--data", "/proc/nothing", cwd=project)
    assert ran.returncode == 1
    assert ran.stderr == "pointsman: /proc/nothing: No such file or directory\n"


# -- running


def test_commands_reach_the_running_instance_and_its_store_when_it_has_stopped(project):
    with serving(project) as (running, ports):
        assert (project / "pointsman-data").stat().st_mode & 0o777 == 0o700
        assert (project / "pointsman-data/admin.token").stat().st_mode & 0o777 == 0o600
        order = (
            "pointsman signature sign standard-webhooks --secret @secrets/orders --body @order.json"
            " | curl -s -H @- -H 'content-type: application/json' --data-binary @order.json"
            f" http://127.0.0.1:{ports['webhooks']}/hooks/orders"
        )
        assert json.loads(shell(order, cwd=project).stdout) == {"id": "msg_000001"}
        listed = pointsman("deliveries", "-o", "json", cwd=project)
        delivery = json.loads(listed.stdout)["items"][0]
        assert delivery["rule"] == "big-orders"
        shown = pointsman("connections", cwd=project)
        assert shown.stdout.splitlines()[0].startswith("NAME  STATE")
        made = json.loads(
            pointsman("tokens", "make", "ops", "--role", "operator", "-o", "json", cwd=project).stdout
        )
        elsewhere = project.parent / "elsewhere"
        elsewhere.mkdir()
        away = {"POINTSMAN_SERVER": f"http://127.0.0.1:{ports['admin']}", "POINTSMAN_TOKEN": made["token"]}
        assert pointsman("messages", cwd=elsewhere, **away).returncode == 0
        refused = pointsman("tokens", cwd=elsewhere, **away)
        assert refused.returncode == 1
        assert "needs the role admin; the token ops has operator" in refused.stderr
        wrong = pointsman("messages", cwd=elsewhere, **{**away, "POINTSMAN_TOKEN": "pmt_wrong"})
        assert wrong.returncode == 3
        assert "the token is not taken" in wrong.stderr
        second = pointsman("serve", "--port", "0", "--admin-port", "0", cwd=project)
        assert second.returncode == 1
        assert f"is in use by process {running.process.pid}" in second.stderr
        assert running.end(signal.SIGTERM) == 0
    listed = pointsman("messages", "-o", "jsonl", cwd=project)
    assert listed.returncode == 0
    # A slow machine may have given the delivery up by now, and there is a message about that.
    assert '"id":"msg_000001"' in listed.stdout.replace(" ", "")
    gone = pointsman("connections", cwd=project)
    assert gone.returncode == 3
    discarded = pointsman("deliveries", "discard", delivery["id"], "-o", "json", cwd=project)
    assert json.loads(discarded.stdout)["items"][0]["state"] == "discarded"


def test_a_reader_who_goes_away_is_no_trouble(project):
    with serving(project):
        for command in (
            "pointsman messages -o json | true",
            "pointsman --help | head -0",
            "pointsman schema | head -1",
        ):
            ran = shell(f"set -o pipefail; {command}", cwd=project)
            assert ran.stderr == "", command
            assert ran.returncode == 0, command


@pytest.mark.skipif(not sys.prefix.isascii(), reason="Python itself does not start there")
def test_a_narrow_locale_is_no_trouble(project):
    ran = pointsman("init", "--help", cwd=project, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert ran.returncode == 0
    assert "Traceback" not in ran.stderr


def test_something_else_that_answers_is_no_pointsman(tmp_path):
    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_args):
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.handle_request).start()
        server = f"http://127.0.0.1:{other.server_port}"
        ran = pointsman("messages", "--server", server, "--token", "x", cwd=tmp_path)
    assert ran.returncode == 3
    assert f"what answers at {server} is no Pointsman" in ran.stderr


def test_nobody_answering_ends_with_3(tmp_path):
    ran = pointsman("messages", "--server", "http://127.0.0.1:1", "--token", "x", cwd=tmp_path)
    assert ran.returncode == 3
    assert "no instance answers at http://127.0.0.1:1" in ran.stderr


# -- reloading and ending


def test_a_reload_is_all_or_nothing_and_says_so(project):
    with serving(project) as (running, ports):
        token = (project / "pointsman-data/admin.token").read_text("ascii").strip()
        api = httpx.Client(
            base_url=f"http://127.0.0.1:{ports['admin']}/api/v1",
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
        )
        with api:
            before = api.get("/configuration").json()
            good = (project / "pointsman.yaml").read_text("utf-8")
            rewrite(project, "  deploy-on-push:", "  deploy:")
            rewrite(project, 'data.order.currency in ["EUR", "USD"]', 'data.order.currency in ["EUR"')
            running.tell(signal.SIGHUP)
            said = running.until("the configuration was not taken; the running one stays")
            assert "pointsman.yaml:" in said
            assert "is never closed" in said
            assert api.get("/configuration").json() == before
            refused = api.post("/configuration/reload")
            assert refused.status_code == 422
            assert refused.json()["errors"][0]["line"] > 1
            (project / "pointsman.yaml").write_text(good.replace("deploy-on-push", "deploy"), "utf-8")
            running.tell(signal.SIGHUP)
            running.until('"ruleset": 2')
            assert {one["name"] for one in api.get("/rules").json()["items"]} == {"deploy", "big-orders"}
        assert running.end(signal.SIGINT) == 0
        assert "Traceback" not in running.said


def test_signals_while_it_starts_do_not_hurt(project):
    words = ("serve", "--port", "0", "--admin-port", "0")
    with started(words, cwd=project, POINTSMAN_LOG_FORMAT="json") as running:
        running.until("configuration in force")
        running.tell(signal.SIGHUP)
        assert running.end(signal.SIGTERM) == 0


async def test_until_rules_are_loaded_webhooks_are_asked_to_come_again(tmp_path):
    """The listeners are up before the configuration is in force, as with one that takes long to read."""
    import asyncio

    from service.app import Service

    held, go = asyncio.Event(), asyncio.Event()
    reload = Service.reload

    class Slow(Service):
        async def reload(self):
            held.set()
            await go.wait()
            return await reload(self)

    async with instance_of(Slow, tmp_path) as (service, running):
        await held.wait()
        async with httpx.AsyncClient(trust_env=False) as client:
            url = f"http://127.0.0.1:{service.ingest.port}/hooks/web"
            early = await client.post(url, content=b"{}", headers=signed(b"{}", "one"))
            assert early.status_code == 503
            assert int(early.headers["retry-after"]) >= 1
            admin = f"http://127.0.0.1:{service.admin.port}/health/"
            assert (await client.get(admin + "live")).status_code == 200
            assert (await client.get(admin + "ready")).status_code == 503
            go.set()
            await running.wait()
            assert (await client.get(admin + "ready")).status_code == 200
            late = await client.post(url, content=b"{}", headers=signed(b"{}", "one"))
            assert late.status_code == 202


def instance_of(kind, folder):
    """Run an instance of a class of its own; the event is set when it runs."""
    import asyncio
    import contextlib

    from service.settings import Settings
    from tests.end_to_end.instance import ENVIRONMENT, write_configuration

    @contextlib.asynccontextmanager
    async def made():
        config = write_configuration(folder, document("http://127.0.0.1:1"))
        service = kind(Settings(config=config, data=folder / "data", port=0, admin_port=0), ENVIRONMENT)
        running, over = asyncio.Event(), asyncio.Event()

        async def run():
            async with service.running():
                running.set()
                await over.wait()

        task = asyncio.create_task(run())
        try:
            yield service, running
        finally:
            over.set()
            await task

    return made()


async def test_a_held_connection_is_released_when_its_configuration_changes(tmp_path):
    content = document("http://127.0.0.1:1")
    async with instance(tmp_path, content) as made:
        made.lane().hold("401: not taken", now=0.0, wall=0.0)
        await made.reload()
        assert made.lane().state == "held", "the same configuration changes nothing"
        made.service._environment = {**made.service._environment}
        content["connections"]["shop"]["limits"] = {"timeout": "4s"}
        await made.reload(content)
        assert made.lane().state == "ok"

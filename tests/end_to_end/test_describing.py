"""`connectors exercise` and `mock` as processes: what they print, and how a mock is called and ended."""

import json
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.end_to_end.shell import PROGRAM, environment, pointsman
from tests.patience import PATIENCE

SHOP = {
    "openapi": "3.1.0",
    "info": {"title": "Shop", "version": "1"},
    "servers": [{"url": "https://shop.example/v1"}],
    "paths": {
        "/orders": {
            "get": {
                "operationId": "listOrders",
                "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer"}}],
                "responses": {
                    "200": {"description": "x", "content": {"application/json": {"example": [{"id": 7}]}}}
                },
            }
        }
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.json").write_text(json.dumps(SHOP), "utf-8")
    return tmp_path


def test_exercise_prints_what_became_of_every_operation(folder: Path) -> None:
    done = pointsman("connectors", "exercise", "shop.json", "-o", "jsonl", cwd=folder)
    line = json.loads(done.stdout)
    assert (done.returncode, line["path"], line["totals"]["accepted"]) == (0, "shop.json", 1)
    assert line["operations"][0]["accepted"] is True


def test_exercise_calls_as_many_operations_as_are_read(folder: Path) -> None:
    paths = {f"/{name}": {"get": {"responses": {"200": {"description": "ok"}}}} for name in ("one", "two")}
    (folder / "two.json").write_text(json.dumps({"openapi": "3.0.3", "info": {}, "paths": paths}), "utf-8")
    words = ("connectors", "exercise", "two.json", "-o", "jsonl")
    totals = json.loads(pointsman(*words, cwd=folder, POINTSMAN_MAX_OPERATIONS="1").stdout)["totals"]
    assert (totals["accepted"], totals["refused"]) == (1, 1)


def test_exercise_prints_a_table_and_the_share_for_people(folder: Path) -> None:
    (folder / "other.json").write_text(json.dumps(SHOP), "utf-8")
    done = pointsman("connectors", "exercise", ".", cwd=folder)
    assert [one.split() for one in done.stdout.splitlines()] == [
        ["PATH", "OPERATIONS", "ACCEPTED"],
        ["./other.json", "1", "1"],
        ["./shop.json", "1", "1"],
    ]
    assert "100.00% of the operations" in done.stderr


def test_a_mock_answers_tells_of_every_request_and_ends_on_demand(folder: Path) -> None:
    words = [*PROGRAM, "mock", "shop.json", "-o", "jsonl"]
    with subprocess.Popen(
        words, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            said = process.stderr.readline().decode()
            found = re.search(r"http://127\.0\.0\.1:\d+/v1", said)
            assert found is not None, said
            with urllib.request.urlopen(f"{found[0]}/orders?limit=3", timeout=PATIENCE) as answer:
                assert json.load(answer) == [{"id": 7}]
            good = json.loads(process.stdout.readline())
            assert (good["operation"], good["accepted"], good["status"]) == ("listOrders", True, 200)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{found[0]}/orders?limit=x", timeout=PATIENCE)
            refused.value.close()
            bad = json.loads(process.stdout.readline())
            assert (bad["accepted"], bad["status"], len(bad["problems"])) == (False, 400, 1)
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(PATIENCE)
    assert code == 0

"""Exercising over loopback sockets: what is accepted, why not, and documents that bring a process down."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from actions.specs import read_spec
from service.usecases import exercising
from service.usecases.exercising import documents

pytestmark = pytest.mark.enable_socket

BODY = {"type": "object", "required": ["sku", "at"], "properties": {
    "sku": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]+$"}, "at": {"type": "string", "format": "date-time"},
    "lines": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1}},
}}  # fmt: skip


def described(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": paths, **more}


def operation(*parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"parameters": list(parameters), "responses": {"200": {"description": ""}}, **more}


ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
TAGS = {
    "name": "tags",
    "in": "query",
    "schema": {"type": "array", "items": {"type": "string"}},
    "explode": False,
}
GOOD = {
    "/orders/{id}": {
        "get": operation(ID, TAGS, operationId="get"),
        "put": operation(
            ID,
            operationId="put",
            requestBody={"required": True, "content": {"application/json": {"schema": BODY}}},
        ),
    }
}
IMPOSSIBLE = {
    "name": "n",
    "in": "query",
    "required": True,
    "schema": {"type": "integer", "minimum": 2, "maximum": 1},
}


def exercised(document: dict[str, Any]) -> dict[str, Any]:
    return exercising.exercise(read_spec({"x.json": json.dumps(document).encode()}), "x.json")


def test_every_operation_is_called_and_accepted() -> None:
    line = exercised(described(GOOD, servers=[{"url": "https://api.example.com/v1"}]))
    assert [(one["id"], one["accepted"], one["status"], one["calls"]) for one in line["operations"]] == [
        ("get", True, 200, 2),
        ("put", True, 200, 2),
    ]
    assert exercising.is_sound(line)


def test_operations_with_servers_of_their_own_go_to_the_mock_too() -> None:
    paths = {"/a": {"get": operation(servers=[{"url": "https://{x}.other.example/base"}])}}
    assert exercising.is_sound(exercised(described(paths)))


def test_why_an_operation_was_not_accepted_is_told() -> None:
    line = exercised(described({"/a": {"get": operation(IMPOSSIBLE, operationId="a")}}))
    (one,) = line["operations"]
    assert one["accepted"] is False
    assert "n is required" in one["reasons"][0]
    assert not exercising.is_sound(line)


def test_what_is_refused_is_not_called() -> None:
    bad = {"name": "X Y", "in": "header", "required": True, "schema": {"type": "string"}}
    (one,) = exercised(described({"/a": {"get": operation(bad)}}))["operations"]
    assert (one["accepted"], one["refused"], one["status"]) == (False, True, None)


def test_messages_for_a_bus_are_left_alone() -> None:
    document = {
        "asyncapi": "2.6.0", "info": {"title": "x", "version": "1"},
        "servers": {"k": {"url": "localhost:9092", "protocol": "kafka"}},
        "channels": {"orders": {"publish": {"message": {"payload": {"type": "object"}}}}},
    }  # fmt: skip
    line = exercised(document)
    assert (line["operations"][0]["accepted"], line["totals"]["bus"]) == (None, 1)


def test_what_cannot_be_read_is_told_of_as_reading_does() -> None:
    assert exercising.exercise(read_spec({"x.json": b"{"}), "x.json")["error"]["line"] == 1


def written(folder: Path, count: int) -> list[Any]:
    for number in range(count):
        (folder / f"{number}.json").write_text(json.dumps(described(GOOD)), "utf-8")
    return [job for path in sorted(folder.iterdir()) for job in exercising.jobs_of(path)]


def test_several_processes_keep_the_order(tmp_path: Path) -> None:
    jobs = written(tmp_path, 5)
    lines = list(exercising.exercise_all(jobs, processes=2))
    assert [line["path"] for line in lines] == [str(tmp_path / f"{number}.json") for number in range(5)]
    assert all(line["totals"]["accepted"] == 2 for line in lines)


def going_down(job: documents.Job) -> dict[str, Any]:
    """Stand for exercising a document: one of them ends the process."""
    if job.name.endswith("2.json"):
        os._exit(9)
    return {"path": job.name}


def test_a_document_that_brings_its_process_down_is_told_of_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_job", going_down)
    lines = list(exercising.exercise_all(written(tmp_path, 4), processes=2))
    assert [line["path"] for line in lines] == [str(tmp_path / f"{number}.json") for number in range(4)]
    assert [line["path"] for line in lines if "error" in line] == [str(tmp_path / "2.json")]
    assert lines[2]["error"]["code"] == "internal"

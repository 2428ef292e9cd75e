"""The public CloudEvents conformance features and fixtures, by the codec and through a webhook."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest
import yaml

from tests.shared import DATA, shared_tar
from tests.unit.triggers.requests import opened, request
from triggers.base import Batch
from triggers.cloudevents import decode, encode, mode_of
from triggers.message import DataFormat, TriggerMessage, decode_data, document

_PRESENT = (DATA / "standards.tar.xz").exists()
_FOLDER = "cloudevents+conformance"


class _Scenario(NamedTuple):
    name: str
    headers: dict[str, str]
    body: bytes
    attributes: dict[str, str]
    data: Any


@cache
def _texts() -> dict[str, str]:
    with shared_tar("standards.tar.xz") as archive:
        return {
            member.name.removeprefix(f"{_FOLDER}/"): archive.extractfile(member).read().decode("utf-8")  # type: ignore[union-attr]
            for member in archive
            if member.name.startswith(_FOLDER) and member.isfile()
        }


def _rows(text: str) -> list[list[str]]:
    lines = [line.strip() for line in text.splitlines()]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def _blocks(text: str) -> list[str]:
    return [_dedented(block) for block in re.findall(r'"""\n(.*?)\n *"""', text, re.DOTALL)]


def _dedented(block: str) -> str:
    margin = min(len(line) - len(line.lstrip()) for line in block.splitlines() if line.strip())
    return "\n".join(line[margin:] for line in block.splitlines())


def _scenarios(feature: str, kind: str) -> Iterator[_Scenario]:
    """Read one of the features: each scenario, with each of its examples."""
    for part in re.split(r"\n *Scenario(?: Outline)?: ", feature)[1:]:
        steps, _, examples = part.partition("Examples:")
        values = [row[0] for row in _rows(examples)[1:]] or [""]
        for value in values:
            text = steps.replace("<contentType>", value)
            before, _, after = text.partition("When parsed as")
            attributes = {row[0]: row[1] for row in _rows(after)[1:]}
            expected = json.loads(_blocks(after)[0])
            block = _blocks(before)[0]
            if kind == "http":
                head, _, body = block.partition("\n\n")
                fields = [line.split(": ", 1) for line in head.splitlines()[1:]]
                headers = {name.lower(): field for name, field in fields}
            else:
                body = block
                headers = {row[0].replace("ce_", "ce-"): row[1] for row in _rows(before)[1:]}
            yield _Scenario(f"{kind}: {text.splitlines()[0]}", headers, body.encode(), attributes, expected)


_SCENARIOS = (
    [
        *_scenarios(_texts()["features/http-protocol-binding.feature"], "http"),
        *_scenarios(_texts()["features/kafka-protocol-binding.feature"], "kafka"),
    ]
    if _PRESENT
    else []
)


def test_all_scenarios_are_here() -> None:
    assert _texts()
    assert len(_SCENARIOS) == 7


@pytest.mark.parametrize("scenario", _SCENARIOS, ids=lambda scenario: scenario.name)
async def test_scenario(scenario: _Scenario) -> None:
    """The Kafka binding differs only in how headers are named; the codec is the same."""
    mode = mode_of(scenario.headers)
    assert mode is not None
    (event,) = decode(scenario.headers, scenario.body, mode)
    seen = document(event)
    assert {name: seen[name] for name in scenario.attributes} == scenario.attributes
    assert seen["data"] == scenario.data
    batch = (await opened()).receive(request(scenario.body, scenario.headers))
    assert isinstance(batch, Batch)
    (message,) = batch.items
    assert isinstance(message, TriggerMessage)
    assert (message.id, message.source, message.data) == (event.id, event.source, event.data)


def _fixtures() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in ("yaml/v1.0/v1_minimum.yaml", "yaml/v1.yaml"):
        for place, fixture in enumerate(yaml.safe_load_all(_texts()[name])):
            yield f"{name} {place}", fixture


_FIXTURES = list(_fixtures()) if _PRESENT else []


@pytest.mark.parametrize("fixture", [each for _, each in _FIXTURES], ids=[name for name, _ in _FIXTURES])
def test_fixture_goes_out_and_comes_back(fixture: dict[str, Any]) -> None:
    attributes = dict(fixture["ContextAttributes"])
    extensions = {name: text.strip() for name, text in attributes.pop("Extensions", {}).items()}
    content_type = attributes.get("datacontenttype", "application/json")
    form: DataFormat = "json" if "json" in content_type else "text"
    time = attributes.get("time")
    event = TriggerMessage(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ") if time else None,
        datacontenttype=content_type,
        extensions=extensions,
        format=form,
        data=fixture["Data"].strip().encode("utf-8"),
    )
    for mode in ("binary", "structured"):
        headers, body = encode(event, mode)  # type: ignore[arg-type]
        (back,) = decode(headers, body, mode)  # type: ignore[arg-type]
        assert back == event
        assert decode_data(back) == decode_data(event)


def test_an_older_version_is_refused_by_name() -> None:
    """Version 0.3 names its data type otherwise: reading it as 1.0 would be a guess."""
    fixture = next(iter(yaml.safe_load_all(_texts()["yaml/v0.3/v03_minimum.yaml"])))
    attributes = fixture["ContextAttributes"]
    headers = {f"ce-{name}": str(value) for name, value in attributes.items() if name != "datacontenttype"}
    with pytest.raises(Exception, match=r"specversion is '0\.3'"):
        decode(headers, b"", "binary")

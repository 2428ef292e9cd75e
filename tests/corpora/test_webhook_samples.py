"""Real payloads of many providers: each becomes one message, verified and typed as its preset says."""

import json
import re
from functools import cache
from typing import Any

import pytest

from tests.shared import DATA, shared_tar
from tests.unit.triggers.requests import opened, request
from triggers.base import Batch, Reject
from triggers.message import TriggerMessage, decode_data

_SCHEMES = {"github-without-256-suffix": "bitbucket"}
_TYPES = {
    "github": r"com\.github\.[a-z0-9_]+(\.[ -~]+)?",  # two actions of the samples are sentences
    "gitlab": r"com\.gitlab\.[a-z0-9_]+(\.[a-z0-9_]+)?",
    "gitea": r"com\.gitea(\.[a-z0-9_]+)*",
    "gogs": r"io\.gogs(\.[a-z0-9_]+)*",
    "bitbucket": r"org\.bitbucket\.[a-z0-9_]+(\.[a-z0-9_]+)+",
    "slack": r"com\.slack\.[a-z0-9_]+",
}


@cache
def _samples() -> list[tuple[dict[str, Any], bytes]]:
    with shared_tar("webhooks-dev.tar.xz") as archive:
        lines = archive.extractfile("samples.jsonl").read().decode("utf-8").splitlines()  # type: ignore[union-attr]
        samples = [json.loads(line) for line in lines]
        wanted = {sample["body_file"] for sample in samples}
        bodies = {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.name in wanted
        }
    return [(sample, bodies[sample["body_file"]]) for sample in samples]


_CASES = _samples() if (DATA / "webhooks-dev.tar.xz").exists() else []


@pytest.mark.parametrize(("sample", "body"), _CASES, ids=[sample["id"] for sample, _ in _CASES])
async def test_sample_becomes_one_message(sample: dict[str, Any], body: bytes) -> None:
    signature = sample.get("signature")
    verify: dict[str, Any] = {"scheme": "none"}
    if signature:
        scheme = _SCHEMES.get(signature["scheme"], signature["scheme"])
        verify = {"scheme": scheme, "secrets": [signature["secret"]]}
    source = await opened(verify=verify)
    now = (signature or {}).get("now", 1_700_000_000)
    batch = source.receive(request(body, sample["headers"], now=now))
    assert isinstance(batch, Batch), batch
    (item,) = batch.items
    if _broken(body):
        assert isinstance(item, Reject)
        assert item.data == body
        assert batch.reply is not None
        assert batch.reply.status == 400
        return
    assert isinstance(item, TriggerMessage)
    assert item.data == body
    assert decode_data(item) == json.loads(body)
    if signature:
        assert re.fullmatch(_TYPES[verify["scheme"]], item.type), item.type
        assert signature["secret"] not in repr(item.meta)


@pytest.mark.parametrize(
    ("sample", "body"),
    [case for case in _CASES if case[0].get("signature")],
    ids=[sample["id"] for sample, _ in _CASES if sample.get("signature")],
)
async def test_changed_sample_is_refused(sample: dict[str, Any], body: bytes) -> None:
    signature = sample["signature"]
    scheme = _SCHEMES.get(signature["scheme"], signature["scheme"])
    source = await opened(verify={"scheme": scheme, "secrets": [signature["secret"] + "x"]})
    reply = source.receive(request(body, sample["headers"], now=signature.get("now", 1_700_000_000)))
    assert not isinstance(reply, Batch)
    assert reply.status == 401


async def test_github_types_are_event_and_action() -> None:
    for sample, body in _CASES:
        headers = {name.lower(): value for name, value in sample["headers"].items()}
        if sample["provider"] != "github":
            continue
        source = await opened(verify={"scheme": "github", "secrets": [sample["signature"]["secret"]]})
        batch = source.receive(request(body, headers))
        assert isinstance(batch, Batch)
        (item,) = batch.items
        assert isinstance(item, TriggerMessage)
        action = json.loads(body).get("action")
        expected = ".".join(filter(None, ["com.github", headers["x-github-event"], action]))
        assert item.type == expected
        assert item.id == headers["x-github-delivery"]


def _broken(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return True
    return False

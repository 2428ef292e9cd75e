"""Not bad at all: real payloads of many providers through one real instance, each stored, verified and typed."""

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

from tests.end_to_end.backend import backend
from tests.end_to_end.instance import document, instance, step
from tests.shared import shared_tar

TYPES = {
    "github": r"com\.github\.[a-z0-9_]+(\.[ -~]+)?",
    "gitlab": r"com\.gitlab\.[a-z0-9_]+(\.[a-z0-9_]+)?",
    "gitea": r"com\.gitea(\.[a-z0-9_]+)*",
    "gogs": r"io\.gogs(\.[a-z0-9_]+)*",
    "bitbucket": r"org\.bitbucket\.[a-z0-9_]+(\.[a-z0-9_]+)+",
    "slack": r"com\.slack\.[a-z0-9_]+",
}
SCHEMES = {"github-without-256-suffix": "bitbucket"}
"""What the samples call otherwise."""


def _samples() -> list[tuple[dict[str, Any], bytes]]:
    with shared_tar("webhooks-dev.tar.xz") as archive:
        listed = archive.extractfile("samples.jsonl")
        assert listed is not None
        samples = [json.loads(line) for line in listed.read().decode("utf-8").splitlines()]
        wanted = {sample["body_file"] for sample in samples}
        bodies = {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.name in wanted
        }
    return [(sample, bodies[sample["body_file"]]) for sample in samples]


def _scheme(sample: dict[str, Any]) -> str:
    signature = sample.get("signature")
    return SCHEMES.get(signature["scheme"], signature["scheme"]) if signature else "none"


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


async def test_every_sample_is_stored_and_those_with_a_scheme_are_verified_and_typed(
    tmp_path: Path, monkeypatch: Any
) -> None:
    samples = _samples()
    assert len(samples) == 417
    sources: dict[str, Any] = {}
    environment: dict[str, str] = {}
    for place, (sample, _) in enumerate(samples):  # one source each: some made-up samples share their ids
        secret = (sample.get("signature") or {}).get("secret")
        verify: dict[str, Any] = {"scheme": _scheme(sample)}
        if secret:
            environment[f"SECRET_{place}"] = secret
            verify["secrets"] = [{"env": f"SECRET_{place}"}]
        sources[f"s{place}"] = {"kind": "webhook", "verify": verify}
    rules = {
        "all": {
            "match": {"type": [{"prefix": "com."}, {"prefix": "org."}, {"prefix": "io."}]},
            "do": [step()],
        }
    }
    now = {"seconds": time.time()}
    async with backend() as shop:
        content = document(shop.url, sources=sources, rules=rules)
        async with instance(tmp_path, content, environment=environment) as it:
            monkeypatch.setattr(it.service.ingest._hall, "clock", lambda: now["seconds"])
            ids: list[str] = []
            for (sample, body), source in zip(samples, sources, strict=True):
                now["seconds"] = float((sample.get("signature") or {}).get("now", time.time()))
                answer = await it.client.post(
                    f"{it.url}/hooks/{source}", content=body, headers=sample["headers"]
                )
                if not _is_json(body):
                    assert answer.status_code == 400, sample["id"]
                    ids.append("")
                    continue
                assert 200 <= answer.status_code < 300, (sample["id"], answer.text)
                ids.append(answer.json()["id"])
            readable = [one for one in ids if one]
            assert len(readable) >= 410
            assert all(one.startswith("msg_") for one in readable)
            stored, cursor = [], ""
            while cursor or not stored:
                page = (
                    await it.admin("GET", "/api/v1/messages", params={"limit": 500, "cursor": cursor})
                ).json()
                stored += page["items"]
                cursor = page["next"]
            assert {one["id"] for one in stored} == set(readable)
            types = {one["id"]: one["type"] for one in stored}
            for (sample, _), message in zip(samples, ids, strict=True):
                if message and sample.get("signature"):
                    assert re.fullmatch(TYPES[_scheme(sample)], types[message]), (
                        sample["id"],
                        types[message],
                    )
            rejects = (await it.admin("GET", "/api/v1/rejects", params={"limit": 500})).json()["items"]
            assert len(rejects) == ids.count("")
            typed = {message for message, kind in types.items() if kind.startswith(("com.", "org.", "io."))}
            await shop.called(len(typed))
            refused = await asyncio.gather(
                *(
                    it.client.post(f"{it.url}/hooks/{source}", content=body + b" ", headers=sample["headers"])
                    for (sample, body), source in list(zip(samples, sources, strict=True))[:100]
                    if _scheme(sample) not in ("none", "gitlab")
                )
            )
            assert {answer.status_code for answer in refused} == {401}

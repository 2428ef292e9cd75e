"""Fetching descriptions: what is asked for, what an answer means, and what is kept."""

import hashlib
import json
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from typing_extensions import override

from actions.base import Answer
from actions.egress import Resolver
from actions.errors import OutcomeUnknown, RetryLater
from actions.transport import Engine, EngineSettings, Request
from service.config.check import CheckedConfiguration, load_configuration
from service.errors import Invalid, NotFound, Unavailable
from service.usecases.checking import check_configuration
from service.usecases.fetching import FetchedConnector, fetch_connector, fetch_description
from tests.tables import every_row

URL = "https://api.example.com/openapi.json?x=1"
API = json.dumps(
    {
        "openapi": "3.0.3",
        "info": {"title": "Shop", "version": "7"},
        "servers": [{"url": "https://x.example"}],
        "paths": {"/a": {"get": {"responses": {}}}},
    }
).encode()
SHA = hashlib.sha256(API).hexdigest()


class Names(Resolver):
    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    @override
    async def resolve(self, host: str, port: int) -> Sequence[str]:
        if not self.addresses:
            raise socket.gaierror("no such host")
        return self.addresses

    @override
    def close(self) -> None:
        return None


class Answering:
    """Makes engines that give one answer, or raise one error."""

    def __init__(self, answer: Answer | Exception) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.closed = 0

    def __call__(self, settings: EngineSettings) -> Engine:
        outer = self

        class One(Engine):
            @override
            async def send(
                self, request: Request, *, address: str, deadline: float, max_answer_bytes: int
            ) -> Answer:
                outer.requests.append(request)
                assert 0 < deadline <= 30
                assert max_answer_bytes == 50 * 1024 * 1024
                if isinstance(outer.answer, Exception):
                    raise outer.answer
                return outer.answer

            @override
            def forget(self, address: str) -> None:
                return None

            @override
            async def close(self) -> None:
                outer.closed += 1

        return One(settings)


async def test_gives_the_bytes_and_their_hash() -> None:
    engine = Answering(Answer(status=200, body=API))
    fetched = await fetch_description(URL + "#/info", engine=engine, resolver=Names("93.184.216.34"))
    assert (fetched.data, fetched.sha256) == (API, SHA)
    assert [one.url for one in engine.requests] == [URL]
    assert engine.closed == 1


@every_row(
    ("answer", "code", "words"),
    [
        (
            Answer(status=302, headers=(("location", "https://elsewhere.example/o.json"),)),
            "redirected",
            "https://elsewhere.example/o.json",
        ),
        (Answer(status=301), "redirected", "elsewhere"),
        (Answer(status=404), "not-answered", "404"),
        (Answer(status=204), "not-answered", "204"),
        (Answer(status=200, body=b"{}", truncated=True), "too-large", "more than"),
    ],
)
async def test_says_what_an_answer_means_that_is_no_description(
    answer: Answer, code: str, words: str
) -> None:
    with pytest.raises(Invalid, match=words) as raised:
        await fetch_description(URL, engine=Answering(answer), resolver=Names("93.184.216.34"))
    assert raised.value.problems[0].code == code
    assert raised.value.problems[0].found == "https://api.example.com/openapi.json"


@every_row("answer", [Answer(status=503), Answer(status=429), RetryLater("no"), OutcomeUnknown("cut")])
async def test_says_when_it_may_work_later(answer: Answer | Exception) -> None:
    with pytest.raises(Unavailable):
        await fetch_description(URL, engine=Answering(answer), resolver=Names("93.184.216.34"))
    with pytest.raises(Unavailable, match="was not found"):
        await fetch_description(URL, engine=Answering(answer), resolver=Names())


@every_row(
    "url",
    [
        "http://127.0.0.1/x",
        "http://169.254.169.254/latest",
        "http://[::1]/",
        "https://u:p@x.example/",
        "ftp://x.example/",
        "https://x.example/a b",
        "file:///etc/passwd",
    ],
)
async def test_calls_only_what_the_egress_guard_allows(url: str) -> None:
    engine = Answering(Answer(status=200, body=API))
    with pytest.raises(Invalid) as raised:
        await fetch_description(url, engine=engine, resolver=Names("10.0.0.1"))
    assert engine.requests == []
    assert "u:p" not in str(raised.value)


def configured(folder: Path, **connector: str) -> CheckedConfiguration:
    return load_configuration(write(folder, **connector), resolve=False, env={})


def write(folder: Path, **connector: str) -> Path:
    path = folder / "pointsman.yaml"
    path.write_text(json.dumps({"connectors": {"shop": connector}}))
    return path


async def fetched(checked: CheckedConfiguration, name: str = "shop", body: bytes = API) -> FetchedConnector:
    engine = Answering(Answer(status=200, body=body))
    return await fetch_connector(checked, name, engine=engine, resolver=Names("93.184.216.34"))


async def test_a_copy_is_kept_under_its_hash_and_used_where_the_configuration_says_so(tmp_path: Path) -> None:
    kept = await fetched(configured(tmp_path, spec=URL))
    assert (kept.sha256, kept.pinned, kept.title, kept.version, kept.operations) == (
        SHA,
        None,
        "Shop",
        "7",
        1,
    )
    assert kept.path == tmp_path / ".pointsman" / "descriptions" / SHA
    assert kept.path.read_bytes() == API
    assert [one.name for one in kept.path.parent.iterdir()] == [SHA]
    candidate = await check_configuration(write(tmp_path, spec=URL, sha256=SHA), resolve=False, env={})
    assert candidate.errors == ()
    assert candidate.files == {"shop": API}
    again = await fetched(configured(tmp_path, spec=URL, sha256=SHA))
    assert again.pinned == again.sha256


async def test_a_copy_that_was_changed_is_not_used(tmp_path: Path) -> None:
    kept = await fetched(configured(tmp_path, spec=URL))
    kept.path.write_bytes(API + b" ")
    candidate = await check_configuration(write(tmp_path, spec=URL, sha256=SHA), resolve=False, env={})
    assert [one.code for one in candidate.errors] == ["bad-copy"]


async def test_what_is_no_description_is_not_kept(tmp_path: Path) -> None:
    for body, code in (
        (b"<html>", "no-description"),
        (b"[]", "no-description"),
        (b"PK\x03\x04", "unreadable-file"),
    ):
        with pytest.raises(Invalid) as raised:
            await fetched(configured(tmp_path, spec=URL), body=body)
        assert raised.value.problems[-1].code == code
    assert not (tmp_path / ".pointsman").exists()


async def test_only_connectors_from_a_url_are_fetched(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"did you mean shop\?"):
        await fetched(configured(tmp_path, spec=URL), "shp")
    with pytest.raises(Invalid, match="not from a URL"):
        await fetched(configured(tmp_path, spec="pointsman.yaml"))

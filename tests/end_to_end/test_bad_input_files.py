"""Broken configurations and descriptions: every problem said with its place, nothing in force replaced, no traceback."""

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest

from service.errors import Invalid
from service.usecases.checking import check_configuration
from tests.end_to_end.backend import backend
from tests.end_to_end.instance import ENVIRONMENT, SPEC, document, instance
from tests.patience import PATIENCE, SLACK
from tests.shared import shared_tar

SOUND = """
sources: {web: {kind: webhook, verify: {scheme: standard-webhooks, secrets: [{env: HOOK_SECRET}]}}}
connectors: {shop: {spec: shop.json}}
connections: {shop: {connector: shop, server: "http://127.0.0.1:1", egress: ["127.0.0.1"]}}
rules: {all: {from: [web], do: [{call: shop.one, with: {body: "${data}"}}]}}
"""

BROKEN: dict[str, str | bytes] = {
    "empty list": "[]",
    "text": "just text",
    "number": "42",
    "never closed flow": SOUND + "x: {a: [1, 2",
    "never closed quote": SOUND + 'x: "abc',
    "tab as indent": "sources:\n\tweb: {}",
    "bad indent": "sources:\n  web:\n    kind: webhook\n   verify: none",
    "two values on a line": "a: b: c",
    "bad anchor": SOUND + "x: *nothing",
    "duplicate key": SOUND + "rules: {}\n",
    "duplicate key inside": "sources: {web: {kind: webhook, kind: webhook}}",
    "custom tag": SOUND.replace("from: [web]", "from: !!python/object/apply:os.system [web]"),
    "local tag": SOUND.replace("from: [web]", "from: !web web"),
    "two documents": SOUND + "---\nrules: {}\n",
    "alias bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "alias cycle": "sources: &a {web: *a}",
    "merge bomb": "x: &x {a: 1}\nsources: {<<: [*x, *x]}",
    "deep": "a: " + "[" * 10_000 + "]" * 10_000,
    "deep block": "".join(" " * depth + "a:\n" for depth in range(1500)),
    "NUL": SOUND.replace("web", "w\0b"),
    "control": SOUND.replace("shop.json", "\x07"),
    "not UTF-8": SOUND.encode().replace(b"web", b"w\xff\xfe"),
    "UTF-16 without a mark": SOUND.encode("utf-16-le"),
    "directive": "%YAML 9.9\n---\n" + SOUND,
    "unknown section": SOUND + "sorces: {}\n",
    "unknown field": SOUND.replace("kind: webhook", "kynd: webhook"),
    "unknown kind": SOUND.replace("kind: webhook", "kind: webhok"),
    "unknown scheme": SOUND.replace("standard-webhooks", "standard-webhoks"),
    "unknown connection": SOUND.replace("call: shop.one", "call: shp.one"),
    "unknown operation": SOUND.replace("call: shop.one", "call: shop.oen"),
    "unknown input": SOUND.replace("with: {body", "with: {bdoy"),
    "unknown source": SOUND.replace("from: [web]", "from: [wbe]"),
    "bad name": SOUND.replace("{web: {", "{We b: {"),
    "bad pattern": SOUND.replace("from: [web]", "from: [web], match: {type: order.paid}"),
    "bad operator": SOUND.replace("from: [web]", "from: [web], match: {type: [{prefx: a}]}"),
    "numeric nonsense": SOUND.replace(
        "from: [web]", 'from: [web], match: {data: {n: [{numeric: ["=>", 1]}]}}'
    ),
    "bad expression": SOUND.replace("from: [web]", "from: [web], when: 'data. >'"),
    "cut expression": SOUND.replace("all: {from: [web],", "all: {from: [web], when: data.a == 1 && data.b #"),
    "unknown function": SOUND.replace("from: [web]", "from: [web], when: 'nofun(data)'"),
    "long expression": SOUND.replace("from: [web]", f"from: [web], when: '{' || '.join(['true'] * 60_000)}'"),
    "deep expression": SOUND.replace("from: [web]", f"from: [web], when: '{'(' * 5000}true{')' * 5000}'"),
    "unclosed template": SOUND.replace("${data}", "${data"),
    "bad server": SOUND.replace("http://127.0.0.1:1", "ftp://user:password@x"),
    "secret in plain": SOUND.replace("{env: HOOK_SECRET}", "whsec_plain"),
    "missing secret": SOUND.replace("HOOK_SECRET", "NO_SUCH_SECRET"),
    "no such description": SOUND.replace("shop.json", "nowhere.json"),
    "description is a folder without one": SOUND.replace("shop.json", "empty"),
    "description outside": SOUND.replace("shop.json", "/etc/passwd"),
    "no duration": SOUND.replace("call: shop.one", "call: shop.one, retry: {for: 10}"),
    "absurd duration": SOUND.replace("call: shop.one", "call: shop.one, timeout: 99999999999d"),
    "include of itself": SOUND + "include: [pointsman.yaml]\n",
    "include of nothing": SOUND + "include: [no/such.yaml]\n",
    "include outside": SOUND + "include: [../../../etc/passwd]\n",
    "version of tomorrow": SOUND + "version: 2\n",
    "yes and no": SOUND.replace("from: [web]", "from: [web], paused: yes"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.json").write_text(json.dumps(SPEC), "utf-8")
    return tmp_path


def _write(folder: Path, content: str | bytes) -> Path:
    (folder / "empty").mkdir(exist_ok=True)
    path = folder / "pointsman.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


async def test_every_kind_of_broken_configuration_is_refused_with_its_place(folder: Path) -> None:
    sound = await check_configuration(_write(folder, SOUND), resolve=True, env=ENVIRONMENT)
    assert not sound.errors, [str(one) for one in sound.errors]
    vague = []
    for name, content in BROKEN.items():
        path = _write(folder, content)
        started = time.monotonic()
        candidate = await check_configuration(path, resolve=True, env=ENVIRONMENT)
        assert time.monotonic() - started < 5.0 + SLACK, name
        assert candidate.errors, name
        with pytest.raises(Invalid):
            candidate.wanted()
        for problem in candidate.errors:
            if not (problem.message and problem.file and problem.line):
                vague.append(f"{name}: {problem}")
            assert len(str(problem)) < 2000, name
            assert "Traceback" not in str(problem), name
    assert not vague, "\n".join(vague)


async def test_no_broken_configuration_replaces_the_one_in_force(tmp_path: Path) -> None:
    async with backend() as shop:
        content = document(shop.url)
        async with instance(tmp_path, content) as it:
            number = it.service.plan.ruleset.number  # type: ignore[union-attr]
            for name, broken in BROKEN.items():
                _write(tmp_path, broken)
                with pytest.raises(Invalid):
                    await it.service.reload()
                assert it.service.plan.ruleset.number == number, name  # type: ignore[union-attr]
            answer = await it.admin("POST", "/api/v1/configuration/reload")
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["line"] > 0
            assert (await it.ended(await it.send({"a": 1})))["state"] == "delivered"
            await it.reload(content)
            (tmp_path / "pointsman.yaml").unlink()
            with pytest.raises(Invalid):
                await it.service.reload()
            assert (await it.ended(await it.send({"a": 2})))["state"] == "delivered"


async def _serve(folder: Path, *words: str) -> tuple[int, str]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", *words, cwd=folder, env={**ENVIRONMENT, "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(child.communicate(), PATIENCE)
    return child.returncode or 0, said.decode("utf-8")


async def test_the_command_says_what_is_wrong_and_does_not_start(folder: Path) -> None:
    _write(folder, BROKEN["unknown kind"])
    serve = ("serve", "--data", "data", "--port", "0", "--admin-port", "0")
    for words in (("check", "pointsman.yaml"), serve):
        code, said = await _serve(folder, *words)
        assert code == 1, said
        assert "did you mean" in said
        assert "pointsman.yaml:2" in said.replace("\n", "")
        assert "Traceback" not in said
    _write(folder, SOUND)
    taken = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = str(taken.sockets[0].getsockname()[1])
    code, said = await _serve(folder, "serve", "--data", "data", "--port", port, "--admin-port", "0")
    taken.close()
    assert code in (1, 3), said
    assert "Traceback" not in said
    assert port in said


async def test_broken_descriptions_are_refused_or_degrade_and_touch_nothing(folder: Path) -> None:
    with shared_tar("hostile-dev.tar.xz") as archive:
        own = {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isfile() and member.name.startswith("own/")
        }
    assert len(own) >= 50
    _write(folder, SOUND)
    for name, content in own.items():
        (folder / "shop.json").write_bytes(content)
        started = time.monotonic()
        candidate = await check_configuration(folder / "pointsman.yaml", resolve=True, env=ENVIRONMENT)
        assert time.monotonic() - started < 10.0 + SLACK, name
        # None of them has the operation that the rule calls: whatever else is wrong, that is.
        assert candidate.errors, name
        for problem in candidate.problems:
            assert problem.message, name
            assert "root:" not in str(problem), name
            assert len(str(problem)) < 2000, name


async def test_a_description_that_breaks_under_a_running_instance_changes_nothing(tmp_path: Path) -> None:
    async with backend() as shop, instance(tmp_path, document(shop.url)) as it:
        for content in (
            b"",
            b"{",
            b"\xff\xfe",
            b"[]",
            b'{"openapi": "3.0.3"}',
            b'{"openapi": "9"}',
            b"[" * 100_000,
        ):
            (tmp_path / "shop.json").write_bytes(content)
            with pytest.raises(Invalid):
                await it.service.reload()
            assert (await it.ended(await it.send({"a": 1})))["state"] == "delivered"

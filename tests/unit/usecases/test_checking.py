"""A check finds everything at once: text, shape, names, expressions, patterns, operations."""

import re
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from service.errors import Invalid
from service.usecases.checking import Candidate, check_configuration
from tests.shared import ROOT
from tests.tables import every_row

SPEC = """
openapi: 3.1.0
info: {title: Shop, version: "1"}
servers: [{url: "https://shop.example"}]
paths:
  /note: {post: {operationId: note, requestBody: {content: {application/json: {}}}, responses: {"200": {description: ok}}}}
"""


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("shop.yaml").write_text(SPEC)
    Path("hook.py").write_text("async def execute(context): ...\n")

    def run(text: str, **env: str) -> Coroutine[Any, Any, Candidate]:
        Path("pointsman.yaml").write_text(text.lstrip("\n"))
        return check_configuration(Path("pointsman.yaml"), resolve=bool(env), env=env)

    return run


def errors(candidate: Candidate) -> list[tuple[int, int, str]]:
    return [(problem.line, problem.column, problem.message) for problem in candidate.errors]


SHOP = """
connectors: {shop: {spec: shop.yaml}}
connections:
  shop: {connector: shop}
"""


async def test_one_problem_hides_no_other(check) -> None:
    candidate = await check(
        SHOP
        + """
surces: {}
sources:
  a: {kind: webhook, verify: {scheme: none}, id: 'dta.id', type: 'data.x +', subject: '[1]'}
  b: {kind: webhook, verify: {scheme: github, secrets: [{env: UNSET}]}, id: 'nope(1)'}
rules:
  one:
    from: aa
    match: {data: {a: "x"}}
    when: 'dat.x == 1'
    do: [{call: shop.nte}]
  two:
    wen: 'true'
    when: '1 + 1'
    key: 5
    mode: queued
    do: [{call: shop.note, with: {bdy: "${dta}"}}]
  three:
    match: {data: {b: [{prefx: "y"}]}}
    do: [{call: nothing}]
"""
    )
    assert errors(candidate) == [
        (5, 1, "unknown field `surces`"),
        (7, 51, "unknown name `dta`"),
        (7, 74, "the expression ends where a value is expected"),
        (7, 87, "the value must be string or int, this is always list"),
        (8, 78, "unknown function `nope`"),
        (11, 11, "there is no source of this name"),
        (12, 23, "a field takes a list of values, or an object with further fields"),
        (13, 12, "unknown name `dat`"),
        (14, 22, "connector shop has no operation nte"),
        (16, 5, "unknown field `wen`"),
        (17, 11, "the value must be bool, this is always int"),
        (18, 10, "`key` must be text"),
        (20, 35, "operation note has no input bdy"),
        (20, 43, "unknown name `dta`"),
        (22, 24, "there is no such operator here"),
        (23, 17, "not a call"),
    ]
    with pytest.raises(Invalid) as raised:
        candidate.wanted()
    assert len(raised.value.problems) >= len(candidate.errors)


async def test_what_is_broken_is_not_judged_a_second_time(check) -> None:
    candidate = await check(
        SHOP.replace("{connector: shop}", "{connector: shop, server: 5, limits: {rte: 1/s}}")
        + """
  lost: {connector: shop, limits: {in_flight: 0}}
rules:
  cut:
    when: data.note != #1
    do: [{call: shop.note}, {call: shop.note}]
  kept:
    when: 5
    tests: [{name: t, message: {}, expect: no match}]
    do: [{call: lost.note}, {call: lost.none}]
"""
    )
    assert [(line, message) for line, _, message in errors(candidate)] == [
        (3, "`server` must be text"),
        (3, "unknown field `rte`"),
        (5, "`in_flight` must be at least 1"),
        (8, "YAML reads everything from ` #` on as a comment, so this expression is cut here"),
        (9, "two steps of this rule are named `note`"),
        (11, "`when` must be text"),
        (13, "connector shop has no operation none"),
    ]


async def test_a_file_that_says_nothing_is_one_problem(check) -> None:
    assert len(errors(await check("{"))) == 1
    assert len(errors(await check(""))) == 1


async def test_a_missing_description_is_one_problem(check) -> None:
    candidate = await check(SHOP.replace("shop.yaml", "shp.yaml") + "rules: {r: {do: [{call: shop.note}]}}")
    assert errors(candidate) == [(1, 27, "there is no such file")]


@every_row(
    ("connector", "connection", "said"),
    [
        ("spec: 'https://a.example/x.json', sha256: abc", "", "not a SHA-256"),
        ("spec: shop.yaml, code: gone.py", "", "there is no such file"),
        ("spec: shop.yaml", ", validate: strict", "`validate` must be one of off, warn, reject"),
        ("spec: shop.yaml, code: hook.py, code_for: [nte]", "", "did you mean note?"),
    ],
)
async def test_one_mistake_in_a_connector_is_one_problem(check, connector, connection, said) -> None:
    candidate = await check(
        f"connectors: {{shop: {{{connector}}}}}\nconnections: {{shop: {{connector: shop{connection}}}}}\n"
    )
    (problem,) = candidate.errors
    assert said in problem.message


async def test_the_webhooks_of_the_documentation_would_run(check, tmp_path: Path) -> None:
    page = ROOT / "docs" / "configuration.md"
    block = page.read_text("utf-8").partition("### webhook")[2].partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "machine").write_text("secret")
    (tmp_path / "secrets" / "machine").chmod(0o600)
    candidate = await check(block, **dict.fromkeys(re.findall(r"env: (\w+)", block), "whsec_c2VjcmV0"))
    assert {problem.code for problem in candidate.problems} == {"token-in-query", "random-id"}


async def test_what_was_checked_is_never_written_out(check) -> None:
    """`asyncio.run` asks for the text of what it returns; that of a large plan is megabytes."""
    candidate = await check(SHOP)
    assert len(repr(candidate)) < 200

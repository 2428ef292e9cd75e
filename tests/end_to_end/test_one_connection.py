"""Commands that use one connection of a configuration want its secrets, and nobody else's."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.backend import Act, Backend, Call, answers, backend
from tests.end_to_end.instance import connection, document, step, write_configuration
from tests.end_to_end.shell import pointsman

CALL = ("call", "shop.get")
TRY = ("connections", "test", "shop")
VALUES = ("operations", "values", "shop.get", "body")


def _configuration(url: str) -> dict[str, Any]:
    """Return a configuration in which everything needs a secret, some of them of a form that is looked at."""
    crm = {
        "schemes": {
            "sealed": {"bearer": {"sealed": "pm1.x"}},
            "file": {"bearer": {"file": "none"}},
            "jwt": {"jwt": {"key": {"env": "CRM_PEM"}, "issuer": "i", "algorithm": "RS256"}},
        }
    }
    return document(
        url,
        connections={
            "shop": connection(url, auth={"basic": {"username": "me", "password": {"env": "SHOP_PASSWORD"}}}),
            "crm": connection(url, auth=crm),
            "erp": connection(url, auth={"bearer": {"env": "ERP_TOKEN"}}),
        },
        sources={
            "web": {"kind": "webhook", "verify": {"scheme": "github", "secrets": [{"env": "WEB_SECRET"}]}},
            "db": {"kind": "postgres", "url": {"env": "DB_URL"}, "tables": ["public.orders"]},
        },
        rules={"all": {"from": ["web"], "do": [step("crm.one"), step("shop.two")]}},
    )


async def _run(folder: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(
        pointsman, *words, cwd=folder, POINTSMAN_DATA=str(folder / "data"), **variables
    )


def _password(shop: Backend) -> None:
    def decide(call: Call) -> Act:
        return Act() if call.headers.get("authorization") == "Basic bWU6c2VjcmV0" else answers(401)

    shop.decide = decide


@pytest.mark.parametrize("words", [CALL, TRY], ids=["call", "test"])
async def test_the_secrets_of_others_need_not_be_there(tmp_path: Path, words: tuple[str, ...]) -> None:
    async with backend() as shop:
        _password(shop)
        write_configuration(tmp_path, _configuration(shop.url))
        ran = await _run(tmp_path, *words, SHOP_PASSWORD="secret")
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr == ""
        assert len(shop.calls) == 1


async def test_a_missing_secret_of_its_own_is_told_with_all_else_that_is_wrong(tmp_path: Path) -> None:
    content = _configuration("http://127.0.0.1:1")
    content["connections"]["shop"]["auth"] = {
        "schemes": {"a": {"bearer": {"env": "SHOP_ONE"}}, "b": {"bearer": {"env": "SHOP_TWO"}}}
    }
    content["rules"]["all"]["form"] = ["web"]
    write_configuration(tmp_path, content)
    for words in (CALL, TRY, VALUES):
        ran = await _run(tmp_path, *words)
        assert ran.returncode == 1
        for text in ("SHOP_ONE is not set", "SHOP_TWO is not set", "did you mean `from`?"):
            assert text in ran.stderr, words
        for name in ("CRM", "ERP", "WEB_SECRET", "DB_URL", "pm1", "none"):
            assert name not in ran.stderr, words


async def test_serving_and_checking_want_every_secret_as_before(tmp_path: Path) -> None:
    write_configuration(tmp_path, _configuration("http://127.0.0.1:1"))
    for words in (("serve",), ("check", "--secrets", "-o", "jsonl")):
        ran = await _run(tmp_path, *words, SHOP_PASSWORD="secret")
        assert ran.returncode == 1
        for name in ("CRM_PEM", "ERP_TOKEN", "WEB_SECRET", "DB_URL"):
            assert f"{name} is not set" in ran.stdout + ran.stderr, words


async def test_what_is_read_for_one_connection_is_the_same_request_as_with_every_secret(
    tmp_path: Path,
) -> None:
    async with backend() as shop:
        content = _configuration(shop.url)
        for name in ("crm", "erp"):
            content["connections"][name] = connection(shop.url, auth={"bearer": {"env": "OTHER"}})
        write_configuration(tmp_path, content)
        seen = []
        for more in ({}, {"OTHER": "x", "WEB_SECRET": "y", "DB_URL": "postgres://u:p@127.0.0.1/db"}):
            ran = await _run(tmp_path, *CALL, "--dry-run", "-o", "json", SHOP_PASSWORD="secret", **more)
            seen.append(json.loads(ran.stdout))
        assert seen[0] == seen[1]

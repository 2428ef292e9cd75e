"""Tokens: made once, kept as hashes, replaced and revoked."""

import pytest

from service.errors import Conflict, Invalid, NotFound
from service.usecases.tokens import TOKEN_FILE, Tokens, read_token
from tests.fakes.memory_store import MemoryStore


@pytest.fixture
async def store():
    made = MemoryStore(clock_ms=lambda: 0)
    await made.open()
    yield made
    await made.close()


async def loaded(store, folder):
    tokens = Tokens(store, folder)
    await tokens.load(1000)
    return tokens


async def test_the_first_token_is_made_once_and_taken_ever_after(store, tmp_path):
    first = await loaded(store, tmp_path)
    token = read_token(tmp_path)
    assert first.role_of(token) == ("first", "admin")
    again = await loaded(store, tmp_path)
    assert read_token(tmp_path) == token
    assert again.role_of(token) == ("first", "admin")
    assert (tmp_path / TOKEN_FILE).stat().st_mode & 0o777 == 0o600


async def test_the_first_token_is_replaced_when_its_file_is_gone(store, tmp_path):
    await loaded(store, tmp_path)
    old = read_token(tmp_path)
    (tmp_path / TOKEN_FILE).unlink()
    tokens = await loaded(store, tmp_path)
    assert tokens.role_of(old) is None
    assert tokens.role_of(read_token(tmp_path)) == ("first", "admin")


async def test_a_file_that_was_left_half_written_is_no_trouble(store, tmp_path):
    (tmp_path / ".999999999.admin.token").write_text("ol", "utf-8")
    tokens = await loaded(store, tmp_path)
    assert tokens.role_of(read_token(tmp_path)) is not None
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == set()


async def test_only_hashes_are_kept_and_survive_a_restart(store, tmp_path):
    tokens = await loaded(store, tmp_path)
    made = await tokens.make("grafana", "reader", now=5, by="first")
    assert made["token"].encode() not in b"".join((await store.get("token/")).values())
    assert (await loaded(store, tmp_path)).role_of(made["token"]) == ("grafana", "reader")
    assert tokens.list_tokens()["items"][1] == {
        "name": "grafana", "role": "reader", "made_at": "1970-01-01T00:00:00.005Z", "made_by": "first",
    }  # fmt: skip


async def test_no_two_tokens_are_alike(store, tmp_path):
    tokens = await loaded(store, tmp_path)
    made = {(await tokens.make(f"t{number}", "reader", now=0, by=""))["token"] for number in range(20)}
    assert len(made) == 20
    assert all(len(token) > 40 for token in made)


@pytest.mark.parametrize("text", ["", "pmt_", "\x00", "\ud800", "x" * 100_000])
async def test_nonsense_is_nobodys_token(store, tmp_path, text):
    assert (await loaded(store, tmp_path)).role_of(text) is None


async def test_what_is_wrong_is_told_at_once(store, tmp_path):
    tokens = await loaded(store, tmp_path)
    with pytest.raises(Invalid) as wrong:
        await tokens.make("a b", "raeder", now=0, by="")
    assert [one.code for one in wrong.value.problems] == ["unknown-role", "bad-name"]
    assert wrong.value.problems[0].fix == "did you mean reader?"
    with pytest.raises(Conflict):
        await tokens.make("first", "reader", now=0, by="")


async def test_a_revoked_token_is_gone_for_good(store, tmp_path):
    tokens = await loaded(store, tmp_path)
    made = await tokens.make("grafana", "reader", now=0, by="")
    assert await tokens.revoke("grafana") == {"name": "grafana", "revoked": True}
    assert tokens.role_of(made["token"]) is None
    assert (await loaded(store, tmp_path)).role_of(made["token"]) is None
    with pytest.raises(NotFound, match="no token grafanna"):
        await tokens.revoke("grafanna")
    with pytest.raises(Conflict, match="and restart"):
        await tokens.revoke("first")


def test_a_token_file_that_cannot_be_read_is_none(tmp_path):
    assert read_token(tmp_path) is None
    (tmp_path / TOKEN_FILE).write_text("\n", "utf-8")
    assert read_token(tmp_path) is None
    (tmp_path / TOKEN_FILE).write_bytes(b"\xff")
    assert read_token(tmp_path) is None

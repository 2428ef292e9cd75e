"""What logins keep: durable, unreadable without the key, and readable after the keys have changed."""

import contextlib

import pytest

from actions.errors import RetryLater
from service.config.sealing import add_key
from service.errors import Unavailable
from service.sealed_tokens import KEY_FILE, LentTokens, SealedTokens, token_keys


class Values:
    """The values of a store, and nothing else of it."""

    def __init__(self):
        self.kept = {}

    async def get(self, prefix):
        return {name: value for name, value in self.kept.items() if name.startswith(prefix)}

    async def put(self, name, value):
        self.kept[name] = value
        if value is None:
            del self.kept[name]


@pytest.fixture
def values():
    return Values()


@pytest.fixture
def ring(tmp_path):
    return tmp_path / KEY_FILE


async def test_what_is_saved_comes_back_after_a_restart_and_lies_sealed(values, ring):
    await SealedTokens(values, ring).save("crm/sso", b'{"refresh": "r3fresh"}')
    assert b"r3fresh" not in b"".join(values.kept.values())
    assert ring.stat().st_mode & 0o077 == 0
    again = SealedTokens(values, ring)
    assert await again.load("crm/sso") == b'{"refresh": "r3fresh"}'
    assert await again.load("crm") is None
    await again.delete("crm/sso")
    assert values.kept == {}


async def test_what_another_process_sealed_with_a_newer_key_is_read(values, ring):
    running = SealedTokens(values, ring)
    await running.save("crm", b"old")
    add_key(ring)
    await SealedTokens(values, ring).save("crm", b"new")
    assert await running.load("crm") == b"new"
    await running.save("crm", b"newer")
    assert await SealedTokens(values, ring).load("crm") == b"newer"


async def test_what_no_key_opens_is_not_there(values, ring):
    await SealedTokens(values, ring).save("crm", b"x")
    ring.unlink()
    assert await SealedTokens(values, ring).load("crm") is None
    values.kept["login/crm"] = b"\xff no sealed text"
    assert await SealedTokens(values, ring).load("crm") is None


@pytest.mark.parametrize("harm", [lambda ring: ring.write_text("junk"), lambda ring: ring.chmod(0o644)])
async def test_while_the_keys_cannot_be_used_logins_are_told_to_come_again(values, ring, harm):
    await SealedTokens(values, ring).save("crm", b"x")
    harm(ring)
    tokens = SealedTokens(values, ring)
    with pytest.raises(RetryLater, match="tokens cannot be kept"):
        await tokens.load("crm")
    with pytest.raises(RetryLater, match="tokens cannot be kept"):
        await tokens.save("crm", b"y")


def test_the_keys_lie_in_the_data_directory_unless_somebody_says_otherwise(tmp_path):
    assert token_keys(tmp_path, {}) == tmp_path / KEY_FILE
    assert token_keys(tmp_path, {"POINTSMAN_SEAL_KEY": "/keys/ring"}).as_posix() == "/keys/ring"


class Stopped:
    """The store of a stopped instance: how often it was opened, and whether it is open."""

    def __init__(self, values, trouble=None):
        self.values, self.trouble = values, trouble
        self.opened = 0
        self.open = False

    @contextlib.asynccontextmanager
    async def __call__(self):
        if self.trouble is not None:
            raise self.trouble
        self.opened += 1
        self.open = True
        try:
            yield self.values
        finally:
            self.open = False


async def test_the_store_of_a_stopped_instance_is_opened_once_and_only_when_a_login_asks(values, ring):
    await SealedTokens(values, ring).save("crm", b"first")
    store = Stopped(values)
    await LentTokens(store, ring).close()
    assert not store.opened
    tokens = LentTokens(store, ring)
    async with tokens.alone("crm"):
        assert await tokens.load("crm") == b"first"
        await tokens.save("crm", b"second")
    assert (store.opened, store.open) == (1, True)
    await tokens.close()
    assert not store.open
    assert await SealedTokens(values, ring).load("crm") == b"second"


async def test_beside_a_running_instance_no_token_is_touched(values, ring):
    tokens = LentTokens(Stopped(values, Unavailable("another process has the data")), ring)
    for attempt in (tokens.load("crm"), tokens.save("crm", b"x"), tokens.delete("crm")):
        with pytest.raises(RetryLater, match="cannot be had: another process has the data"):
            await attempt
    await tokens.close()

"""Sealed secrets: what is sealed opens with its key and with no other."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.config.sealing import SEALED, Ring, Unsealable, add_key, read_ring, reseal, ring_path
from tests.tables import every_row

RING = Ring({"0a1b2c3d": bytes(range(32))})


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_opens_and_looks_different_each_time(text):
    sealed = RING.seal(text)
    assert SEALED.fullmatch(sealed)
    assert RING.open(sealed) == text
    assert RING.seal(text) != sealed


def _raw(sealed):
    coded = sealed.split(".")[2]
    return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4))


@given(st.data())
def test_a_changed_text_never_opens(data):
    sealed = RING.seal("canary-7f3a91")
    place = data.draw(st.integers(13, len(sealed) - 1))
    letter = data.draw(st.sampled_from("AQgwBz-_"))
    changed = f"{sealed[:place]}{letter}{sealed[place + 1 :]}"
    if _raw(changed) == _raw(sealed):  # the last letter has bits to spare
        return
    with pytest.raises(Unsealable, match="changed or cut") as caught:
        RING.open(changed)
    assert "canary" not in str(caught.value)


def test_a_key_that_is_not_there_is_named():
    with pytest.raises(Unsealable, match="sealed with key 0a1b2c3d, and the key ring has ffffffff"):
        Ring({"ffffffff": bytes(32)}).open(RING.seal("x"))


@every_row("text", ["", "pm1.0a1b2c3d.", "pm2.0a1b2c3d." + "A" * 40, "secret"])
def test_what_was_never_sealed_is_said(text):
    with pytest.raises(Unsealable, match="no sealed text"):
        RING.open(text)


def test_a_new_key_seals_and_the_old_one_still_opens(tmp_path):
    path = tmp_path / "pointsman.key"
    old = add_key(path).seal("before")
    ring = add_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_ring(path).keys == ring.keys
    assert list(ring.keys)[1] == old[4:12]
    assert ring.open(old) == "before"
    assert ring.seal("after")[4:12] == ring.newest


def test_rotation_touches_only_what_an_older_key_has_sealed(tmp_path):
    path = tmp_path / "ring"
    old = add_key(path).seal("one")
    ring = add_key(path)
    new = ring.seal("two")
    text, count = reseal(f"a: {{sealed: {old}}} # kept\nb: {{sealed: {new}}}\n", ring)
    assert count == 1
    assert text.endswith(f"# kept\nb: {{sealed: {new}}}\n")
    first = SEALED.search(text)
    assert first is not None
    assert ring.open(first.group()) == "one"
    assert reseal(text, ring) == (text, 0)


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("", 0o600, "is empty"),
        ("# nothing\n", 0o600, "is empty"),
        ("0a1b2c3d AAAA\n", 0o600, r"line 1 .* is no key"),
        (f"00000000 {base64.b64encode(bytes(32)).decode()}\n", 0o600, r"line 1 .* is no key"),
        ("\xff", 0o600, "is no key"),
        ("x", 0o644, "others may read"),
    ],
)
def test_a_key_ring_that_cannot_be_used_is_refused(tmp_path, content, mode, words):
    path = tmp_path / "ring"
    path.write_bytes(content.encode("latin-1"))
    path.chmod(mode)
    with pytest.raises(Unsealable, match=words):
        read_ring(path)
    with pytest.raises(Unsealable, match="cannot be read"):
        read_ring(tmp_path / "absent")


def test_no_key_is_shown():
    assert str(bytes(range(32))) not in repr(RING)


def test_the_ring_is_beside_the_configuration_or_where_the_variable_says(tmp_path):
    assert ring_path({}, tmp_path) == tmp_path / "pointsman.key"
    assert str(ring_path({"POINTSMAN_SEAL_KEY": "/run/key"}, tmp_path)) == "/run/key"


def test_a_configuration_opens_what_is_sealed(check, folder):
    ring = add_key(folder / "pointsman.key")
    text = f"""
sources: {{door: {{kind: bell}}}}
connectors: {{shop: {{spec: shop.json}}}}
connections: {{shop: {{connector: shop, auth: {{bearer: {{sealed: {ring.seal("canary-7f3a91")}}}}}}}}}
"""
    checked = check(text)
    assert checked.problems == ()
    assert checked.configuration.connections["shop"].auth.bearer.get_secret_value() == "canary-7f3a91"
    assert b"canary" not in checked.document
    add_key(folder / "other.key")
    wrong = check(text, POINTSMAN_SEAL_KEY=str(folder / "other.key"))
    assert [one.code for one in wrong.problems] == ["secret-sealed"]

"""The `verify:` part of the configuration, and the quantities in it."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tests.tables import every_row
from triggers.presets import PRESETS
from triggers.quantities import Duration, Size
from triggers.signatures import Signature
from triggers.verification import SCHEME_NAMES, VerifyConfig

_ADAPTER: TypeAdapter[Any] = TypeAdapter(VerifyConfig)


def _read(**config: Any) -> Any:
    return _ADAPTER.validate_python(config)


def test_every_provider_can_be_named() -> None:
    assert set(PRESETS) < set(SCHEME_NAMES)
    for name in PRESETS:
        assert _read(scheme=name, secrets=["s"]).schemes() == PRESETS[name].schemes


def test_none_may_be_said_in_one_word() -> None:
    assert _ADAPTER.validate_python("none") == _read(scheme="none")


def test_tolerance_reaches_the_scheme() -> None:
    verify = _read(scheme="standard-webhooks", secrets=["s"], tolerance="1m")
    assert [scheme.tolerance for scheme in verify.schemes()] == [60, 60]


def test_a_scheme_of_ones_own() -> None:
    verify = _read(
        scheme="hmac",
        secrets=["s"],
        header="X-Sig",
        timestamp_header="X-At",
        signed="{timestamp}.{body}",
        id_header="X-Id",
    )
    (scheme,) = verify.schemes()
    assert scheme == Signature(
        header="x-sig", timestamp_header="x-at", id_header="x-id", signed="{timestamp}.{body}"
    )
    assert verify.preset.id == ("{header.x-id}",)


def test_secrets_are_never_shown() -> None:
    verify = _read(scheme="github", secrets=["very secret"])
    assert "very secret" not in repr(verify) + str(verify.model_dump())
    with pytest.raises(ValidationError) as caught:
        _read(scheme="github", secrets=["very secret"], unknown=1)
    assert "very secret" not in str(caught.value)


@every_row(
    ("config", "word"),
    [
        ({"scheme": "githup", "secrets": ["s"]}, "scheme"),
        ({"secrets": ["s"]}, "scheme"),
        ({"scheme": "github"}, "secrets"),
        ({"scheme": "github", "secrets": []}, "secrets"),
        ({"scheme": "github", "secrets": ["s"], "tolerance": "5m"}, "tolerance"),
        ({"scheme": "none", "secrets": ["s"]}, "secrets"),
        ({"scheme": "hmac", "secrets": ["s"], "header": "X", "signed": "{timestamp}"}, "{body} is missing"),
        ({"scheme": "hmac", "secrets": ["s"], "header": "X Y"}, "header"),
        ({"scheme": "hmac", "secrets": ["s"], "header": "X", "algorithm": "md5"}, "algorithm"),
        ({"scheme": "basic", "secrets": ["s"], "username": "a:b"}, "username"),
        ({"scheme": "api-key", "secrets": ["s"]}, "name one"),
        ({"scheme": "api-key", "secrets": ["s"], "header": "a", "query": "b"}, "name one"),
        ({"scheme": "stripe", "secrets": ["s"], "tolerance": 300}, "not a duration"),
    ],
)
def test_mistakes_are_named(config: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _read(**config)
    assert word in str(caught.value)


@every_row(
    ("config", "codes"),
    [
        ({"scheme": "none"}, ["unverified"]),
        ({"scheme": "github", "secrets": ["s"]}, []),
        ({"scheme": "github", "secrets": ["", "s", ""]}, ["empty-secret", "empty-secret"]),
        ({"scheme": "standard-webhooks", "secrets": ["%%"]}, ["bad-secret"]),
        ({"scheme": "slack", "secrets": ["s"], "tolerance": "2h"}, ["long-tolerance"]),
        ({"scheme": "slack", "secrets": ["s"], "tolerance": "1s"}, ["short-tolerance"]),
        ({"scheme": "hmac", "secrets": ["s"], "header": "x", "tolerance": "1s"}, []),
        (
            {
                "scheme": "hmac", "secrets": ["s"], "header": "x", "timestamp_header": "t", "signed": "{timestamp}{body}",
                "tolerance": "1d",
            },
            ["long-tolerance"],
        ),
        ({"scheme": "bearer", "secrets": ["s"], "query": True}, ["token-in-query"]),
        ({"scheme": "api-key", "secrets": ["s"], "query": "key"}, ["token-in-query"]),
        ({"scheme": "basic", "secrets": ["s"], "username": "u"}, []),
    ],
)  # fmt: skip
def test_check_tells_what_is_wrong_or_doubtful(config: dict[str, Any], codes: list[str]) -> None:
    findings = _read(**config).check()
    assert [finding.code for finding in findings] == codes
    assert all(finding.field.startswith("verify") for finding in findings)


@every_row(
    ("text", "expected"),
    [
        ("5m", timedelta(minutes=5)),
        ("250 ms", timedelta(milliseconds=250)),
        ("1d", timedelta(days=1)),
        ("5", None),
        (5, None),
        (timedelta(days=2), timedelta(days=2)),
    ],
)
def test_durations(text: Any, expected: timedelta | None) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Duration)
    if expected is None:
        with pytest.raises(ValidationError):
            adapter.validate_python(text)
    else:
        assert adapter.validate_python(text) == expected


@every_row(
    ("text", "expected"), [("1MiB", 1 << 20), ("10 kB", 10_000), (512, 512), ("1", None), (True, None)]
)
def test_sizes(text: Any, expected: int | None) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Size)
    if expected is None:
        with pytest.raises(ValidationError):
            adapter.validate_python(text)
    else:
        assert adapter.validate_python(text) == expected


def test_every_field_is_described() -> None:
    schema = _ADAPTER.json_schema()
    for model in schema["$defs"].values():
        for name, member in model["properties"].items():
            assert member.get("description"), (model["title"], name)

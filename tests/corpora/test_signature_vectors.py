"""Every published and own signature vector: valid ones pass, the others are refused."""

from typing import Any

import pytest

from tests.shared import DATA, shared_json
from triggers.keys import BadSecret
from triggers.presets import GITHUB_SHA1, PRESETS
from triggers.signatures import Received, Scheme, Signature, Verifier

_VECTORS: list[dict[str, Any]] = (
    shared_json("signature-vectors.json")["vectors"] if (DATA / "signature-vectors.json").exists() else []
)


def _schemes(vector: dict[str, Any]) -> tuple[Scheme, ...]:
    name = vector["scheme"]
    if name == "github-sha1":
        return (*PRESETS["github"].schemes, GITHUB_SHA1)
    if not name.startswith("hmac"):
        return PRESETS[name].schemes
    encoding = "base64" if vector["encoding"] == "b64" else "hex"
    if name == "hmac":
        return (Signature(header="x-signature", algorithm=vector["hash"], encoding=encoding),)
    return (
        Signature(
            header="x-signature",
            algorithm=vector["hash"],
            encoding=encoding,
            separator=",",
            prefix="v1=",
            timestamp_prefix="t=",
            signed=vector["signed"],
        ),
    )


@pytest.mark.parametrize("vector", _VECTORS, ids=lambda vector: vector["name"])
def test_verdict_is_that_of_the_vector(vector: dict[str, Any]) -> None:
    received = Received(
        headers={name.lower(): value for name, value in vector["headers"].items()},
        body=vector["body"].encode("utf-8"),
        now=vector["now"] or 0,
        url=vector.get("url", ""),
    )
    try:
        refusal = Verifier(_schemes(vector), (vector["secret"],)).refusal(received)
    except BadSecret as error:
        refusal = str(error)
    if vector.get("choice"):
        assert refusal == "bad-signature"  # upper-case hex: our choice is to refuse it
    else:
        assert (refusal is None) == vector["valid"], refusal


def test_all_vectors_are_here() -> None:
    assert len(shared_json("signature-vectors.json")["vectors"]) == len(_VECTORS) >= 87

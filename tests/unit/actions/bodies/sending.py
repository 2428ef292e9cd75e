"""What the tests of bodies share: one operation with a body, and what is sent or refused."""

from typing import Any

import msgspec
import pytest

from actions.errors import Refused
from actions.serialize import RequestParts, build
from actions.specs import read_spec


def sent(
    content: dict[str, Any], value: Any, *, required: bool = True, schemas: Any = None, **arguments: Any
) -> RequestParts:
    """Return what is sent for a body of this content; `...` stands for no body. More arguments by name."""
    document = {
        "openapi": "3.1.0",
        "paths": {"/a": {"post": {"requestBody": {"required": required, "content": content}}}},
        "components": {"schemas": schemas or {}},
    }
    spec = read_spec({"a.json": msgspec.json.encode(document)})
    given = {name.replace("_", "-"): one for name, one in arguments.items()}
    if value is not ...:
        given["body"] = value
    return build(spec.operations["post_a"], spec, "http://h", given)


def refusals(content: dict[str, Any], value: Any, **more: Any) -> dict[str, str]:
    """Return what is wrong with a body, by pointer."""
    with pytest.raises(Refused) as caught:
        sent(content, value, **more)
    return dict(caught.value.problems)

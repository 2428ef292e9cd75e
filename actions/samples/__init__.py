"""Makes up values by the schemas of a description: answers for the mock, arguments to try operations with.

Pure and deterministic: the same description gives the same values. Nothing is sent or validated here.
"""

from typing import Any

from actions.samples.calls import Calls, arguments
from actions.samples.fitting import Way
from actions.samples.parts import Cut
from actions.samples.values import Sampler
from actions.specs.model import Spec

__all__ = ["Calls", "Cut", "Sampler", "arguments", "sample"]


def sample(spec: Spec, schema: Any, *, way: Way = "request", whole: bool = False, variant: int = 0) -> Any:
    """Return a value that satisfies a schema of the description, None where none can be made.

    `way` tells requests from answers (`readOnly`, `writeOnly`); `whole` asks for optional parts too;
    `variant` tells several values of one schema apart. Keep a `Sampler` to make many.
    """
    try:
        return Sampler(spec, way=way, whole=whole).value(schema, variant=variant)
    except Cut:
        return None

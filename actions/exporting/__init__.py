"""Writes a description of any format as an OpenAPI 3.1 document that is read back without difference.

`normalising` brings the description into the form of 3.1, `writing` says of it what OpenAPI can say. That
document is read again, and what then is not as it was is said beside its part (`placing`; `x-pointsman`, see
`actions.specs.restoring`): so an extension stands only where OpenAPI has no word for what is meant.
Pure: nothing here opens a file.
"""

from typing import Any, Final

from actions.exporting.normalising import normal
from actions.exporting.placing import complete
from actions.exporting.writing import write
from actions.specs.model import Spec

__all__ = ["export", "normal"]

_MOST: Final = 3
"""Readings of the document: one finds what is missing, the next that nothing is."""


def export(spec: Spec) -> dict[str, Any]:
    """Return a description as an OpenAPI 3.1 document of JSON values; parts of it may be shared.

    Findings are not written, nor defaults of secrets. Equal descriptions give equal documents.
    """
    wanted = normal(spec)
    written = write(wanted)
    for attempt in range(_MOST):
        if not complete(wanted, written, whole=attempt > 0):
            break
    return written.document

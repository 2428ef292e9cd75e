"""The functions and methods of the language: the standard ones and the extensions, one file per subject.

A function is pure and bounded: what takes time or memory by the size of its arguments spends budget first.
"""

from typing import Final

from service.rules.cel.functions import Function
from service.rules.cel.library import conversions, encoders, mathematics, optionals, strings, times

_ALL: Final = (
    *conversions.FUNCTIONS,
    *strings.FUNCTIONS,
    *times.FUNCTIONS,
    *mathematics.FUNCTIONS,
    *encoders.FUNCTIONS,
    *optionals.FUNCTIONS,
)

GLOBALS: Final[dict[str, Function]] = {one.name: one for one in _ALL if not one.method}
"""Functions by their whole name, as `size` and `math.greatest`."""

METHODS: Final[dict[str, Function]] = {one.name: one for one in _ALL if one.method}
"""Methods by name; the first parameter is what they are called on."""

"""Descriptions of APIs as they lie on disk: a file, a folder, a zip, a git directory, each read as units.

`collect` finds the units below a path, `pin` makes of one the bytes that the service keeps, `read_pinned`
reads those again. Reading a unit opens only what its root document refers to and what its format expects
beside it, never anything outside its folder. Nothing here writes, and nothing of what is read is executed.

`folders`, `archives` and `repositories` give the files of one place, lazily; `sniffing` tells which of them
are descriptions.
"""

from service.descriptions.collecting import collect, sent
from service.descriptions.pinning import kept, kept_copy, pin, read_pinned
from service.descriptions.units import ACCEPTED, DEFAULT, Bounds, Unfit, Unit, bounds_of, unreadable

__all__ = [
    "ACCEPTED",
    "DEFAULT",
    "Bounds",
    "Unfit",
    "Unit",
    "bounds_of",
    "collect",
    "kept",
    "kept_copy",
    "pin",
    "read_pinned",
    "sent",
    "unreadable",
]

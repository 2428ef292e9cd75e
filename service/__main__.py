"""`python -m service`, and the `pointsman` command."""

import gc
import io
import sys
from typing import Final

COLLECTED: Final = (20_000, 10, 50)
"""New objects, and rounds of the younger generations, between two looks of the garbage collector.

Starting makes many objects and hardly any garbage, a message makes no cycles: with Python's own figures a
tenth of the time went into looking.
"""

INTERRUPTED: Final = 130
"""The exit code for Ctrl-C while starting; what runs says its own."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    gc.set_threshold(*COLLECTED)
    try:
        from service.cli.app import run  # after it: importing is most of the work of starting
        from service.cli.loop import leave
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a narrow locale is no reason to fail
    sys.exit(leave(run(sys.argv[1:])))


if __name__ == "__main__":
    main()

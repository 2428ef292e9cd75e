"""`python -m service`, and the `pointsman` command."""

import io
import sys

from service.cli.app import run


def main() -> None:
    """Run the command line and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a narrow locale is no reason to fail
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()

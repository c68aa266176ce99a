"""`kring`, and `python -m kring`."""

from __future__ import annotations

import sys

from kring.cli.app import run


def main() -> int:
    """Run the command line with the arguments of this process; returns its exit code."""
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

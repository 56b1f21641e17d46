"""The `plimsoll` command. `scan` starts without the command tree, whose import takes longer than a scan."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plimsoll.cli._session import Session


def main(arguments: Sequence[str], session: Session | None = None) -> int:
    """Run one command line; returns the exit code."""
    if session is None and arguments and arguments[0] == "scan":
        # What is imported stays: looking through it for garbage meanwhile takes a twentieth of a short scan.
        gc.disable()
        from plimsoll.cli import scan

        return scan.main(arguments[1:])
    from plimsoll.cli import tree

    return tree.main(arguments, session)


def run() -> None:
    """The entry point of the `plimsoll` script."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()

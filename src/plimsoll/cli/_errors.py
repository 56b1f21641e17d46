"""Exit codes, and the one error that commands raise to end with a message and a code (docs/cli.md)."""

from __future__ import annotations

import enum
from typing import Any


class Code(enum.IntEnum):
    """The exit codes of `plimsoll` and `dsm_c`; docs/cli.md says what a script may conclude from each."""

    OK = 0
    FAILED = 1
    USAGE = 2
    BLOCKERS = 3
    NOT_PROVED = 4
    AFFECTED = 5
    REFUSED = 6
    UNREACHABLE = 7


class CommandError(Exception):
    """Ends a command: the message goes to standard error, the code to the shell."""

    def __init__(self, message: str, code: Code = Code.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class BlockedError(CommandError):
    """The manager refused a raise; `details` is its answer, with the blockers by name."""

    def __init__(self, details: dict[str, Any]) -> None:
        super().__init__(str(details.get("message", "the raise was refused")), Code.BLOCKERS)
        self.details = details

"""The parts of `plimsoll scan`; `cli.scan` is the command. Each is imported when it is needed, for a quick start."""

from __future__ import annotations

from typing import Final

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_HELD: Final = 3
NOT_PROVED: Final = 4


class StopError(Exception):
    """Ends the command with a message and an exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code

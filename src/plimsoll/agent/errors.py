"""The one error that the agent's commands raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plimsoll.agent.session import Failure


class AgentError(Exception):
    """What was asked did not succeed: what was wrong, what was kept, what to do next.

    `failure` says more where a manager was called.
    """

    def __init__(self, message: str, failure: Failure | None = None) -> None:
        super().__init__(message)
        self.failure = failure

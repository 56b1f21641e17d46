"""The one error that the agent's commands raise."""


class AgentError(Exception):
    """What was asked did not succeed: what was wrong, what was kept, what to do next."""

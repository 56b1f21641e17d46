"""``python -m plimsoll.agent HOME``: the resident agent, for services and for `plimsoll agent run`."""

from __future__ import annotations

import sys

from plimsoll.agent.launched import RESTART
from plimsoll.agent.main import AgentError, run


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM; 1 where the agent cannot work, 2 for a wrong call, `RESTART` for the launcher."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m plimsoll.agent HOME\n")
        return 2
    try:
        again = run(arguments[0])
    except (AgentError, OSError) as error:
        sys.stderr.write(f"plimsoll agent: {error}\n")
        return 1
    return RESTART if again else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

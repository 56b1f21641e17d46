"""What the command line starts: `activate`, `activate_by_manager`, `run` and `status`.

Each loads its own part only: what `run` imports stays in memory for as long as the agent lives.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from plimsoll.agent.errors import AgentError
from plimsoll.agent.home import Home, HomeError, PathLike

if TYPE_CHECKING:
    from plimsoll.agent.activation import Activated

__all__ = ["AgentError", "activate", "activate_by_manager", "become", "run", "status"]


def activate(home: PathLike, manager: str, token: str, **options: Any) -> Activated:
    """See `plimsoll.agent.activation.activate`."""
    from plimsoll.agent import activation

    return activation.activate(home, manager, token, **options)


def activate_by_manager(home: PathLike, listen_port: int = 4118, **options: Any) -> Activated:
    """See `plimsoll.agent.activation.activate_by_manager`."""
    from plimsoll.agent import activation

    return activation.activate_by_manager(home, listen_port, **options)


def status(home: PathLike) -> dict[str, Any]:
    """See `plimsoll.agent.status.status`."""
    from plimsoll.agent.status import status as tell

    return tell(home)


def become(home: PathLike) -> NoReturn:
    """Replaces this process by the agent: what a command line loaded is not carried along for months."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", "plimsoll.agent", os.fspath(home)])


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 -- the one line on standard output that scripts wait for


def run(home: PathLike, ready: Callable[[str], None] = _say) -> bool:
    """Runs the agent of an activated home until SIGTERM. Raises AgentError where it cannot work.

    True where the launcher is to start it anew, since another release is current now.
    """
    from plimsoll.agent.daemon import Daemon
    from plimsoll.agent.launched import Launched
    from plimsoll.agent.managers import ManagerAddressError
    from plimsoll.agent.renewal import RenewalError
    from plimsoll.net.errors import NetError
    from plimsoll.net.tasks import TaskDiedError
    from plimsoll.relay.state import RelayStateError

    place = Home(home)
    launched = Launched.found(os.environ)
    _log_to_stderr()

    async def work() -> bool:
        return await Daemon(place, ready, launched=launched).run()

    try:
        if not place.activated:
            place.load_state()
        with place.lock():
            return asyncio.run(work())
    except (HomeError, NetError, RelayStateError, RenewalError, TaskDiedError, ManagerAddressError) as error:
        raise AgentError(str(error)) from None


def _log_to_stderr() -> None:
    """One line for each event, in UTC; a program that set up its own logging keeps it."""
    if not logging.getLogger().handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_OneLine("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"))
        logging.getLogger().addHandler(handler)
        logging.getLogger().setLevel(os.environ.get("PLIMSOLL_LOG", "INFO").upper())


class _OneLine(logging.Formatter):
    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        # What a peer sent may stand in a message; it must not be able to forge a line of its own.
        text = super().format(record)
        return text if record.exc_info else text.replace("\r", " ").replace("\n", " ")

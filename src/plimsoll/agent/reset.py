"""Forgetting an activation: the identity of this computer goes, what a relay downloaded stays."""

from __future__ import annotations

import time

from plimsoll.agent import control
from plimsoll.agent.files import sync_folder
from plimsoll.agent.home import Home, HomeError

#: What an activation writes, `agent.json` first: a home without it was never activated, whatever a power cut leaves.
FORGOTTEN = (
    "agent.json",
    "key.pem",
    "cert.pem",
    "key.new.pem",
    "cert.new.pem",
    "ca.pem",
    "bootstrap.pem",
    "bootstrap.key",
    "policy.json",
    "spool.json",
    "relay.json",
    "upgrade.json",
    "run/state.json",
)

#: Seconds that a running agent may take to end.
STOP_SECONDS = 30.0


def reset(home: Home) -> str:
    """Stops the agent where it runs, and forgets who this computer was; returns its former id, empty where none.

    Raises HomeError or ControlError, with nothing forgotten.
    """
    if not home.path.exists():
        return ""
    _stop(home)
    with home.lock():
        computer = home.load_state().computer if home.activated else ""
        for name in FORGOTTEN:
            (home.path / name).unlink(missing_ok=True)
            if name == "agent.json":
                sync_folder(home.path)
        sync_folder(home.path)
    return computer


def _stop(home: Home) -> None:
    if home.locked_by() is None:
        return
    control.ask(home, control.STOP)
    ends = time.monotonic() + STOP_SECONDS
    while (pid := home.locked_by()) is not None:
        if time.monotonic() > ends:
            raise HomeError(
                f"the agent (process {pid}) did not end in {STOP_SECONDS:.0f} s; nothing was changed. Stop its service"
                " first, then reset again"
            )
        time.sleep(0.05)

"""The manager as a process: opens its home, listens, and ends cleanly. `in_process` is the same without listening."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from plimsoll.manager import logs
from plimsoll.manager.api.application import create_app
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.serve import App
from plimsoll.manager.home import open_home
from plimsoll.manager.ports import socket_principal
from plimsoll.manager.running import Running
from plimsoll.manager.services import Services
from plimsoll.net.resources import raise_file_limit

Ready = Callable[[str], None]


def run_manager(directory: Path, ready: Ready) -> None:
    """Runs until SIGTERM or SIGINT. `ready` gets one line once every port listens.

    Raises HomeError (no home, second manager, malformed file), PortTaken and CannotListen, each with what to do;
    TaskDiedError where a part of the manager failed.
    """
    logs.begin()
    raise_file_limit()
    asyncio.run(_run(directory, ready))


async def _run(directory: Path, ready: Ready) -> None:
    home = await asyncio.to_thread(open_home, directory)
    try:
        as_json = logs.use(home.config.log_format) == logs.JSON
        running = Running(home)
        if as_json:
            running.services.hub.subscribe(logs.heard)
        try:
            await running.start()
            _on_signals(running)
            settle()
            ready(running.ready_line())
            await running.supervisor.wait()
        finally:
            await running.stop()
    finally:
        await asyncio.to_thread(home.close)


def _on_signals(running: Running) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.supervisor.request_stop)
    loop.add_signal_handler(signal.SIGHUP, running.reload_soon)


def settle() -> None:
    """What the start made stays: the garbage collector need not look through it again and again.

    Measured: a page of 5,000 computers takes 180 ms of CPU instead of 320.
    """
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def in_process(directory: Path) -> Iterator[App]:
    """The application over a stopped manager's home, under the home's lock. Raises HomeError where it runs."""
    home = open_home(directory)
    try:
        services = Services(home.store, home)
        # As at any start: finishes a change that a crash interrupted, and takes an edit of the file.
        services.floors.start()
        services.capability_table.apply()
        yield create_app(Backend(services, home.installation, local=socket_principal(os.getuid(), "cli")))
    finally:
        home.close()

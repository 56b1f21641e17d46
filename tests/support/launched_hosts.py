"""Hosts with a real agent under its real launcher, activated at a real manager: for upgrades of a fleet.

Their releases are small trees (`trees`), so one package fits all of them. What a release does on one host alone is said
by that host's environment, as a fault of its system would.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import trees
from tests.support.manager import Manager
from tests.support.process import Service, run


@dataclass
class LaunchedHost:
    """One host. `crashes` is a release that ends as soon as it is started here."""

    folder: Path
    name: str
    crashes: str = ""
    service: Service | None = field(default=None, repr=False)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def current(self) -> str:
        """The release that its launcher starts."""
        return (self.folder / "prefix" / "current").readlink().name

    @property
    def releases(self) -> set[str]:
        """The trees that are there, half-made ones too."""
        return {path.name for path in (self.folder / "prefix" / "versions").iterdir()}

    def activate(self, manager: Manager, *more: str) -> None:
        """By the release that is current: what a relay begins with is its release's default."""
        tree = self.folder / "prefix" / "current" / "bin" / "python3"
        command: list[str | Path] = [tree, "-P", "-c", "from plimsoll.cli.main import run; run()", "agent", "activate"]
        command += ["--home", self.home, "--manager", manager.url, "--token", manager.new_token(1), "--name", self.name]
        done = run([*command, *more])
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        environment = {"PLIMSOLL_TEST_CRASHES": self.crashes} if self.crashes else {}
        self.service = trees.launched(self.folder / "prefix", self.home, **environment)

    def stop(self) -> None:
        if self.service is not None and self.service.process.poll() is None:
            self.service.stop()


@contextlib.contextmanager
def launched_host(
    manager: Manager, folder: Path, name: str, release: str, *more: str, crashes: str = ""
) -> Iterator[LaunchedHost]:
    """A host of that release, activated with `more` arguments and started; its first heartbeat is still to come."""
    host = LaunchedHost(folder / name, name, crashes)
    trees.install(host.folder / "prefix", release)
    host.activate(manager, *more)
    try:
        host.start()
        yield host
    finally:
        host.stop()

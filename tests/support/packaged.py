"""The packages of this tree, made where they are not there yet, and hosts that have one of them installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packages.make import make
from packages.pack import REPOSITORY

from tests.support.manager import Manager
from tests.support.process import Service, service
from tests.support.roots import Root, debian

DIST = REPOSITORY / "dist"


def package(kind: str, form: str, release: str | None = None) -> Path:
    """The package of `kind` (agent, manager) as `form` (deb, rpm, archive); of another release in a folder apart."""
    if release is None:
        return make(kind, DIST, forms=[form])[form]
    return make(kind, DIST / "other", release, forms=[form])[form]


@contextlib.contextmanager
def running_agent(root: Root) -> Iterator[Service]:
    """The installed and activated agent of a root, run as its service would run it, and ready."""
    with service(root.command("plimsoll-agent", "run")) as started:
        yield started


@dataclass
class PackagedHost:
    """A root with an agent's package installed, activated and running as its service would run it."""

    root: Root
    name: str
    service: Service | None = field(default=None, repr=False)

    @property
    def home(self) -> Path:
        return self.root.path / "var/opt/plimsoll-agent"

    @property
    def current(self) -> str:
        """The release that its launcher starts."""
        return (self.root.path / "opt/plimsoll-agent/current").readlink().name

    def start(self, manager: Manager, *more: str) -> None:
        """Activates it with `more` arguments."""
        said = ["--manager", manager.url, "--token", manager.new_token(1), "--name", self.name]
        self.root.run("plimsoll-agent", "activate", *said, *more)
        self.service = Service(self.root.command("plimsoll-agent", "run"))

    def take_no_release(self) -> None:
        """Its user may not add releases any more, as somebody's hardening does it."""
        self.root.run("chmod", "go-w", "/opt/plimsoll-agent/versions")


@contextlib.contextmanager
def packaged_host(place: Path, name: str, package_file: Path) -> Iterator[PackagedHost]:
    """A root of its own with that package."""
    with debian("bookworm", place) as root:
        root.run("dpkg", "-i", root.put(package_file))
        host = PackagedHost(root, name)
        try:
            yield host
        finally:
            if host.service is not None and host.service.process.poll() is None:
                host.service.stop()

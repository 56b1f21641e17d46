"""The packages of this tree, made where they are not there yet, and hosts that have one of them installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from packages.make import make
from packages.pack import REPOSITORY

from tests.support.process import Service, service
from tests.support.roots import Root

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

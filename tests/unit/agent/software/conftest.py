"""A repository with one package, and an agent that trusts it; sources are put between the two by each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.homes import desk
from tests.support.releases import Publisher
from tests.support.sources import Site

from plimsoll.agent.software import child
from plimsoll.agent.software.fetching import Fetched, Wish

CONTENT = bytes(range(256)) * 3000


class Yard(Site):
    """The site, its publisher, and the package that tests fetch."""

    def __init__(self, folder: Path, opened: object) -> None:
        super().__init__(folder, opened)  # type: ignore[arg-type]  # a desk
        self.publisher = Publisher().trusted_by(self.desk.services)
        self.package = self.publisher.import_into(self.desk.services, CONTENT)
        self.pin()

    def fetch(self, **wish: object) -> Fetched:
        """In this process: what the child does, without the child."""
        values = {"target": self.package.target, "timeout": 1.0, "patience": 0.0, **wish}
        return child.Fetcher(self.home, Wish(**values)).run()  # type: ignore[arg-type]

    def pin_again(self) -> None:
        """As a new agent."""
        for name in ("trust.txt", "root.json"):
            (self.shelf.folder / name).unlink(missing_ok=True)
        self.pin()

    @property
    def installed(self) -> list[str]:
        """Every package that counts as verified."""
        return sorted(str(path.relative_to(self.shelf.packages)) for path in self.shelf.packages.rglob("*.*"))


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with desk(tmp_path) as opened:
        opened.services.software_metadata.tend()
        yield Yard(tmp_path, opened)

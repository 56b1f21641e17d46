"""One manager with the embedded store: what concerns its own disk, clock and certificates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos import faults
from tests.chaos.invariants import watched
from tests.chaos.shims import needs
from tests.chaos.site import Site, one_manager
from tests.support.disk import small_disk

pytestmark = pytest.mark.deep


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with one_manager(folder, folder / "home") as made:
        yield made


@pytest.mark.parametrize("rounds", [5])
def test_the_manager_is_killed(site: Site, rounds: int) -> None:
    for _ in range(rounds):
        with watched(site) as watch:
            faults.kill(site, watch)


def test_its_disk_is_slow(site: Site) -> None:
    disk = needs(site.disk)
    with watched(site) as watch:
        faults.slow(disk, site, watch, 400, 10)


def test_its_clock_jumps(site: Site) -> None:
    clock = needs(site.clock)
    with watched(site) as watch:
        faults.clock_jumps(clock, site, watch)


def test_its_certificates_ended_while_it_was_down(site: Site) -> None:
    with watched(site) as watch:
        faults.certificate_ended(site, watch)


def test_its_certificates_end_while_it_runs(site: Site) -> None:
    clock = needs(site.clock)
    with watched(site) as watch:
        faults.certificate_ends(clock, site, watch)


def test_its_ca_ended_while_it_was_down(site: Site) -> None:
    with watched(site) as watch:
        faults.ca_ended(site, watch)


def test_its_ca_ends_while_it_runs(site: Site) -> None:
    clock = needs(site.clock)
    with watched(site) as watch:
        faults.ca_ends(clock, site, watch)


def test_its_disk_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk, one_manager(tmp_path, disk.home) as site, watched(site) as watch:
        process = site.managers[0].process
        assert process is not None
        faults.full_disk(disk, process.pid, site, watch)

"""Two managers on one PostgreSQL behind HAProxy: one fault after the other, and what must be so after each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos import faults
from tests.chaos.invariants import watched
from tests.chaos.network import needs_rules
from tests.chaos.shims import needs
from tests.chaos.site import Site, two_managers
from tests.support.disk import small_disk

deep = pytest.mark.deep


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with two_managers(tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.mark.parametrize("packets", [5, pytest.param(100, marks=deep)])
def test_one_packet_of_a_hundred_is_lost(site: Site, packets: int) -> None:
    needs_rules()
    with watched(site) as watch:
        faults.packet_loss(site, watch, packets)


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=deep)])
def test_many_connections_that_say_nothing(site: Site, count: int) -> None:
    with watched(site) as watch:
        faults.half_open(site, watch, count)


@pytest.mark.parametrize("count", [400, pytest.param(8_000, marks=deep)])
def test_a_flood_of_hellos_that_are_garbage(site: Site, count: int) -> None:
    with watched(site) as watch:
        faults.hello_flood(site, watch, count)


@pytest.mark.parametrize("seconds", [0, pytest.param(60, marks=deep)])
def test_the_database_is_away(site: Site, seconds: int) -> None:
    with watched(site) as watch:
        faults.database_away(site, watch, seconds)


@deep
def test_the_database_has_a_slow_disk(site: Site) -> None:
    disk = needs(site.disk)
    with watched(site) as watch:
        faults.slow(disk, site, watch, 400, 10)


@deep
def test_no_way_between_a_manager_and_its_agents(site: Site) -> None:
    needs_rules()
    with watched(site) as watch:
        faults.node_without_agents(site, watch)


@deep
def test_no_way_between_a_manager_and_the_database(site: Site) -> None:
    needs_rules()
    with watched(site) as watch:
        faults.node_without_database(site, watch)


@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=deep)])
def test_a_manager_is_killed_in_mid_change(site: Site, rounds: int) -> None:
    for _ in range(rounds):
        with watched(site) as watch:
            faults.kill_in_mid_change(site, watch)
        site.managers[0].set_floor("TLSv1.2", "gui")


@deep
def test_the_disk_of_the_database_is_full(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A site of its own, whose database lies on a small disk. Last: the other site stays until the end of the file."""
    # Not among pytest's folders: the server runs as a user of its own.
    with tempfile.TemporaryDirectory(prefix="disk-") as place:
        Path(place).chmod(0o755)
        with small_disk(Path(place), 160 << 20) as disk:
            if not disk.mounted:
                pytest.skip("a small file system of its own needs root")
            disk.home.mkdir()
            disk.home.parent.chmod(0o755)
            with two_managers(tmp_path_factory.mktemp("site"), disk.home) as site, watched(site) as watch:
                faults.full_disk(disk, 0, site, watch)

"""A whole manager in this process, on PostgreSQL, while it starts: what it reads, and what changes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.homes import ROOT, Desk, drop_database, new_home, reopened
from tests.support.process import PATIENCE, free_ports

from plimsoll.manager.home import Home, open_home
from plimsoll.manager.joining import join, write_node_file
from plimsoll.manager.running import Running
from plimsoll.manager.services.computers import ComputersService

SECRET = b"a passphrase of a node"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[tuple[Desk, Path]]:
    """A manager's services, with a computer, and the home of a second manager that shares the database."""
    path, made = new_home(tmp_path, "postgresql")
    (tmp_path / "software").mkdir()
    with (path / "configuration.properties").open("a") as file:
        file.write(f"softwareDirectory={tmp_path / 'software'}\n")
    write_node_file(path, tmp_path / "b.node", SECRET)
    gui, heartbeat = free_ports(2)
    join(tmp_path / "b", tmp_path / "b.node", SECRET, gui, heartbeat, name="b.example.test")
    with reopened(path, made) as first:
        first.activate("berta")
        yield first, tmp_path / "b"
    drop_database(path)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each reading of computers for the heartbeat path: "all", or the id of one."""
    read: list[str] = []
    registry, entry = ComputersService.registry, ComputersService.entry

    def all_of_them(self: ComputersService) -> Any:
        read.append("all")
        return registry(self)

    def one(self: ComputersService, computer: str) -> Any:
        read.append(computer)
        return entry(self, computer)

    monkeypatch.setattr(ComputersService, "registry", all_of_them)
    monkeypatch.setattr(ComputersService, "entry", one)
    return read


def run(path: Path, then: Callable[[Running], Awaitable[None]], ready: Callable[[Running], None]) -> None:
    """Starts a manager in that home, prepared by `ready`, and stops it after `then`."""

    async def live(home: Home) -> None:
        running = Running(home)
        ready(running)
        try:
            await running.start()
            await then(running)
        finally:
            await running.stop()

    home = open_home(path)
    try:
        asyncio.run(live(home))
    finally:
        home.close()


async def until_known(running: Running, *wanted: tuple[str, str]) -> None:
    """Until these are the computers and their states, as heartbeats are judged by them."""
    async with asyncio.timeout(PATIENCE):
        while {(one.entry.display, one.entry.state) for one in running._registry.by_id.values()} != {*wanted}:
            await asyncio.sleep(0.02)


def test_a_start_reads_all_computers_once(other: tuple[Desk, Path], read: list[str]) -> None:
    first, path = other

    async def then(running: Running) -> None:
        # This comes through the listener: whatever that had to do before is done.
        carla = first.activate("carla").computer
        await until_known(running, ("berta", "active"), ("carla", "active"))
        assert read == ["all", carla]

    run(path, then, lambda running: None)


def test_what_changes_while_a_start_reads_is_not_lost(other: tuple[Desk, Path], read: list[str]) -> None:
    first, path = other
    changed: list[str] = []

    def ready(running: Running) -> None:
        load = running.services.computers.registry

        def and_then_another_changes() -> Any:
            found = tuple(load())
            berta = first.services.computers.list(ROOT)[0].id
            first.services.computers.revoke(ROOT, berta)
            changed.extend((berta, first.activate("carla").computer))
            return found

        running.services.computers.registry = and_then_another_changes  # type: ignore[method-assign]

    async def then(running: Running) -> None:
        await until_known(running, ("berta", "revoked"), ("carla", "active"))
        assert read == ["all", *changed]

    run(path, then, ready)

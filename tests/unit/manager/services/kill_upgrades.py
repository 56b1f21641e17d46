"""A process that kills an upgrade at its steps, starts the manager's services again, and looks what came of it.

Arguments: ``up`` or ``halt`` (what the fleet does), and how many steps lie between two kills.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.homes import ROOT, new_home, reopened
from tests.support.upgrade_world import GOES_BACK, Host, World
from tests.unit.manager.killed import at_every_step

from plimsoll.manager.home import InitResult
from plimsoll.manager.store import commands as command_table
from plimsoll.manager.store import upgrades
from plimsoll.messages import Kind

WATCHED = {
    "plimsoll.manager.services.upgrades": frozenset({"start", "resume", "back"}),
    "plimsoll.manager.services.upgrade_start": frozenset({"start", "_write"}),
    "plimsoll.manager.services.upgrade_steps": frozenset({"_order", "_send", "_next", "_halt", "_wait", "recall"}),
    "plimsoll.manager.services.upgrade_reports": frozenset({"take_report", "take_end"}),
}


def main() -> int:
    halting, stride = sys.argv[1] == "halt", int(sys.argv[2])
    folder = Path(tempfile.mkdtemp(prefix="upgrades-"))
    template, made = new_home(folder)
    with reopened(template, made) as at:
        world = World(at)
        world.publish()
        world.join("r1", kind=Kind.RELAY)
        world.join("a", "b")

    def fresh(step: int) -> Path:
        home = folder / str(step) / "home"
        shutil.copytree(template, home)
        return home

    def go(home: Path) -> None:
        with a_manager(home, made, halting) as world:
            world.start(wave="100%", soak=2.0)
            carry_on(world)

    def check(home: Path, finished: bool) -> None:
        with a_manager(home, made, halting) as world:
            if not world.services.upgrades.list(ROOT):
                assert not finished
                assert {world.record(name).version for name in world.hosts} == {"11.9.0"}
                return
            carry_on(world)
            (end,) = world.services.upgrades.list(ROOT)
            versions = {name: world.record(name).version for name in world.hosts}
            assert versions == {"r1": "12.0.0", "a": "11.9.0" if halting else "12.0.0", "b": "12.0.0"}, end
            expected = "done: 2 of 3 upgraded, 1 back" if halting else "done: all 3 upgraded"
            assert (end.state, end.text) == ("done", expected), end
            waiting = world.at.home.store.read(command_table.waiting)
            assert [one for one in waiting if one.kind == "upgrade"] == [], "an order outlived its upgrade"

    kills = at_every_step(WATCHED, fresh, go, check, stride)
    shutil.rmtree(folder)
    return kills


@contextlib.contextmanager
def a_manager(home: Path, made: InitResult, halting: bool) -> Iterator[World]:
    """With the computers that the store knows, each as far as it was."""
    with reopened(home, made) as at:
        world = World(at)
        for view in world.services.computers.list(ROOT):
            host = Host(view.id, view.hostname, view.kind, view.version)
            if halting and host.name == "a":
                host.script = GOES_BACK
            world.hosts[host.name] = host
        world.beat()
        yield world


def carry_on(world: World) -> None:
    """The fleet lives until the upgrade is over; somebody resumes where it halts."""
    for _ in range(200):
        found = world.at.home.store.read(upgrades.under_way)
        if found is None:
            return
        if found.state == "halted":
            world.services.upgrades.resume(ROOT, found.id)
        world.run(1)
    raise AssertionError(f"it does not end: {world.upgrade()}")


if __name__ == "__main__":
    print(main())  # noqa: T201 - how often it killed, for the test

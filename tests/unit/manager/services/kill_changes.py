"""A process that kills a staged change at its steps, starts the manager's services again, and looks what came of it.

Arguments: ``up`` or ``breach`` (what the fleet does), how many steps lie between two kills, and in which database.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.change_world import World
from tests.support.homes import ROOT, copy_home, drop_database, new_home, reopened
from tests.unit.manager.killed import at_every_step

from plimsoll.manager.home import InitResult
from plimsoll.manager.services.changes import StartRequest
from plimsoll.manager.services.policies import PolicyValues
from plimsoll.manager.store import rules
from plimsoll.messages import Kind
from plimsoll.tls.versions import Version

WATCHED = {
    "plimsoll.manager.services.change_start": frozenset({"start"}),
    "plimsoll.manager.services.change_steps": frozenset({"_next", "_begin", "_halt", "take_back", "_prove", "_wait"}),
    "plimsoll.manager.services.change_effects": frozenset({"enter", "take_back", "end", "note_floors"}),
    "plimsoll.manager.services.floors": frozenset({"move", "_commit", "_write_file"}),
    "plimsoll.manager.store.engine": frozenset({"write"}),
    "plimsoll.manager.config": frozenset({"write_protocols"}),
}


def main() -> int:
    breach, stride, kind = sys.argv[1] == "breach", int(sys.argv[2]), sys.argv[3]
    folder = Path(tempfile.mkdtemp(prefix="changes-"))
    template, made = new_home(folder, kind)
    with reopened(template, made) as at:
        world = World(at)
        world.services.policies.update(ROOT, 1, PolicyValues(heartbeat_seconds=1))
        world.services.floors.set_minimum(ROOT, "TLSv1")
        world.join("c0")
        world.join("c1")
        world.join("r1", kind=Kind.RELAY)
        if breach:
            world.join("old", Version.TLS1_0, "9.6.2")

    def fresh(step: int) -> Path:
        home = folder / str(step) / "home"
        copy_home(template, home)
        return home

    def go(home: Path) -> None:
        with a_manager(home, made) as world:
            world.services.changes.start(
                ROOT, StartRequest("TLSv1.2", soak=1.0, canary="1", force=breach, reason="a walk" if breach else None)
            )
            carry_on(world)

    def check(home: Path, finished: bool) -> None:
        look(home, finished)
        drop_database(home)

    def look(home: Path, finished: bool) -> None:
        with a_manager(home, made) as world:
            found = world.services.changes.list(ROOT)
            floors = world.floors()
            published = {point.value: floor.value for point, floor in world.at.published[-1].floors.items()}
            assert published == floors, "the gates begin with what is stored"
            assert world.services.floors.show(ROOT).drift is None, "a crash was taken for a hand edit"
            if not found:
                assert set(floors.values()) == {"TLSv1"}
                assert not finished
                return
            carry_on(world)
            (end,) = world.services.changes.list(ROOT)
            assert end.state == ("taken back" if breach else "done"), end
            assert set(world.floors().values()) == ({"TLSv1"} if breach else {"TLSv1.2"}), end
            assert world.at.home.store.read(rules.in_force) == ()
            assert {view.shadow for view in world.services.shadow.show(ROOT)} == {None}
            assert world.services.floors.show(ROOT).drift is None

    kills = at_every_step(WATCHED, fresh, go, check, stride)
    shutil.rmtree(folder)
    return kills


@contextlib.contextmanager
def a_manager(home: Path, made: InitResult) -> Iterator[World]:
    with reopened(home, made) as at:
        world = World(at)
        world.adopt()
        yield world


def carry_on(world: World) -> None:
    """The fleet lives until the change is over. Relays take home what is sent to them."""
    for _ in range(120):
        if not world.services.changes.tick():
            return
        effects = world.effects()
        if effects is not None and effects.get("sent"):
            world.relay_takes_home("r1")
        world.run(1)
    raise AssertionError(f"it does not end: {world.change()}")


if __name__ == "__main__":
    print(main())  # noqa: T201 - how often it killed, for the test

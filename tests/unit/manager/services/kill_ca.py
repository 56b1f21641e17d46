"""A process that kills a rotation of the CA at its steps, starts the manager's services again, and looks what is left.

Arguments: ``on`` (to the new CA) or ``back``, and how many steps lie between two kills.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.ca_world import CaWorld
from tests.support.homes import ROOT, new_home, reopened
from tests.unit.manager.killed import at_every_step

from plimsoll.manager.home import InitResult
from plimsoll.net.identity import certificate_fingerprints

WATCHED = {
    "plimsoll.manager.services.ca": frozenset({"rotate", "switch", "retire", "back"}),
    "plimsoll.manager.services.ca_steps": frozenset({"enter", "end", "switch", "withdraw"}),
    "plimsoll.manager.services.ca_watch": frozenset({"_ask", "_wait"}),
    "plimsoll.manager.services.ca_settling": frozenset({"settle"}),
    "plimsoll.manager.ca_keyring": frozenset({"make", "settle", "_put_away"}),
    "plimsoll.manager.ca": frozenset({"ensure_serving", "issue_manager"}),
}


def main() -> int:
    back, stride = sys.argv[1] == "back", int(sys.argv[2])
    folder = Path(tempfile.mkdtemp(prefix="ca-"))
    template, made = new_home(folder)
    with reopened(template, made) as at:
        CaWorld(at).join("a", "b")
        old = at.home.keys.first.fingerprint

    def fresh(step: int) -> Path:
        home = folder / str(step) / "home"
        shutil.copytree(template, home)
        return home

    def go(home: Path) -> None:
        with a_manager(home, made) as world:
            world.rotate(soak=0.0)
            carry_on(world, back)

    def check(home: Path, finished: bool) -> None:
        with a_manager(home, made) as world:
            if world.services.ca.show(ROOT).rotation is None:
                assert not finished
                assert world.services.ca.standing().fingerprints == (old,)
                world.rotate(soak=0.0)
            carry_on(world, back)
            end = world.rotation
            assert end.state == ("withdrawn" if back else "retired"), end
            wanted = old if back else end.new
            assert world.services.ca.standing().fingerprints == (wanted,)
            assert certificate_fingerprints(world.at.home.ca_certificate.read_text()) == [wanted]
            assert {one.shown for one in world.services.ca.computers(ROOT)} == {wanted}
            keys = [path.name for path in (home / "ca").iterdir() if path.name != "ca.pem"]
            assert keys == (["ca.key"] if back else [f"ca-{wanted[:16]}.pem"]), keys
        with a_manager(home, made) as world:
            assert world.services.ca.standing().issuing.fingerprint == wanted

    kills = at_every_step(WATCHED, fresh, go, check, stride)
    shutil.rmtree(folder)
    return kills


@contextlib.contextmanager
def a_manager(home: Path, made: InitResult) -> Iterator[CaWorld]:
    """With the computers that the store knows, each as far as it was."""
    with reopened(home, made) as at:
        world = CaWorld(at)
        for view in world.services.computers.list(ROOT):
            world.know(view.hostname, view.id)
        world.beat()
        yield world


def carry_on(world: CaWorld, back: bool) -> None:
    """The fleet lives on; a person retires the old CA once nobody needs it, or goes back after the switch."""
    for number in range(60):
        now = world.rotation
        if now.state in ("retired", "withdrawn"):
            return
        if now.state == "switch" and set(now.stands) == {"ready"}:
            (world.services.ca.back if back else world.services.ca.retire)(ROOT)
        # Whose answer was lost is asked once more after a while.
        world.run(*((1,) if number < 30 else (100, 100)))
    raise AssertionError(f"it does not end: {world.rotation}")


if __name__ == "__main__":
    print(main())  # noqa: T201 - how often it killed, for the test

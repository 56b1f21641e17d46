"""A process that kills floor changes at every step, opens the home again, and looks that no floor is half changed."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.support.homes import ROOT, new_home, reopened
from tests.unit.manager.killed import at_every_step

from plimsoll.manager import config

WATCHED = {
    "plimsoll.manager.services.floors": frozenset({"set", "_commit", "_write_file"}),
    "plimsoll.manager.services.floor_state": frozenset({"store", "remember_protocols"}),
    "plimsoll.manager.services.core": frozenset({"_tell"}),
    "plimsoll.manager.store.engine": frozenset({"write"}),
    "plimsoll.manager.config": frozenset({"write_protocols", "write_atomically", "sync_directory"}),
}


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="floors-"))
    template, made = new_home(folder)

    def fresh(step: int) -> Path:
        home = folder / str(step) / "home"
        shutil.copytree(template, home)
        return home

    def lower(home: Path) -> None:
        with reopened(home, made) as desk:
            desk.services.floors.set_minimum(ROOT, "TLSv1")

    def check(home: Path, finished: bool) -> None:
        with reopened(home, made) as desk:
            floors = {view.floor.value for view in desk.services.floors.show(ROOT).floors}
            entries = [entry.cause for entry in desk.services.floors.history(ROOT)]
            assert floors in ({"TLSv1"}, {"TLSv1.2"}), floors
            assert not finished or floors == {"TLSv1"}
            assert entries.count("set") == (4 if floors == {"TLSv1"} else 0), entries
            assert "edit" not in entries, "a crash was taken for a hand edit"
            assert desk.services.floors.show(ROOT).drift is None
            assert {v.value for v in desk.published[-1].floors.values()} == floors
            wanted = "TLSv1,TLSv1.1,TLSv1.2,TLSv1.3" if floors == {"TLSv1"} else None
            assert config.load(home / "configuration.properties").protocols == wanted

    return at_every_step(WATCHED, fresh, lower, check)


if __name__ == "__main__":
    print(main())  # noqa: T201 - how often it killed, for the test

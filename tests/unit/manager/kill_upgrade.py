"""A process that kills upgrades of one old home at every n-th step, runs each again, and compares the floors."""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from pathlib import Path

from tests.support.homes import drop_database, old_home
from tests.unit.manager.killed import at_every_step

from plimsoll.manager.upgrade import upgrade_home

WATCHED = {
    "plimsoll.manager.upgrade": frozenset(
        {
            "_upgrade_in_place",
            "keep_settings",
            "fold_log",
            "copy_database",
            "bring_up",
            "pin",
            "keep_backup",
            "swap",
            "_finish",
            "_result",
        }
    ),
    "plimsoll.manager.config": frozenset({"write_protocols", "write_atomically", "sync_directory"}),
}


def main(name: str, expected: dict[str, str], stride: int, kind: str = "sqlite") -> int:
    folder = Path(tempfile.mkdtemp(prefix="upgrade-"))

    def fresh(step: int) -> Path:
        place = folder / str(step)
        place.mkdir()
        return old_home(name, place, kind)

    def check(home: Path, finished: bool) -> None:
        if kind == "sqlite":
            with sqlite3.connect(home / "plimsoll.db") as connection:
                whole = connection.execute("pragma integrity_check").fetchone()[0]
            connection.close()
            assert whole == "ok", whole
        result = upgrade_home(home)
        assert result.already or not finished
        assert {point: floor.value for point, floor in result.floors.items()} == expected, result
        assert not list(home.glob("*.upgrade*")), "a copy was left behind"
        drop_database(home)

    return at_every_step(WATCHED, fresh, upgrade_home, check, stride)


if __name__ == "__main__":
    print(main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))  # noqa: T201 - how often it killed, for the test

"""A process that kills imports at every step, opens the home again, and looks that a package is whole or not there."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.support.homes import ROOT, new_home, reopened
from tests.support.releases import Publisher
from tests.unit.manager.killed import at_every_step

CONTENT = bytes(range(256)) * 8192
WATCHED = {
    "plimsoll.manager.services.software": frozenset({"begin", "_keep", "_receive"}),
    "plimsoll.manager.software.depot": frozenset({"receive", "write", "finish"}),
    "plimsoll.manager.services.core": frozenset({"_tell"}),
    "plimsoll.manager.store.engine": frozenset({"write"}),
    "plimsoll.manager.config": frozenset({"sync_directory"}),
}


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="import-"))
    template, made = new_home(folder)
    publisher = Publisher()
    with reopened(template, made) as desk:
        publisher.trusted_by(desk.services)

    def fresh(step: int) -> Path:
        home = folder / str(step) / "home"
        shutil.copytree(template, home)
        return home

    def take(home: Path) -> None:
        with reopened(home, made) as desk:
            publisher.import_into(desk.services, CONTENT)

    def check(home: Path, finished: bool) -> None:
        with reopened(home, made) as desk:
            desk.services.software.tidy()
            found = desk.services.software.list(ROOT)
            files = [path for path in (home / "software").rglob("*") if path.is_file()]
            assert len(found) <= 1
            assert not finished or found
            if found:
                assert desk.services.software.path(ROOT, found[0].id).read_bytes() == CONTENT
                assert [path.name for path in files if path.parent.name == "files"] == [found[0].sha256]
            else:
                assert not [path for path in files if path.parent.name in ("files", "incoming")], files
            entries = [one.action for one in desk.services.access.audit(ROOT)]
            assert entries.count("software.import") == len(found)

    killed = at_every_step(WATCHED, fresh, take, check)
    shutil.rmtree(folder)
    return killed


if __name__ == "__main__":
    print(main())  # noqa: T201 - how often it killed, for the test

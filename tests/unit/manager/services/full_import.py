"""A process that imports a package while its disk fills up; it says where it is, and goes on when it is told to."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.homes import ROOT, new_home, reopened
from tests.support.releases import Publisher

from plimsoll.manager.ports import ServiceError
from plimsoll.manager.services.software import SoftwareService
from plimsoll.manager.software.depot import Depot

CONTENT = bytes(8 << 20)


def step(said: str) -> None:
    print(said, flush=True)  # noqa: T201 - the test reads it
    sys.stdin.readline()


def main(place: Path) -> None:
    home, made = new_home(place)
    with reopened(home, made) as desk:
        publisher = Publisher().trusted_by(desk.services)
        service = SoftwareService(desk.services.software._core, Depot(home / "software", reserve=0))
        coming = service.begin(ROOT, publisher.sign(CONTENT))
        coming.write(CONTENT[: 4 << 20])
        step("half")
        try:
            coming.write(CONTENT[4 << 20 :])
            coming.finish()
            step("imported all the same")
        except ServiceError as error:
            assert "nothing was kept" in error.message
            left = [path for name in ("files", "incoming") for path in (home / "software" / name).iterdir()]
            step(f"refused, left: {len(left)}")
        coming = service.begin(ROOT, publisher.sign(CONTENT))
        coming.write(CONTENT)
        coming.finish()
        step("imported")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

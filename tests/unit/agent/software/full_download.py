"""A process that downloads a package onto a disk that fills up; it says where it is, and goes on when it is told to."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from tests.support.homes import desk
from tests.support.sources import Reply
from tests.unit.agent.software.conftest import CONTENT, Yard
from tests.unit.agent.software.test_hostile import HEAD, package

from plimsoll.agent.software import child, incoming
from plimsoll.agent.software.fetching import SoftwareError


def step(said: str) -> None:
    print(said, flush=True)  # noqa: T201 - the test reads it
    sys.stdin.readline()


def main(place: Path) -> None:
    incoming.RESERVE = 0
    child._say = lambda answer: None
    place.mkdir()
    with tempfile.TemporaryDirectory() as elsewhere, desk(Path(elsewhere)) as opened:
        opened.services.software_metadata.tend()
        yard = Yard(place, opened)
        half, full = threading.Event(), threading.Event()

        def slowly(reply: Reply, _: object) -> Reply:
            def send(sock: object) -> None:
                write: Callable[[bytes], None] = sock.sendall  # type: ignore[attr-defined]
                write(HEAD % len(CONTENT) + CONTENT[:200_000])
                half.set()
                full.wait(20)
                write(CONTENT[200_000:])

            return Reply(raw=send)

        results: list[str] = []

        def fetch() -> None:
            try:
                yard.fetch(timeout=30.0)
                results.append("fetched all the same")
            except SoftwareError as error:
                left = [*yard.installed, *yard.shelf.incoming.iterdir()]
                results.append(f"{error.number}, left: {len(left)}")

        with yard.source(package(slowly)) as relay:
            yard.use(relay)
            worker = threading.Thread(target=fetch)
            worker.start()
            assert half.wait(20)
            step("half")
            full.set()
            worker.join(30)
        step(results[0])
        with yard.source() as relay:
            yard.use(relay)
            yard.fetch(timeout=30.0)
        step("fetched")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

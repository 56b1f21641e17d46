"""What a relay's downloads cost, beside nginx with the same file, certificates and cipher in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import cpu_seconds
from bench.stand import Service, Stand, go, loading

ROUNDS = 5
#: One file, bytes; how often a round sends it to one client after the other.
LARGE, TIMES = 64 << 20, 8
#: What an agent's package has; so many at once ask for it.
PACKAGE, AT_ONCE = 12 << 20, 50
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Sent:
    """Medians: CPU seconds of the server per GiB, and seconds until everybody had everything."""

    cpu: float
    wall: float


@dataclass(frozen=True, slots=True)
class Figures:
    """By kind of load: the relay's and nginx'. `cipher` is what both negotiated."""

    one: tuple[Sent, Sent]
    many: tuple[Sent, Sent]
    cipher: str


def measure(stand: Stand, say: Callable[[str], None]) -> Figures:
    """Needs the stand's manager. Raises RuntimeError where the two did not negotiate the same."""
    relay, files = stand.relay()
    for name, size in (("large", LARGE), ("package", PACKAGE)):
        _fill(files / name, size)
    nginx = stand.nginx(files=files)
    loads: dict[str, dict[str, Any]] = {
        "one": {"name": "large", "size": LARGE, "count": TIMES, "at_once": 1},
        "many": {"name": "package", "size": PACKAGE, "count": 1, "at_once": AT_ONCE},
    }
    found: dict[str, tuple[list[tuple[float, float]], list[tuple[float, float]]]] = {kind: ([], []) for kind in loads}
    ciphers: set[str] = set()
    for number in range(ROUNDS):
        say(f"downloads, round {number + 1} of {ROUNDS}")
        for kind, load in loads.items():
            for server, results in zip((relay, nginx), found[kind], strict=True):
                cpu, wall, cipher = _send(stand, server, load)
                results.append((cpu, wall))
                ciphers.add(cipher)
    nginx.stop()
    relay.stop()
    if len(ciphers) != 1:
        raise RuntimeError(f"the two are not comparable: {' and '.join(sorted(ciphers))} were negotiated")
    one, many = ((_median(ours), _median(theirs)) for ours, theirs in found.values())
    return Figures(one, many, ciphers.pop())


def _send(stand: Stand, server: Service, load: dict[str, Any]) -> tuple[float, float, str]:
    """CPU seconds per GiB, wall seconds, and what was negotiated."""
    task = stand.task("download", server.port, load["count"]) | load
    with loading(task) as process:
        before, began = cpu_seconds(server.pid), time.perf_counter()
        said = go(process)
        wall = time.perf_counter() - began
        used = cpu_seconds(server.pid) - before
    return used * GIB / (load["size"] * load["count"] * load["at_once"]), wall, ", ".join(said["negotiated"])


def _median(results: list[tuple[float, float]]) -> Sent:
    return Sent(statistics.median(cpu for cpu, _ in results), statistics.median(wall for _, wall in results))


def _fill(path: Path, size: int) -> None:
    """Bytes that no layer could shorten, in the page cache of this machine."""
    from random import Random

    piece = Random(size).randbytes(1 << 20)
    with path.open("wb") as file:
        for _ in range(size >> 20):
            file.write(piece)

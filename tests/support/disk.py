"""A disk that is full when a test says so."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: Enough for a home, its write-ahead log and some growth.
_SIZE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Disk:
    """`home` may be used at once. `fill` and `free` take the process that writes there."""

    home: Path
    fill: Callable[[int], None]
    free: Callable[[int], None]
    #: Whether it is a file system of its own.
    mounted: bool


@contextlib.contextmanager
def small_disk(folder: Path, size: int = _SIZE) -> Iterator[Disk]:
    """A small file system of its own where we may mount one, else the kernel's limit on the size of files.

    Both are real failures of write(): ENOSPC there, EFBIG here. `size` in bytes.
    """
    place = folder / "disk"
    place.mkdir()
    mounted = os.geteuid() == 0 and _call("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    try:
        yield _filled(place) if mounted else _limited(place)
    finally:
        if mounted:
            _call("umount", "--lazy", str(place))


def _call(*command: str) -> bool:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def _filled(place: Path) -> Disk:
    filler = place / "filler"

    def fill(_: int) -> None:
        with filler.open("ab", buffering=0) as stream, contextlib.suppress(OSError):
            while stream.write(bytes(4096)):
                pass

    return Disk(place / "home", fill, lambda _: filler.unlink(missing_ok=True), mounted=True)


def _limited(place: Path) -> Disk:
    def limit(process: int, size: int) -> None:
        hard = resource.prlimit(process, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process, resource.RLIMIT_FSIZE, (size, hard))

    return Disk(
        place / "home",
        lambda process: limit(process, 0),
        lambda process: limit(process, resource.RLIM_INFINITY),
        mounted=False,
    )

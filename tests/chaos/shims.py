"""Small libraries in front of libc's, for one process: a disk that takes its time, and a wall clock that is moved.

Not libfaketime: with Debian 12's (0.9.10), Python's ``time.sleep`` fails with EINVAL after a step of the clock.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Shim:
    """`surroundings` are for the process. What is set is in force within a tenth of a second."""

    library: Path
    told: Path
    variable: str

    @property
    def surroundings(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), self.variable: str(self.told)}

    def set(self, value: int) -> None:
        """Milliseconds that each fsync takes longer; or seconds that the wall clock is ahead."""
        # In one piece: the process may look at any time. A new file would lose who may read it.
        new = self.told.with_suffix(".new")
        new.write_text(f"{value}\n")
        new.chmod(0o644)
        new.replace(self.told)


def slow_disk(folder: Path) -> Shim | None:
    """Compiled into that folder, which the process must be able to read. None where there is no compiler."""
    return _compiled("slow_disk", folder, "CHAOS_FSYNC")


def moved_clock(folder: Path) -> Shim | None:
    """The same for the clock."""
    return _compiled("clock", folder, "CHAOS_CLOCK")


def needs(made: Shim | None) -> Shim:
    """Skips the test, with the reason, where there is none."""
    if made is None:
        pytest.skip("there is no C compiler for a library in front of libc's")
    return made


def _compiled(name: str, folder: Path, variable: str) -> Shim | None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    made = Shim(folder / f"{name}.so", folder / f"{name}.value", variable)
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", str(made.library), str(_HERE / f"{name}.c"), "-ldl"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made.set(0)
    return made

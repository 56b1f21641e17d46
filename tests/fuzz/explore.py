"""`make fuzz`: the readers driven by coverage (atheris), each for a bounded time; a finding is kept as a file.

``python -m tests.fuzz.explore`` runs all of them one after the other, each in a process of its own, which
atheris takes over.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 60


def run_all(seconds: int, names: list[str], keep: Path) -> int:
    """Each reader in a process of its own. 0: nothing was found."""
    from tests.fuzz.readers import READERS, seeds

    failed = []
    for name in names or list(READERS):
        with tempfile.TemporaryDirectory() as folder:
            for number, seed in enumerate(seeds(name)):
                (Path(folder) / str(number)).write_bytes(seed)
            keep.mkdir(parents=True, exist_ok=True)
            start = time.monotonic()
            command = [sys.executable, "-m", "tests.fuzz.explore", "--one", name, folder]
            command += [
                f"-max_total_time={seconds}",
                "-max_len=4096",
                f"-artifact_prefix={keep}/{name}-",
                "-timeout=10",
            ]
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=seconds + 120)
        runs = next((line for line in reversed(done.stderr.splitlines()) if line.startswith("Done ")), "")
        print(f"{name}: {runs or 'FOUND SOMETHING'} ({time.monotonic() - start:.0f} s)", flush=True)
        if done.returncode:
            failed.append(name)
            print(done.stderr[-3000:])
    print(f"{len(failed)} of {len(names or READERS)} readers let something out" + (f": {failed}" if failed else ""))
    return 1 if failed else 0


def run_one(name: str, arguments: list[str]) -> None:
    """Hand the process to atheris."""
    import atheris

    with atheris.instrument_imports(include=["plimsoll"]):
        from tests.fuzz.readers import READERS
    atheris.Setup([sys.argv[0], *arguments], READERS[name])
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.explore", description=__doc__)
    parser.add_argument("names", nargs="*", help="readers; all without a name")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("FUZZ_SECONDS", SECONDS)))
    parser.add_argument("--keep", type=Path, default=Path(".fuzz"), help="where inputs that broke a reader are kept")
    given, rest = parser.parse_known_args()
    if given.one:
        run_one(given.one, [*given.names, *rest])
    return run_all(given.seconds, given.names, given.keep)


if __name__ == "__main__":
    sys.exit(main())

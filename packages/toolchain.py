"""A C compiler whose programs run on any Linux with the glibc that we promise, whatever this machine's is."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from pathlib import Path

from packages.cache import PackagesError

#: RHEL 8's glibc; Ubuntu 20.04 has 2.31, SLES 15 2.31, Debian 11 2.31.
GLIBC = (2, 28)

#: One architecture so far. Another is a second triple here and a second set of wheels.
MACHINE = "x86_64"

#: No built-in check of the compiler's own for undefined behaviour, no debugging information, and the usual guards.
C_FLAGS = "-O2 -fPIC -fvisibility=hidden -fstack-protector-strong -D_FORTIFY_SOURCE=2 -w"


def zig() -> Path:
    """The compiler's program. Raises PackagesError where the pinned packages are not installed."""
    found = importlib.util.find_spec("ziglang")
    if found is None or found.origin is None:
        raise PackagesError("the compiler is missing: `make packages` installs requirements/packages.txt first")
    return Path(found.origin).parent / "zig"


def version() -> str:
    """The compiler's release."""
    return importlib.metadata.version("ziglang")


def install(work: Path) -> dict[str, str]:
    """Puts `zigcc`, `zigar` and `zigranlib` into `work`/bin and returns an environment that finds them.

    The scripts are called by their bare names, and leave `work` out of what is compiled, so that the same sources give
    the same bytes wherever they are built.
    """
    folder = work / "bin"
    folder.mkdir(parents=True)
    target = f"{MACHINE}-linux-gnu.{GLIBC[0]}.{GLIBC[1]}"
    commands = {
        "zigcc": f'cc -target {target} -ffile-prefix-map={work}=. "$@"',
        "zigar": 'ar "$@"',
        "zigranlib": 'ranlib "$@"',
    }
    for name, arguments in commands.items():
        script = folder / name
        script.write_text(f"#!/bin/sh\nexec {zig()} {arguments}\n")
        script.chmod(0o755)
    kept = {"PATH": f"{folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    return {
        **kept,
        "HOME": os.environ.get("HOME", str(work)),
        "ZIG_GLOBAL_CACHE_DIR": str(work / "zig"),
        "ZIG_LOCAL_CACHE_DIR": str(work / "zig"),
        "CC": "zigcc",
        "AR": "zigar",
        "RANLIB": "zigranlib",
    }

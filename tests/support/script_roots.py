"""Roots of their own for scripts that install software: this machine's userland, copied on write, in a chroot.

A root is an overlay over ``/`` in a mount namespace that ends with each command: what is installed there, dpkg's and
rpm's databases too, lies in a folder of the test and touches nothing else. The network is this machine's, so that a
manager on loopback is reached. Needs root and overlayfs.
"""

from __future__ import annotations

import functools
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.process import PATIENCE, REPOSITORY

_ENTER = """
set -e
mount -t overlay overlay -o "lowerdir=/,upperdir=$1,workdir=$2" "$3"
mount --rbind /proc "$3/proc"
mount --rbind /dev "$3/dev"
mount -t tmpfs tmpfs "$3/run"
root=$3
shift 3
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    shift
done
shift
exec chroot "$root" "$@"
"""


@functools.cache
def usable() -> str:
    """Why no root can be made here, empty where one can."""
    if os.geteuid() != 0:
        return "only root can make a root of its own"
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True)
    if probe.returncode != 0 or "overlay" not in Path("/proc/filesystems").read_text():
        return "this machine has no mount namespaces, or no overlayfs"
    return ""


class Root:
    """One root. Files written through `write` are there before the first command."""

    def __init__(self, folder: Path) -> None:
        if why := usable():
            pytest.skip(why)
        self._upper, self._work, self._merged = (folder / name for name in ("upper", "work", "merged"))
        for path in (folder, self._upper, self._work, self._merged):
            path.mkdir(parents=True, exist_ok=True)
        # The interpreter and this repository, wherever they lie: the test's own packages start them.
        self._bound = sorted({str(REPOSITORY), sys.prefix, sys.base_prefix})
        # No command may wait for a name server that is not there.
        self.write("/etc/resolv.conf", "")
        self.write("/etc/hosts", "127.0.0.1 localhost\n")

    def remove(self, path: str) -> None:
        """Takes a file of this machine's away, in here: an overlay's sign for that is a device of number 0."""
        self.write(path, "")
        target = self._upper / path.lstrip("/")
        target.unlink()
        os.mknod(target, stat.S_IFCHR, 0)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        target = self._upper / path.lstrip("/")
        for folder in reversed(target.relative_to(self._upper).parents):
            made = self._upper / folder
            if not made.exists():
                made.mkdir()
                # An overlay shows the upper folder's mode, not the lower one's.
                lower = Path("/") / folder
                made.chmod(stat.S_IMODE(lower.stat().st_mode) if lower.exists() else 0o755)
        target.unlink(missing_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def read(self, path: str) -> str:
        """A file that a command left here."""
        return (self._upper / path.lstrip("/")).read_text()

    def has(self, path: str) -> bool:
        return (self._upper / path.lstrip("/")).exists()

    def left_in(self, path: str) -> list[str]:
        """Names that commands left in a folder."""
        folder = self._upper / path.lstrip("/")
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []

    def run(
        self, *command: str | Path, typed: str = "", env: Mapping[str, str] | None = None, timeout: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in there, as root, with an environment of its own."""
        enter = ["unshare", "--mount", "--", "sh", "-c", _ENTER, "enter"]
        places = [str(self._upper), str(self._work), str(self._merged), *self._bound, "--"]
        return subprocess.run(
            [*enter, *places, *map(str, command)],
            input=typed,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", **(env or {})},
        )

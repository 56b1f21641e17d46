"""Roots of their own, with a Debian in them and no Python: what a package meets on a host it was not made on.

A root is made once by debootstrap from this machine's own archive, and kept; a test gets a copy. Commands run in it by
chroot in a mount namespace of their own, on this machine's network.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from packages import cache

#: A clean environment: what this machine's shell says of certificates, proxies or Python means nothing there.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}

#: What systems write for themselves.
_OF_THE_SYSTEM = re.compile(r"/(proc|tmp|run|dev|var/log|var/cache|var/lib/dpkg|var/lib/rpm|opt$|etc/[^/]*-$)")

_ENTER = 'mount -t proc proc /proc && exec "$@"'


class Root:
    """A folder with a system in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def command(self, *words: str | Path) -> list[str | Path]:
        """The command line that runs these words in the root; the process is the command's own."""
        inside = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        enter = ["unshare", "--mount", f"--root={self.path}", "sh", "-c", _ENTER, "sh"]
        return ["env", "-i", *inside, *enter, *words]

    def run(self, *words: str | Path, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Runs a command in the root, which must end with that status (None: any)."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=170)
        told = f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert expect is None or done.returncode == expect, told
        return done

    def put(self, path: Path) -> str:
        """Copies a file into the root's /tmp; returns its name there."""
        shutil.copy2(path, self.path / "tmp")
        return f"/tmp/{path.name}"

    def files(self) -> dict[str, str]:
        """Every file, folder and link of the root, with what it is; what systems write for themselves left out.

        So is /opt itself: dpkg takes it away where nothing else is in it.
        """
        found = {}
        for place, folders, names in os.walk(self.path):
            for name in [*folders, *names]:
                path = Path(place, name)
                inside = f"/{path.relative_to(self.path)}"
                if not re.match(
                    r"/(proc|tmp|run|dev|var/log|var/cache|var/lib/dpkg|var/lib/rpm|opt$|etc/[^/]*-$)", inside
                ):
                    found[inside] = _what(path)
        return found


def _what(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return "folder" if path.is_dir() else f"file of {path.stat().st_size} bytes"


@contextlib.contextmanager
def debian(suite: str, place: Path) -> Iterator[Root]:
    """A copy of a small Debian of that suite; it is removed in the end."""
    if os.geteuid() != 0:
        pytest.skip("only root can make roots of their own")
    subprocess.run(["cp", "-a", "--reflink=auto", _made(suite), place], check=True)
    try:
        yield Root(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _made(suite: str) -> Path:
    template = cache.root() / "roots" / suite
    with cache.alone(f"root-{suite}"):
        if not template.exists():
            cache.say(f"making a root of {suite}")
            with cache.appearing(template) as fresh:
                command: list[str | Path] = ["debootstrap", "--variant=minbase", suite, fresh, _archive()]
                done = subprocess.run(command, capture_output=True, text=True)
                assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
                shutil.rmtree(fresh / "var" / "cache" / "apt", ignore_errors=True)
    return template


def _archive() -> str:
    """The archive of Debian that this machine's apt uses."""
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if path.is_file() and (found := re.search(r"\S+://\S+/debian/?(?=\s)", path.read_text())):
            return found[0]
    raise AssertionError("this machine's apt knows no archive of Debian")

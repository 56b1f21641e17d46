"""The trees of releases on this host, and the files by which agent and launcher understand each other.

See ``launcher.sh``, which explains them. Nothing here is loaded by an agent that was started in another way: such a
host is upgraded by its package.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from plimsoll.agent.files import read_optional, sync_folder, write_atomic

#: The status with which an agent asks its launcher to start it anew.
RESTART = 75

#: The releases that a tree may be named after: 12.1.0, 12.1.0-563. It is a folder's name, so nothing else is taken.
_RELEASE = re.compile(r"\d{1,4}\.\d{1,4}(\.\d{1,9})?([.-]\d{1,9})?", re.ASCII)


def is_release(text: str) -> bool:
    """Whether a tree can have that name."""
    return _RELEASE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Fallback:
    """A trial that failed: `to` was left for `from_`, and why."""

    to: str
    from_: str
    reason: str


@dataclass(frozen=True, slots=True)
class Launched:
    """What the launcher told the agent that it started: its own folder, and which release runs."""

    prefix: Path
    version: str
    launcher: int

    @classmethod
    def found(cls, environment: MutableMapping[str, str]) -> Launched | None:
        """What the environment says, which is then taken out of it; None for an agent that nobody launched."""
        prefix, version, launcher = (environment.pop(f"PLIMSOLL_{name}", "") for name in _TOLD)
        if not prefix or not is_release(version) or not launcher.isdigit():
            return None
        return cls(Path(prefix), version, int(launcher))

    @property
    def alive(self) -> bool:
        """Whether the launcher still waits for us: without it nobody would start us anew."""
        return os.getppid() == self.launcher

    @property
    def versions(self) -> Path:
        return self.prefix / "versions"

    def tree(self, version: str) -> Path:
        if not is_release(version):
            raise ValueError(f"{version!r} is no release that a folder can be named after")
        return self.versions / version

    def interpreter(self, tree: Path) -> Path:
        return tree / "bin" / "python3"

    def kept(self) -> list[str]:
        """The releases here beside the one that runs."""
        try:
            names = sorted(path.name for path in self.versions.iterdir())
        except OSError:
            return []
        return [
            name
            for name in names
            if name != self.version and is_release(name) and self.interpreter(self.versions / name).exists()
        ]

    @property
    def current(self) -> str:
        """Which release a start would take, empty where none."""
        try:
            return (self.prefix / "current").readlink().name
        except OSError:
            return ""

    # On trial

    @property
    def on_trial(self) -> bool:
        """Whether the release that runs has still to prove itself."""
        return self._told("trial").get("to") == self.version

    def begin_trial(self, to: str, seconds: float) -> None:
        """Once this returns, the launcher will watch that release when it starts it."""
        for name in ("trial.starts", "fallback"):
            (self.prefix / name).unlink(missing_ok=True)
        lines = f"to={to}\nfrom={self.version}\nseconds={max(1, round(seconds))}\n"
        write_atomic(self.prefix / "trial", lines.encode())

    def give_up_trial(self) -> None:
        (self.prefix / "trial").unlink(missing_ok=True)
        sync_folder(self.prefix)

    def prove(self) -> bool:
        """The release that runs is good. False where the launcher has decided otherwise an instant before."""
        try:
            (self.prefix / "trial").unlink()
        except FileNotFoundError:
            return False
        (self.prefix / "trial.starts").unlink(missing_ok=True)
        sync_folder(self.prefix)
        return True

    def switch(self, to: str) -> None:
        """The next start takes that release: one rename, so that a power cut leaves the one or the other."""
        link = self.prefix / "current.new"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("versions") / to)
        link.replace(self.prefix / "current")
        sync_folder(self.prefix)

    def fallback(self) -> Fallback | None:
        """The trial that failed, until `forget_fallback`."""
        told = self._told("fallback")
        if "to" not in told:
            return None
        reason = told.get("reason", "it was left before it could say why")
        return Fallback(told["to"], told.get("from", ""), reason)

    def forget_fallback(self) -> None:
        (self.prefix / "fallback").unlink(missing_ok=True)

    # Trees

    def staging(self, version: str) -> Path:
        """A new place where a release is unpacked and tried before it has a name that can be started."""
        self.tree(version)
        return self.versions / f".{version}.{secrets.token_hex(4)}.new"

    def install(self, staged: Path, version: str) -> None:
        """The staged tree gets its name; one of that name that was there goes. Durable when it returns."""
        tree, former = self.tree(version), self.versions / f".{version}.old"
        remove(former)
        if tree.exists():
            tree.rename(former)
        staged.rename(tree)
        sync_folder(self.versions)
        remove(former)

    def clear_staging(self) -> None:
        """Removes what an interrupted upgrade left."""
        for path in (self.prefix / "current.new", *self.prefix.glob(".trial.*.tmp")):
            path.unlink(missing_ok=True)
        for path in self.versions.glob(".*.new"):
            remove(path)
        for path in self.versions.glob(".*.old"):
            # Killed between the two renames of `install`: the former tree gets its name back.
            tree = self.versions / path.name[1 : -len(".old")]
            if is_release(tree.name) and not tree.exists():
                path.rename(tree)
            else:
                remove(path)

    def prune(self, keep: str) -> None:
        """Removes releases other than the one that runs and `keep`. What a package manager owns stays, as it may."""
        for version in self.kept():
            if version not in (keep, self.current):
                remove(self.versions / version)

    def _told(self, name: str) -> dict[str, str]:
        data = read_optional(self.prefix / name)
        lines = [] if data is None else data.decode(errors="replace").splitlines()
        return {key: value for key, _, value in (line.partition("=") for line in lines)}


_TOLD = ("PREFIX", "VERSION", "LAUNCHER")


def remove(tree: Path) -> None:
    """The folder with all in it, as far as it may be removed."""
    import shutil  # only here: it loads archive modules, which a resident agent never needs

    shutil.rmtree(tree, ignore_errors=True)

"""The watched folder: what is put there with its release signature is imported by itself.

Rules of this file: a file is looked at when it has stopped growing; each state of a file is tried once; nothing is
removed from the folder, which is not ours.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from plimsoll.manager.ports import SYSTEM, BadInput, Conflict, ServiceError, internal
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.software import SoftwareService, tell_refused
from plimsoll.manager.services.software_bundles import SoftwareBundleService
from plimsoll.messages import bundle
from plimsoll.messages.release import MAX_TEXT

SUFFIX = ".sig"
#: How long a file without a signature waits for one before it is said, in seconds.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class _State:
    """What of a file and its signature must stay the same between two looks."""

    size: int
    changed: int
    signature: tuple[int, int] | None


class SoftwareFolderService:
    def __init__(self, core: Core, software: SoftwareService, bundles: SoftwareBundleService) -> None:
        self._core = core
        self._software = software
        self._bundles = bundles
        #: The loop looks, and so may a scheduled task.
        self._looking = threading.Lock()
        self._seen: dict[Path, _State] = {}
        self._done: dict[Path, _State] = {}
        self._alone: dict[Path, float] = {}
        self._problem = ""

    @internal
    def look(self) -> int:
        """Imports what is whole and new. How many packages that were; what was refused is told once."""
        with self._looking:
            return self._look()

    def _look(self) -> int:
        setting = self._core.home.config.software_folder
        if not setting:
            return 0
        folder = Path(setting)
        try:
            found = self._states(folder)
        except OSError as error:
            self._trouble(f"softwareFolder={setting} cannot be read: {error.strerror}; nothing is imported from there")
            return 0
        self._problem = ""
        imported = 0
        for path, state in sorted(found.items()):
            if self._done.get(path) == state:
                continue
            if self._seen.get(path) != state:
                continue  # it is new, or still grows: the next look tells
            if state.signature is None:
                self._wait_for_signature(path, state)
                continue
            imported += self._import(path, folder)
            self._done[path] = state
        self._seen = found
        self._done = {path: state for path, state in self._done.items() if path in found}
        self._alone = {path: since for path, since in self._alone.items() if path in found}
        return imported

    def _states(self, folder: Path) -> dict[Path, _State]:
        found: dict[Path, _State] = {}
        for path in folder.iterdir():
            if path.name.startswith(".") or path.suffix == SUFFIX or not path.is_file():
                continue
            about = path.stat()
            beside = _beside(path)
            signature = None
            if path.suffix == bundle.SUFFIX:
                signature = (0, 0)  # a bundle carries its own
            elif beside.is_file():
                said = beside.stat()
                signature = (said.st_size, said.st_mtime_ns)
            found[path] = _State(about.st_size, about.st_mtime_ns, signature)
        return found

    def _import(self, path: Path, folder: Path) -> int:
        """How many packages came in. What the service refuses it tells itself, but for a conflict or our own disk."""
        origin = f"from the folder {folder}"
        try:
            if path.suffix == bundle.SUFFIX:
                with path.open("rb") as file:
                    return sum(one.new for one in self._bundles.take_in(SYSTEM, file, origin=origin))
            with _beside(path).open("rb") as file:
                signature = file.read(MAX_TEXT + 1).decode("ascii", "replace")
            return int(self._software.take(path, signature, origin=origin).new)
        except BadInput:
            return 0
        except Conflict as error:
            tell_refused(self._core, f"{path}: {error.message}")
        except OSError as error:
            tell_refused(self._core, f"{path} cannot be read: {error.strerror}; nothing was kept")
        return 0

    def _wait_for_signature(self, path: Path, state: _State) -> None:
        since = self._alone.setdefault(path, self._core.clock())
        if self._core.clock() - since >= PATIENCE:
            self._done[path] = state
            tell_refused(
                self._core, f"{path} has no release signature beside it ({_beside(path).name}); it is not imported"
            )

    def _trouble(self, why: str) -> None:
        if why != self._problem:
            self._problem = why
            try:
                tell_refused(self._core, why)
            except ServiceError:
                self._problem = ""


def _beside(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)

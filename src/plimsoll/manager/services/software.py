"""The software repository: packages that a trusted release key signed, listed by platform, architecture and version.

Rules of this file: nothing comes in without a release signature that holds, and nothing half; a version is compared by
the fleet's own scheme; what is deleted is no longer offered, and whoever downloads it just now gets the rest.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path

from plimsoll.fleet.capabilities import CapabilityTable, CapabilityTableError
from plimsoll.fleet.component import ComponentVersion, UnknownComponentVersionError
from plimsoll.manager.ports import (
    SYSTEM,
    BadInput,
    Conflict,
    NotFound,
    Permission,
    Principal,
    Unavailable,
    internal,
    permits,
)
from plimsoll.manager.services import events as event_numbers
from plimsoll.manager.services import release_keys
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.hub import SoftwareChanged
from plimsoll.manager.software.depot import Depot, DiskFull, Incoming
from plimsoll.manager.store import Connection
from plimsoll.manager.store import software as table
from plimsoll.manager.store.software import SoftwareRecord
from plimsoll.messages import release
from plimsoll.messages.release import Release, ReleaseError

FOLDER = "software"
#: A package for any Linux, where there is none for the system at hand.
GENERIC = "Linux"
#: How much of a file is read at once, in bytes.
PIECE = 1 << 20
#: A package that is no program but what versions can do (R3), and the most that it may have, in bytes.
PRODUCT_CAPABILITIES = "capabilities"
MAX_CAPABILITIES = 1 << 20


@dataclass(frozen=True, slots=True)
class SoftwareView:
    """One package. `target` is its name in the repository; `held` says whether the file lies on this manager's disk."""

    id: int
    product: str
    version: str
    platform: str
    architecture: str
    file: str
    length: int
    sha256: str
    target: str
    key: str
    signature: str
    imported: float
    who: str
    origin: str
    held: bool = True

    @property
    def component(self) -> ComponentVersion:
        return ComponentVersion.parse(self.version)


@dataclass(frozen=True, slots=True)
class Imported:
    """`new` is False where the same package was here already, and nothing was changed."""

    package: SoftwareView
    new: bool


class Import:
    """A package while it comes: `write` its bytes in order, then `finish`; or `abandon` it, which keeps nothing."""

    def __init__(
        self, service: SoftwareService, principal: Principal, signature: str, said: Release, origin: str
    ) -> None:
        self.release = said
        self._service = service
        self._principal = principal
        self._signature = signature
        self._origin = origin
        self._incoming: Incoming | None = None
        self.known: SoftwareView | None = None

    def _open(self, incoming: Incoming) -> None:
        self._incoming = incoming

    def write(self, data: bytes) -> None:
        """Raises BadInput, DiskFull; nothing was kept then."""
        assert self._incoming is not None
        self._incoming.write(data)

    def finish(self) -> Imported:
        """The package is offered when this returns. Raises BadInput, Conflict, DiskFull, Unavailable."""
        assert self._incoming is not None
        return self._service._keep(self, self._incoming)

    def abandon(self) -> None:
        if self._incoming is not None:
            self._incoming.abandon()


class SoftwareService:
    def __init__(self, core: Core, depot: Depot | None = None) -> None:
        self._core = core
        self._depot = depot or Depot(core.home.software)
        # A file gets its name and its row, or loses both, in one go as seen by others.
        self._shelf = threading.Lock()

    # -- looking

    @permits(Permission.SOFTWARE_READ)
    def list(
        self,
        principal: Principal,
        *,
        product: str | None = None,
        platform: str | None = None,
        architecture: str | None = None,
        version: str | None = None,
    ) -> tuple[SoftwareView, ...]:
        """By product, platform and architecture; of each, the newest version first. Raises BadInput."""
        return self._find(product, platform, architecture, version)

    @permits(Permission.SOFTWARE_READ)
    def get(self, principal: Principal, package: int) -> SoftwareView:
        return self._view(self._record(package))

    @permits(Permission.SOFTWARE_READ)
    def newest(
        self,
        principal: Principal,
        platform: str,
        architecture: str,
        *,
        product: str = "agent",
        version: str | None = None,
        at_most: str | None = None,
    ) -> SoftwareView:
        """The newest for a system, or the one of that version. Raises NotFound, which says what there is."""
        found = self.newest_for(platform, architecture, product=product, version=version, at_most=at_most)
        if found is None:
            there = {f"{one.version} for {one.platform} {one.architecture}" for one in self._find(product, None, None)}
            said = ", ".join(sorted(there)) or "none was imported yet"
            which = f"{product} {version}" if version else product
            raise NotFound(f"there is no {which} for {platform} {architecture}; there is: {said}")
        return found

    @internal
    def newest_for(
        self,
        platform: str,
        architecture: str,
        *,
        product: str = "agent",
        version: str | None = None,
        at_most: str | None = None,
    ) -> SoftwareView | None:
        """A package for that very platform before one for any Linux, the newest version of either."""
        found = [one for one in self._find(product, None, architecture, version) if one.held]
        limit = None if at_most is None else _version(at_most)
        for name in dict.fromkeys((platform, *((GENERIC,) if _is_linux(platform) else ()))):
            fit = [one for one in found if one.platform == name and (limit is None or one.component <= limit)]
            if fit:
                return fit[0]
        return None

    @internal
    def everything(self) -> tuple[SoftwareView, ...]:
        """What is offered: every package whose file is here."""
        return tuple(one for one in self._find(None, None, None) if one.held)

    @permits(Permission.SOFTWARE_READ)
    def path(self, principal: Principal, package: int) -> Path:
        """Where its file lies. Raises NotFound where this manager's disk does not have it."""
        return self._path(self._record(package))

    @internal
    def path_of(self, sha256: str) -> Path | None:
        """The file of that digest, where some package has it."""
        path = self._depot.path(sha256)
        return path if path.is_file() else None

    # -- changing

    @permits(Permission.SOFTWARE_CHANGE)
    def begin(self, principal: Principal, signature: str, *, origin: str = "upload") -> Import:
        """A package is about to come. `signature` is the text beside it. Raises BadInput, Conflict, DiskFull.

        Where the very same package is here already, `known` of the answer says which, and no bytes are needed.
        """

        def work(connection: Connection) -> tuple[Release, SoftwareRecord | None]:
            said = self._trusted(connection, signature)
            return said, table.by_target(connection, said.target)

        try:
            said, there = self._core.store.read(work)
        except BadInput as error:
            self._refused(principal, origin, error.message)
            raise
        made = Import(self, principal, signature, said, origin)
        if there is not None and self._depot.has(there.sha256):
            if there.sha256 != said.sha256:
                raise Conflict(_other(there))
            made.known = self._view(there)
            return made
        made._open(self._receive(said))
        return made

    @permits(Permission.SOFTWARE_CHANGE)
    def check(self, principal: Principal, signature: str) -> SoftwareView | None:
        """Raises what `begin` raises, and keeps nothing; the package itself where it is here already."""
        made = self.begin(principal, signature)
        made.abandon()
        return made.known

    @permits(Permission.SOFTWARE_CHANGE)
    def delete(self, principal: Principal, package: int) -> SoftwareView:
        """It is offered no longer. Raises NotFound."""

        def work(unit: Unit) -> SoftwareRecord:
            there = _get(unit.connection, package)
            table.remove(unit.connection, package)
            said = _said(there)
            unit.audit(principal, "software.delete", said, {"sha256": there.sha256, "file": there.file}, None)
            text = f"{said} ({there.file}) was deleted by {principal.name}"
            unit.event(NewEvent(event_numbers.SOFTWARE_DELETED, "info", text, target=there.target))
            return there

        with self._shelf:
            gone = self._core.write(work)
            if gone.sha256 not in self._core.store.read(table.digests):
                self._depot.remove(gone.sha256)
        self._core.tell(SoftwareChanged())
        return self._view(gone)

    @internal
    def take(self, path: Path, signature: str, *, origin: str, principal: Principal = SYSTEM) -> Imported:
        """Imports a file that lies on this computer. Raises what `begin` and `finish` raise, and OSError."""
        made = self.begin(principal, signature, origin=origin)
        if made.known is not None:
            return Imported(made.known, new=False)
        try:
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    made.write(piece)
            return made.finish()
        finally:
            made.abandon()

    @internal
    def tidy(self) -> int:
        """At start: forgets what a crash left half. How many files that were."""
        with self._shelf:
            return self._depot.tidy(self._core.store.read(table.digests))

    # -- parts of these

    def _trusted(self, connection: Connection, signature: str) -> Release:
        keys = release_keys.in_force(connection)
        if not keys:
            raise BadInput(
                "no release key is trusted yet, so nobody can say that this file is what it claims; nothing was kept."
                " Trust one first: plimsoll software keys trust FILE"
            )
        if not signature.strip():
            raise BadInput(
                "the file has no release signature; nothing was kept. It lies beside the file as FILE.sig, made by"
                " 'plimsoll software sign'"
            )
        try:
            return release.verify(signature, keys)
        except ReleaseError as error:
            raise BadInput(f"{error}; nothing was kept") from None

    def _receive(self, said: Release) -> Incoming:
        try:
            return self._depot.receive(said.sha256, said.length)
        except DiskFull as error:
            full = NewEvent(event_numbers.DISK_FULL, "error", f"{said}: {error.message}")
            self._core.write(lambda unit: unit.event(full))
            raise

    def _keep(self, made: Import, incoming: Incoming) -> Imported:
        said, principal = made.release, made._principal

        def work(unit: Unit) -> SoftwareRecord:
            # Keys and packages may have changed while the bytes came.
            self._trusted(unit.connection, made._signature)
            there = table.by_target(unit.connection, said.target)
            if there is not None:
                if there.sha256 != said.sha256:
                    raise Conflict(_other(there))
                return there
            new = SoftwareRecord(
                0, said.product, said.version, said.platform, said.architecture, said.file, said.length, said.sha256,
                said.target, said.key, made._signature, unit.now, principal.who, made._origin,
            )  # fmt: skip
            identifier = table.add(unit.connection, new)
            unit.audit(principal, "software.import", str(said), None, {"file": said.file, "sha256": said.sha256})
            text = f"{said} ({said.file}) was imported, signed by release key {said.key}; {made._origin}"
            unit.event(NewEvent(event_numbers.SOFTWARE_IMPORTED, "info", text, target=said.target))
            return _get(unit.connection, identifier)

        with self._shelf:
            before = self._core.store.read(lambda c: table.by_target(c, said.target))
            try:
                incoming.finish()
                self._usable(said)
            except BadInput as error:
                self._refused(principal, made._origin, f"{said} ({said.file}): {error.message}")
                raise
            try:
                kept = self._core.write(work)
            except BaseException:
                # While the store is down nobody knows whose file it is: the next start tidies.
                with contextlib.suppress(Unavailable):
                    if said.sha256 not in self._core.store.read(table.digests):
                        self._depot.remove(said.sha256)
                raise
        self._core.tell(SoftwareChanged())
        return Imported(self._view(kept), new=before is None)

    def _usable(self, said: Release) -> None:
        """A capability table must be one. Raises BadInput, and the file is gone."""
        if said.product != PRODUCT_CAPABILITIES:
            return
        path = self._depot.path(said.sha256)
        try:
            read_capabilities(path)
        except CapabilityTableError as error:
            if said.sha256 not in self._core.store.read(table.digests):
                self._depot.remove(said.sha256)
            raise BadInput(f"that is no capability table: {error}; nothing was kept") from None

    def _refused(self, principal: Principal, origin: str, why: str) -> None:
        tell_refused(self._core, why, f" ({origin}, by {principal.name})")

    def _find(
        self, product: str | None, platform: str | None, architecture: str | None, version: str | None = None
    ) -> tuple[SoftwareView, ...]:
        wanted = None if version is None else _version(version)
        found = [
            self._view(one)
            for one in self._core.store.read(table.everything)
            if (product is None or one.product == product)
            and (platform is None or one.platform == platform)
            and (architecture is None or one.architecture == architecture)
            and (wanted is None or ComponentVersion.parse(one.version) == wanted)
        ]
        found.sort(key=lambda one: one.component, reverse=True)
        found.sort(key=lambda one: (one.product, one.platform, one.architecture))
        return tuple(found)

    def _record(self, package: int) -> SoftwareRecord:
        return self._core.store.read(lambda c: _get(c, package))

    def _path(self, there: SoftwareRecord) -> Path:
        path = self._depot.path(there.sha256)
        if not path.is_file():
            raise NotFound(f"the file of {_said(there)} is missing on this manager's disk; import it again")
        return path

    def _view(self, one: SoftwareRecord) -> SoftwareView:
        return SoftwareView(
            one.id, one.product, one.version, one.platform, one.architecture, one.file, one.length, one.sha256,
            one.target, one.key, one.signature, one.imported, one.who, one.origin, held=self._depot.has(one.sha256),
        )  # fmt: skip


def tell_refused(core: Core, why: str, whose: str = "") -> None:
    """The event that something did not come in; `whose` says where it came from, and by whom."""
    text = f"Software was refused{whose}: {why}"
    core.write(lambda unit: unit.event(NewEvent(event_numbers.SOFTWARE_REFUSED, "warning", text)))


def read_capabilities(path: Path) -> CapabilityTable:
    """The table of a package of `PRODUCT_CAPABILITIES`. Raises CapabilityTableError, OSError."""
    if path.stat().st_size > MAX_CAPABILITIES:
        raise CapabilityTableError(f"it is longer than {MAX_CAPABILITIES} bytes")
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CapabilityTableError(str(error)) from error
    return CapabilityTable.parse(text, text)


def _get(connection: Connection, package: int) -> SoftwareRecord:
    there = table.get(connection, package)
    if there is None:
        raise NotFound(f"there is no software package {package}; nothing was changed. The list shows their numbers")
    return there


def _said(one: SoftwareRecord) -> str:
    return f"{one.product} {one.version} for {one.platform} {one.architecture}"


def _other(there: SoftwareRecord) -> str:
    return (
        f"{_said(there)} is here already as {there.file} with another content (package {there.id}); nothing was kept."
        " Give the new one a version of its own, or delete the old one first"
    )


def _version(text: str) -> ComponentVersion:
    try:
        return ComponentVersion.parse(text)
    except UnknownComponentVersionError as error:
        raise BadInput(str(error)) from None


def _is_linux(platform: str) -> bool:
    return platform.split("_")[0] not in ("Windows", "Solaris", "AIX", "macOS")

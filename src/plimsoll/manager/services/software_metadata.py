"""What is offered, signed: the repository's metadata follows the packages, and is signed anew before it expires."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.manager.ports import BadInput, Permission, Principal, ServiceError, internal, permits
from plimsoll.manager.services import events as event_numbers
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.hub import Change, SoftwareChanged
from plimsoll.manager.services.software import SoftwareService, SoftwareView
from plimsoll.manager.software import repository, roots
from plimsoll.manager.software.keys import ONLINE, TARGETS, SigningKeys, credential
from plimsoll.manager.software.repository import Offer, Repository, RoleView
from plimsoll.manager.software.roots import RootChange, RootView
from plimsoll.messages import release
from plimsoll.messages.release import ReleaseError

if TYPE_CHECKING:
    from plimsoll.manager.services.core import Unit

log = logging.getLogger(__name__)

#: The keys that can be made anew by name.
ROTATED = (TARGETS, ONLINE)


@dataclass(frozen=True, slots=True)
class MetadataView:
    """`problem` says why the metadata could not be signed last time; empty where it could."""

    roles: tuple[RoleView, ...]
    packages: int
    problem: str


class SoftwareMetadataService:
    def __init__(self, core: Core, software: SoftwareService) -> None:
        self._core = core
        self._software = software
        folder = core.home.software
        self._keys = SigningKeys(folder / "keys", self._passphrase)
        self._repository = Repository(folder / "metadata", self._keys, core.clock)
        self._signing = threading.Lock()
        #: Whether this manager is the one that signs: several that share a store share the repository too.
        self.signs: Callable[[], bool] = lambda: True
        self._problem = ""
        self._warned = 0
        core.hub.subscribe(self._heard)

    # -- looking

    @permits(Permission.SOFTWARE_READ)
    def show(self, principal: Principal) -> MetadataView:
        """The roles, their versions and ends, and whether this manager can sign for them."""
        self._begin()
        return MetadataView(self._repository.roles(), len(self._software.everything()), self._problem)

    @permits(Permission.SOFTWARE_READ)
    def root_text(self, principal: Principal) -> bytes:
        """The root in force: what another site is told to trust."""
        self._begin()
        return self._repository.root_bytes()

    # -- root

    @permits(Permission.SOFTWARE_TRUST)
    def next_root(
        self,
        principal: Principal,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        threshold: int | None = None,
        days: int = roots.ROOT_DAYS,
        rotate: Sequence[str] = (),
    ) -> tuple[bytes, RootView]:
        """The next root to be signed: `add` are public keys in PEM, `remove` ids, `rotate` some of `ROTATED`."""
        unknown = [name for name in rotate if name not in ROTATED]
        if unknown:
            raise BadInput(f"unknown key {unknown[0]!r}; valid are {', '.join(ROTATED)}. Nothing was changed")
        try:
            keys = [release.load_public(pem.encode()) for pem in add]
        except ReleaseError as error:
            raise BadInput(f"{error}; nothing was changed") from None
        self._begin()
        change = RootChange(add=keys, remove=remove, threshold=threshold, days=days)
        data = self._repository.next_root(change, tuple(dict.fromkeys(rotate)))
        root = roots.read(data)
        view = roots.view(root, self._repository.root())
        self._core.write(lambda unit: unit.audit(principal, "software.root.export", f"root {view.version}"))
        return data, view

    @permits(Permission.SOFTWARE_TRUST)
    def take_root(self, principal: Principal, data: bytes) -> RootView:
        """A root that was signed by enough keys is in force, and everything is signed anew, when this returns."""
        self._begin()
        before = roots.view(self._repository.root())
        view = roots.view(self._repository.take_root(data))

        def record(unit: Unit) -> None:
            unit.audit(principal, "software.root.import", f"root {view.version}", dict(before.keys), dict(view.keys))
            text = f"Root {view.version} of the software repository is in force, by {principal.name}."
            unit.event(NewEvent(event_numbers.SOFTWARE_ROOT_CHANGED, "warning", text))

        self._core.write(record)
        # Whoever holds a copy hears of it, this service first: everything is signed anew.
        self._core.tell(SoftwareChanged())
        return view

    # -- what the manager does by itself

    @internal
    def tend(self) -> bool:
        """Signs what changed and what expires soon; what is in the way is said once. Whether all is signed."""
        if not self.signs():
            return True
        with self._signing:
            try:
                self._begin()
                self._repository.settle()
                self._repository.renew_root()
                if self._repository.publish(_offers(self._software.everything())):
                    log.info("the software repository's metadata is signed anew")
            except ServiceError as error:
                self._cannot(error.message)
                return False
            self._problem = ""
            self._warn_of_root()
            return True

    @internal
    def root(self) -> bytes:
        """The root in force, made where there is none yet: what an agent is given to begin with."""
        self._begin()
        return self._repository.root_bytes()

    @internal
    def root_or_none(self) -> str:
        """The same as text; empty where its key cannot be made just now."""
        try:
            return self.root().decode()
        except ServiceError:
            return ""

    @internal
    def file(self, name: str) -> Path | None:
        """The metadata file of that name, as relays ask for it."""
        if repository.NAME.fullmatch(name) is None:
            return None
        path = self._repository.path(name)
        return path if path.is_file() else None

    # -- parts of these

    def _heard(self, change: Change) -> None:
        if isinstance(change, SoftwareChanged):
            self.tend()

    def _passphrase(self) -> bytes | None:
        """By the setting as it is now: a reload may have changed it."""
        return credential(self._core.home.config.software_credential)

    def _begin(self) -> None:
        if not self._repository.begun:
            self._repository.begin()

    def _cannot(self, why: str) -> None:
        if why != self._problem:
            log.error("the software repository's metadata is not signed: %s", why)
            text = f"The software repository's metadata is not signed: {why}. Agents go on with what was signed before."
            self._core.write(lambda unit: unit.event(NewEvent(event_numbers.METADATA_NOT_SIGNED, "error", text)))
        self._problem = why

    def _warn_of_root(self) -> None:
        """Its key may lie in a safe: it is told while there is time to fetch it."""
        root = self._repository.root().signed
        left = root.expires.timestamp() - self._core.clock()
        if left > repository.ROOT_WARNING * repository.DAY or self._warned == root.version:
            return
        self._warned = root.version
        text = (
            f"Root {root.version} of the software repository expires in {max(0, left / repository.DAY):.0f} days;"
            " after that no agent downloads anything. Sign the next one: plimsoll software root export"
        )
        self._core.write(lambda unit: unit.event(NewEvent(event_numbers.METADATA_NOT_SIGNED, "warning", text)))


def _offers(packages: Sequence[SoftwareView]) -> dict[str, Offer]:
    return {
        one.target: Offer(
            one.target,
            one.length,
            one.sha256,
            {
                "product": one.product,
                "version": one.version,
                "platform": one.platform,
                "architecture": one.architecture,
                "signature": one.signature,
            },
        )
        for one in packages
    }

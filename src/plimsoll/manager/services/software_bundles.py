"""Bundles into the repository: by hand, from the watched folder, or fetched from an upstream address.

Rules of this file: the index must be signed by a key that is trusted, and so must each package; a package comes in
whole or not at all, and those before one that is refused stay, which the refusal says.
"""

from __future__ import annotations

from plimsoll.manager.ports import BadInput, Conflict, Permission, Principal, ServiceError, internal, permits
from plimsoll.manager.services import release_keys
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.software import Imported, SoftwareService, tell_refused
from plimsoll.messages.bundle import Bundle, Member, Reader
from plimsoll.messages.release import ReleaseError


class SoftwareBundleService:
    def __init__(self, core: Core, software: SoftwareService) -> None:
        self._core = core
        self._software = software

    @permits(Permission.SOFTWARE_CHANGE)
    def take(self, principal: Principal, stream: Reader, *, origin: str = "bundle") -> tuple[Imported, ...]:
        """Imports every package of the bundle that is not here yet. Raises BadInput, Conflict, DiskFull, OSError."""
        return self.take_in(principal, stream, origin=origin)

    @internal
    def take_in(self, principal: Principal, stream: Reader, *, origin: str) -> tuple[Imported, ...]:
        """The same for the manager itself."""
        keys = self._core.store.read(release_keys.in_force)
        done: list[Imported] = []
        try:
            bundle = Bundle(stream, keys)
            for member, signature, pieces in bundle.packages():
                made = self._software.begin(principal, signature, origin=origin)
                try:
                    _same(member, made.release.file, made.release.sha256)
                    if made.known is not None:
                        done.append(Imported(made.known, new=False))
                        continue
                    for piece in pieces:
                        made.write(piece)
                    done.append(made.finish())
                finally:
                    made.abandon()
        except ReleaseError as error:
            said = f"{error}; {_kept(done)}"
            tell_refused(self._core, said, f" ({origin}, by {principal.name})")
            raise BadInput(said) from None
        except ServiceError as error:
            if done and isinstance(error, BadInput | Conflict):
                raise type(error)(f"{error.message}; {_kept(done)}") from None
            raise
        return tuple(done)


def _same(member: Member, file: str, sha256: str) -> None:
    if (file, sha256) != (member.file, member.sha256):
        raise ReleaseError(f"the signature of {member.file} in the bundle is about another file")


def _kept(done: list[Imported]) -> str:
    if not done:
        return "nothing was kept"
    return f"of the bundle {', '.join(one.package.file for one in done)} came in before that"

"""What follows on this manager from the row that says which CA issues: its files, its own certificates, its gates.

Every manager of the installation does this for itself, whoever took the step: when it hears of it, at a look each
second, and before a port of it opens. What it goes by then it says beside its name (`node_tables.nodes`), so that no
step is taken before all that run have come so far.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from plimsoll.manager.ca_keyring import Standing
from plimsoll.manager.ports import ServiceError, Unavailable
from plimsoll.manager.services.core import Core

#: Seconds between two looks at the manager's own certificates.
DAILY = 86400.0


def mark(standing: Standing) -> str:
    """How a manager says which CAs it goes by."""
    return ",".join(one.certificate_fingerprint for one in standing.trusted)


class Settling:
    """`lock` is held from a new key to the row that names it, and whenever keys are put away that no row names."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.lock = threading.RLock()
        #: Takes what counts now to gates and heartbeats, where the manager runs. May raise ServiceError.
        self.into_use: Callable[[Standing], None] = lambda standing: None
        #: The CAs by which this manager goes, by `mark`; empty before the first time.
        self.in_force = ""
        #: Why it could not take what is stored, or nothing.
        self.trouble = ""
        self._done: tuple[str, str] | None = None
        self._at = 0.0

    def settle(self) -> None:
        """Brings what is stored into use. Raises Unavailable where that cannot be; it is tried again."""
        with self.lock:
            try:
                standing = self._core.home.ensure_serving(self._core.clock())
                self.into_use(standing)
            except (OSError, ServiceError) as error:
                told = error.message if isinstance(error, ServiceError) else str(error)
                self.trouble = f"what is stored of the CA cannot be brought into use ({told})"
                raise Unavailable(f"{self.trouble}; it is tried again every second") from error
            self.in_force, self.trouble = mark(standing), ""
            self._done, self._at = _derived(standing), self._core.clock()

    def look(self) -> None:
        """The same where something else is stored than is in use, and once a day: certificates come of age."""
        try:
            standing = self._core.store.read(self._core.home.ca)
        except Unavailable:
            raise
        except ServiceError as error:
            self.trouble = error.message
            raise
        if self._done != _derived(standing) or not 0 <= self._core.clock() - self._at < DAILY:
            self.settle()


def _derived(standing: Standing) -> tuple[str, str]:
    return standing.chain, standing.bundle

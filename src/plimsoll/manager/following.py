"""What changed of computers goes from the store to the registry, also where the store is away at that moment."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping

from plimsoll.manager.ports import ServiceError
from plimsoll.manager.services.computers import RegistryEntry

log = logging.getLogger(__name__)

#: More changed computers than this are read in one go.
READ_ONE_BY_ONE = 64


class Following:
    """Reads and posts under one lock, so that an older reading never follows a newer one. Called in threads.

    `one` and `everyone` read entries, None there for a computer that was deleted; both raise ServiceError. `post` takes
    them to the registry.
    """

    def __init__(
        self,
        one: Callable[[str], RegistryEntry | None],
        everyone: Callable[[], Iterable[RegistryEntry]],
        post: Callable[[Mapping[str, RegistryEntry | None]], None],
    ) -> None:
        self._one = one
        self._everyone = everyone
        self._post = post
        self._lock = threading.Lock()
        self._unread: dict[str, None] = {}

    def changed(self, computers: Iterable[str]) -> None:
        """These are to be read anew: now, or by `again` where the store is away. The change itself is committed."""
        with self._lock:
            first = not self._unread
            wanted = self._unread | dict.fromkeys(computers)
            try:
                entries = self._read(tuple(wanted))
            except ServiceError as error:
                self._unread = wanted
                if first:
                    log.warning("what changed of %d computers is read again soon: %s", len(wanted), error.message)
                return
            self._unread = {}
            self._post(entries)

    def again(self) -> bool:
        """Reads what could not be read. Whether something is left."""
        if self._unread:
            self.changed(())
        return bool(self._unread)

    def _read(self, computers: tuple[str, ...]) -> dict[str, RegistryEntry | None]:
        if len(computers) > READ_ONE_BY_ONE:
            everyone = {entry.id: entry for entry in self._everyone()}
            return {computer: everyone.get(computer) for computer in computers}
        return {computer: self._one(computer) for computer in computers}

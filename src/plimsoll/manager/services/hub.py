"""What has changed, told to whoever holds a copy in memory: the registry, the event stream, the contexts.

Callbacks run in the thread of the service, after the commit, and must be quick; a door posts to its own loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plimsoll.manager.services.events import EventView


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ComputersChanged:
    """Read these computers' registry entries anew (`computers.entry`); None there means deleted."""

    computers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeartbeatsWanted:
    """Somebody asks these computers, which listen, for a heartbeat now."""

    computers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventRecorded:
    event: EventView


@dataclass(frozen=True, slots=True)
class CertificateChanged:
    """4119 has another certificate on disk."""


@dataclass(frozen=True, slots=True)
class SoftwareChanged:
    """Packages came or went, or release keys: what is offered is to be signed anew."""


@dataclass(frozen=True, slots=True)
class RelayGroupsChanged:
    """The tree of relay groups is another one."""


@dataclass(frozen=True, slots=True)
class AuthoritiesChanged:
    """Another CA issues, or others are trusted: each manager brings that into use (`ca_settling`)."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another manager on the same database recorded events."""


Change = (
    ComputersChanged
    | HeartbeatsWanted
    | EventRecorded
    | CertificateChanged
    | SoftwareChanged
    | RelayGroupsChanged
    | AuthoritiesChanged
    | Elsewhere
)


class Hub:
    """Synchronous publish and subscribe; a failing subscriber does not keep others from hearing."""

    def __init__(self) -> None:
        self._subscribers: list[Callable[[Change], None]] = []

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Adds the callback; calling what is returned takes it away again."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def tell(self, change: Change) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(change)
            except Exception:
                # It is committed: a listener's fault must not make the change look as if it had failed.
                log.exception("a listener failed on %s", type(change).__name__)

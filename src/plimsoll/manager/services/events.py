"""System events: numbered as in the reference, listed, exported, told to the hub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from plimsoll.manager.ports import Permission, Principal, internal, permits


@dataclass(frozen=True, slots=True)
class NewEvent:
    """`level` is info, warning or error. `computer` is an id; `extra` holds facts that a program may want."""

    number: int
    level: str
    description: str
    computer: str | None = None
    target: str = ""
    time: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventView:
    id: int
    time: float
    number: int
    name: str
    level: str
    description: str
    computer: str | None
    target: str
    origin: str
    extra: dict[str, Any]


class EventsService:
    @permits(Permission.EVENTS_READ)
    def list(
        self, principal: Principal, after: int | None = None, limit: int = 100, computer: str | None = None
    ) -> tuple[EventView, ...]:
        """With `after` an id: what came later, oldest first. Without: the newest `limit`, oldest first too."""
        raise NotImplementedError

    @permits(Permission.EVENTS_READ)
    def export(self, principal: Principal, after: int = 0) -> Iterator[EventView]:
        """All of them, oldest first, read in pages so that a large export holds no transaction open."""
        raise NotImplementedError

    @internal
    def record(self, *events: NewEvent) -> tuple[EventView, ...]:
        """Stores them in one transaction, then tells the hub."""
        raise NotImplementedError

    @internal
    def record_later(self, events: Iterable[NewEvent]) -> None:
        """With the next group commit; a store that is down loses none while the manager runs."""
        raise NotImplementedError

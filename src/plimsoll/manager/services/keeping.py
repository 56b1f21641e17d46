"""Settings that mean nothing here, kept for the programs that set them: of a policy, a computer, or the manager."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from plimsoll.manager.ports import Conflict, Principal
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.store import kept_settings as table

SYSTEM = "system"
#: More than that are no settings of one thing.
MOST_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """Whose settings: the `scope`, the number in it, and the name under which the audit trail has it."""

    scope: str
    owner: int
    name: str = ""

    @property
    def target(self) -> str:
        return f"{self.scope} {self.name}".rstrip()


#: The manager's own.
OF_THE_SYSTEM = Place(SYSTEM, 0)


def keep(
    core: Core,
    principal: Principal,
    place: Place,
    given: Mapping[str, str],
    default: Callable[[str], str | None] = lambda name: None,
) -> None:
    """Keeps what is another value than the one kept, or than the `default` where none is. Raises Conflict."""

    def work(unit: Unit) -> None:
        before = table.of(unit.connection, place.scope, [place.owner]).get(place.owner, {})
        moved = {name: value for name, value in given.items() if before.get(name, default(name)) != value}
        if len(before.keys() | moved.keys()) > MOST_KEPT:
            whose = "" if place.scope == SYSTEM else f" for one {place.scope}"
            raise Conflict(f"more than {MOST_KEPT} settings are not kept{whose}; nothing was changed")
        for name, value in moved.items():
            table.put(unit.connection, place.scope, place.owner, name, value)
        if moved:
            earlier = {name: before.get(name) for name in moved}
            unit.audit(principal, "settings.keep", place.target, earlier, moved)

    if given:
        core.write(work)


def drop(core: Core, principal: Principal, place: Place, name: str) -> None:
    """Keeps it no longer; one that is not kept is no error."""

    def work(unit: Unit) -> None:
        before = table.of(unit.connection, place.scope, [place.owner]).get(place.owner, {})
        if name in before:
            table.drop(unit.connection, place.scope, place.owner, name)
            unit.audit(principal, "settings.drop", place.target, {name: before[name]})

    core.write(work)

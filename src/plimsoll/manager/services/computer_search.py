"""Lists of computers for people: a page at a time, narrowed by a filter, of a fleet of any size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from plimsoll.manager.ports import Permission, Principal, permits
from plimsoll.manager.search import Given, OneOf, Search, Waiting, check
from plimsoll.manager.services import policy_rules
from plimsoll.manager.services.computer_filter import ComputerFilter, place_text, read_place
from plimsoll.manager.services.computer_views import ComputerView
from plimsoll.manager.services.computers import views_of
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.judgement import PROGRAM_DAYS, refused_computers
from plimsoll.manager.store import Connection, computer_fields, shadow
from plimsoll.manager.store import computers as table
from plimsoll.manager.store import policies as policy_table
from plimsoll.messages import Kind

#: Computers of a page.
ROWS = 100
#: Computers that an export reads at once.
_PIECE = 1000
#: Shadow floors' rows that are looked at.
_SHADOWED = 10_000
EVERYBODY = ComputerFilter()


@dataclass(frozen=True, slots=True)
class ComputerPage:
    """`total` counts those on all pages; `after` leads to the next page, empty on the last."""

    computers: tuple[ComputerView, ...]
    total: int
    after: str


class ComputerSearchService:
    def __init__(self, core: Core) -> None:
        self._core = core

    @permits(Permission.COMPUTERS_READ)
    def page(
        self, principal: Principal, wanted: ComputerFilter = EVERYBODY, after: str = "", rows: int = ROWS
    ) -> ComputerPage:
        """One page in the filter's order; `after` is what the page before gave. Raises BadInput."""

        def work(connection: Connection) -> ComputerPage:
            search = self._search(connection, wanted)
            found, following = self._piece(connection, search, after, rows)
            # Where the first page has all of them, they are counted already.
            total = _total(connection, search) if after or following else len(found)
            return ComputerPage(found, total, following)

        return self._core.store.read(work)

    @permits(Permission.COMPUTERS_READ)
    def ids(self, principal: Principal, wanted: ComputerFilter) -> tuple[str, ...]:
        """All that the filter lets through, in the order of their numbers. Raises BadInput."""
        return self._core.store.read(lambda c: tuple(computer_fields.ids(c, self._search(c, wanted))))

    @permits(Permission.COMPUTERS_READ)
    def chosen(self, principal: Principal, numbers: tuple[int, ...]) -> tuple[ComputerView, ...]:
        """Those of these numbers that are there, by name."""
        wanted = Search((OneOf("ID", numbers),), limit=max(1, len(numbers)), order="name")
        return self._core.store.read(lambda c: views_of(c, computer_fields.find(c, wanted)))

    @permits(Permission.COMPUTERS_READ)
    def export(self, principal: Principal, wanted: ComputerFilter) -> Iterator[ComputerView]:
        """All of them, read in pieces so that a large export holds no transaction open. Raises BadInput at once."""
        check(self._core.store.read(lambda c: self._search(c, wanted)).criteria, computer_fields.FIELDS)
        return self._pieces(wanted)

    def _pieces(self, wanted: ComputerFilter) -> Iterator[ComputerView]:
        after = ""
        while True:
            found, after = self._core.store.read(
                lambda c, at=after: self._piece(c, self._search(c, wanted), at, _PIECE)  # type: ignore[misc]
            )
            yield from found
            if not after:
                return

    def _piece(
        self, connection: Connection, search: Search, after: str, rows: int
    ) -> tuple[tuple[ComputerView, ...], str]:
        at = read_place(after, search.order) if after else None
        found = computer_fields.find(connection, replace(search, after=at, limit=rows + 1))
        following = place_text(computer_fields.place(search, found[rows - 1])) if len(found) > rows else ""
        return views_of(connection, found[:rows]), following

    def _search(self, connection: Connection, wanted: ComputerFilter) -> Search:
        criteria = list(wanted.criteria())
        if wanted.refused:
            criteria.append(OneOf("hostGUID", self._refused(connection)))
        waiting = self._waiting(connection) if wanted.pending else None
        return Search(tuple(criteria), words=wanted.words, waiting=waiting, order=wanted.order)

    def _refused(self, connection: Connection) -> tuple[str, ...]:
        """Who was turned away and did not come through since, or would have been by a shadow floor."""
        now = self._core.clock()
        turned_away = refused_computers(connection, now)
        seen = {one.id: one.observed_at for one in table.find(connection, ids=list(turned_away))}
        found = {
            identifier: None
            for identifier, row in turned_away.items()
            if identifier in seen and row.last_ > (seen[identifier] or 0.0)
        }
        for one in shadow.report(connection, now - PROGRAM_DAYS, _SHADOWED):
            if one.who.startswith("computer:"):
                found[one.who.removeprefix("computer:")] = None
        return tuple(found)

    def _waiting(self, connection: Connection) -> Waiting:
        """Worked out once for all who were given the same; relays, of which there are few, one by one."""
        policies = policy_rules.resolve(policy_table.all_policies(connection))
        given = computer_fields.given(connection)
        examples = {one.id: one for one in table.find(connection, ids=[example for _, example, _ in given])}
        relays = table.find(connection, kind=Kind.RELAY.value)

        def waits(one: table.ComputerRecord) -> bool:
            return policy_rules.pending(one, policy_rules.of_computer(policies[one.policy_id], one))

        among = Counter(map(_given, relays))
        groups = [(key, number - among[key]) for key, example, number in given if waits(examples[example])]
        open_relays = tuple(relay.id for relay in relays if waits(relay))
        total = sum(number for _, number in groups) + len(open_relays)
        return Waiting(tuple(key for key, _ in groups), open_relays, total)


def _given(computer: table.ComputerRecord) -> Given:
    return Given(
        computer.policy_id,
        computer.policy_fingerprint,
        computer.agent_floor_given,
        computer.own_heartbeat_seconds,
        computer.own_missed_heartbeats,
        computer.own_direction,
    )


def _total(connection: Connection, search: Search) -> int:
    """How many pass on all pages. Those who wait were counted when it was worked out who does."""
    if search.waiting is not None and not (search.criteria or search.words):
        return search.waiting.total
    return computer_fields.count(connection, search)

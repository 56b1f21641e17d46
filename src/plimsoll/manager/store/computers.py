"""Computers. The commands that wait for them are in `commands`, how many are alike in `computer_counts`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Select,
    Text,
    Update,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from plimsoll.manager.ports import Presence
from plimsoll.manager.store._rows import chunks, records
from plimsoll.manager.store.tables import computer_numbers, computers
from plimsoll.tls.versions import Version


# Not frozen, by intent: a frozen one takes three times as long to make, and a start makes one for every computer.
@dataclass(slots=True)
class ComputerRecord:
    """A row of `tables.computers`, where each column is explained. Nobody changes one; see `change`."""

    id: str
    kind: str
    hostname: str
    version: str
    platform: str
    address: str
    policy_id: int
    fingerprint: str
    relay_group_id: int | None = None
    last_seen: float | None = None
    display_name: str = ""
    architecture: str = ""
    group_id: int | None = None
    listen_port: int | None = None
    relay_port: int | None = None
    state: str = "active"
    online: bool = False
    clone: bool = False
    activated: float = 0.0
    boot_id: str = ""
    boot_ids: list[str] = field(default_factory=list)
    inventory: dict[str, Any] = field(default_factory=dict)
    guards: list[str] = field(default_factory=list)
    guards_set: bool = False
    previous_fingerprint: str | None = None
    certificate_expires: float | None = None
    ja4: str = ""
    offered: Version | None = None
    negotiated: Version | None = None
    observed_at: float | None = None
    last_sequence: int = 0
    last_event_sequence: int = 0
    policy_given: dict[str, Any] | None = None
    policy_fingerprint: str = ""
    policy_generation: int = 0
    policy_given_at: float | None = None
    floors_sent_at: float | None = None
    agent_floor_given: Version | None = None
    relay_floor_given: Version | None = None
    policy_acked: str = ""
    policy_acked_at: float | None = None
    relay_floor_kept: Version | None = None
    relay_reported: Version | None = None
    relay_reported_origin: str | None = None
    relay_reported_at: float | None = None
    relay_observed: Version | None = None
    relay_observed_at: float | None = None
    relay_observed_detail: str = ""
    relay_looked_at: float | None = None
    relay_drift: str = ""
    relay_drift_since: float | None = None
    capability: int = 0
    ca_trusts: str = ""
    ca_issuer: str = ""
    ca_shown: str = ""
    #: 0 until it is stored: `add` gives it one.
    number: int = 0
    description: str = ""
    own_heartbeat_seconds: int | None = None
    own_missed_heartbeats: int | None = None
    own_direction: str | None = None

    @property
    def relay_floor_sent(self) -> Version | None:
        """The relay floor of the last Send Policy; a floor that came with the activation was not sent (R17)."""
        return self.relay_floor_given if self.floors_sent_at is not None else None

    @property
    def display(self) -> str:
        return self.display_name or self.hostname or self.id


#: How many rows are fetched at once where all are read.
_PIECE = 500

#: In the order of the record's fields, so that a row becomes a record by position.
_COLUMNS = tuple(computers.c[name] for name in ComputerRecord.__dataclass_fields__)


def _record(row: Sequence[Any] | None) -> ComputerRecord | None:
    return None if row is None else ComputerRecord(*row)


#: No number is longer; ids of certificates are.
_DIGITS = 15


def one(connection: Connection, reference: str) -> ComputerRecord | None:
    """The computer of that id, or of that number."""
    found = get(connection, reference)
    if found is None and _is_number(reference):
        query = select(*_COLUMNS).where(computers.c.number == int(reference))
        return _record(connection.execute(query).one_or_none())
    return found


def _is_number(reference: str) -> bool:
    return reference.isascii() and reference.isdigit() and len(reference) <= _DIGITS


def get(connection: Connection, computer: str) -> ComputerRecord | None:
    return _record(connection.execute(select(*_COLUMNS).where(computers.c.id == computer)).one_or_none())


def by_fingerprint(connection: Connection, fingerprint: str) -> ComputerRecord | None:
    query = select(*_COLUMNS).where(
        or_(computers.c.fingerprint == fingerprint, computers.c.previous_fingerprint == fingerprint)
    )
    return _record(connection.execute(query).first())


def find(
    connection: Connection,
    *,
    ids: Sequence[str] | None = None,
    kind: str | None = None,
    relay_group_id: int | None = None,
    policy_ids: Sequence[int] | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> tuple[ComputerRecord, ...]:
    """Computers by any of these, in the order of their ids."""
    query = _narrowed(select(*_COLUMNS).order_by(computers.c.id), kind, relay_group_id, after, limit)
    if policy_ids is not None:
        query = query.where(computers.c.policy_id.in_(policy_ids))
    if ids is None:
        return tuple(ComputerRecord(*row) for row in connection.execute(query).all())
    return tuple(
        ComputerRecord(*row)
        for part in chunks(sorted(set(ids)))
        for row in connection.execute(query.where(computers.c.id.in_(part))).all()
    )


def _narrowed(
    query: Select[Any], kind: str | None, relay_group_id: int | None, after: str | None, limit: int | None
) -> Select[Any]:
    if kind is not None:
        query = query.where(computers.c.kind == kind)
    if relay_group_id is not None:
        query = query.where(computers.c.relay_group_id == relay_group_id)
    if after is not None:
        query = query.where(computers.c.id > after)
    if limit is not None:
        query = query.limit(limit)
    return query


@dataclass(slots=True)
class ListedComputer:
    """A computer for a list of many. Of its record, `inventory` and `boot_ids` stay empty: most lists show neither.

    `inventory` is the JSON text, empty where there is none.
    """

    record: ComputerRecord
    inventory: str


#: As the record has them, but JSON as the text that it is stored in: reading it would take most of a list's time.
_LISTED = tuple(
    cast(column, Text).label(column.name) if isinstance(column.type, JSON) else column for column in _COLUMNS
)
_AT = {name: number for number, name in enumerate(ComputerRecord.__dataclass_fields__)}


def listed(
    connection: Connection,
    *,
    kind: str | None = None,
    relay_group_id: int | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> list[ListedComputer]:
    """As `find`, for lists of many."""
    return read_listed(
        connection, lambda query: _narrowed(query.order_by(computers.c.id), kind, relay_group_id, after, limit)
    )


def listed_one(connection: Connection, reference: str) -> ListedComputer | None:
    """The computer of that id, or of that number, as a list has it."""
    found = read_listed(connection, lambda query: query.where(computers.c.id == reference))
    if not found and _is_number(reference):
        found = read_listed(connection, lambda query: query.where(computers.c.number == int(reference)))
    return found[0] if found else None


def listed_by_number(connection: Connection, numbers: Sequence[int]) -> list[ListedComputer]:
    """Those of these numbers, in their order."""
    c = computers.c
    return read_listed(connection, lambda query: query.where(c.number.in_(numbers)).order_by(c.number))


def read_listed(connection: Connection, narrow: Callable[[Select[Any]], Select[Any]]) -> list[ListedComputer]:
    """What is left of all computers where `narrow` has chosen and ordered."""
    inventory, boots, guards, policy = (_AT[name] for name in ("inventory", "boot_ids", "guards", "policy_given"))
    #: Many computers have the same policy: it is read once. Nobody changes what a record holds.
    read: dict[str, Any] = {"[]": [], "{}": {}, "null": None}

    def value(text: str | None) -> Any:
        if text is None:
            return None
        if text not in read:
            read[text] = msgspec.json.decode(text)
        return read[text]

    found: list[ListedComputer] = []
    for row in connection.execute(narrow(select(*_LISTED))).all():
        values = list(row)
        text = values[inventory]
        values[inventory], values[boots] = {}, []
        values[guards], values[policy] = value(values[guards]), value(values[policy])
        found.append(ListedComputer(ComputerRecord(*values), "" if text == "{}" else text))
    return found


def select_columns(connection: Connection, *names: str, only: str | None = None) -> Iterator[Any]:
    """These columns of all computers, or of `only` one, as plain rows: for judging a hundred thousand of them."""
    query = select(*(computers.c[name] for name in names)).order_by(computers.c.id)
    result = connection.execute(query if only is None else query.where(computers.c.id == only))
    # Piece by piece, so that rows die young: all at once they cost the garbage collector more than the reading.
    for piece in result.partitions(_PIECE):
        yield from piece


def each(connection: Connection) -> Iterator[ComputerRecord]:
    """All of them, in the order of their ids, piece by piece: a manager's start must not hold a fleet twice."""
    query = select(*_COLUMNS).order_by(computers.c.id)
    for piece in connection.execute(query.execution_options(yield_per=_PIECE)).partitions():
        for row in piece:
            yield ComputerRecord(*row)


def add(connection: Connection, computer: ComputerRecord) -> None:
    values = {name: getattr(computer, name) for name in ComputerRecord.__dataclass_fields__}
    values["number"] = computer.number or _new_number(connection, computer.id)
    values["sort_name"] = sort_name(computer.display)
    connection.execute(insert(computers).values(**values))


def add_many(connection: Connection, new: Sequence[ComputerRecord]) -> None:
    """Computers that were never here, in the order of their numbers."""
    connection.execute(insert(computer_numbers), [{"computer": one.id} for one in new])
    numbers: dict[str, int] = {}
    for part in chunks([one.id for one in new]):
        query = select(computer_numbers.c.computer, computer_numbers.c.number).where(
            computer_numbers.c.computer.in_(part)
        )
        numbers.update((computer, number) for computer, number in connection.execute(query))
    names = tuple(ComputerRecord.__dataclass_fields__)
    rows = [
        {name: getattr(one, name) for name in names} | {"number": numbers[one.id], "sort_name": sort_name(one.display)}
        for one in new
    ]
    connection.execute(insert(computers), rows)


#: Characters of a name that count for the order of names.
_SORTED = 200


def sort_name(display: str) -> str:
    """What a computer that is called so is sorted by: what `_sort_name` makes in the database."""
    return "".join(char.lower() if char.isascii() else char for char in display[:_SORTED])


def _sort_name(values: dict[str, Any]) -> ColumnElement[str]:
    """The same after a change of these values."""
    c = computers.c
    shown = literal(values["display_name"]) if "display_name" in values else c.display_name
    host = literal(values["hostname"]) if "hostname" in values else c.hostname
    name = func.substr(case((shown != "", shown), (host != "", host), else_=c.id), 1, _SORTED)
    return func.lower(name)


def _new_number(connection: Connection, computer: str) -> int:
    """One that no computer ever had; a computer that was deleted and is added again has its own."""
    known = connection.scalar(select(computer_numbers.c.number).where(computer_numbers.c.computer == computer))
    if known is not None:
        return int(known)
    result: Any = connection.execute(insert(computer_numbers).values(computer=computer))
    return int(result.inserted_primary_key[0])


def change(connection: Connection, computer: str, **values: Any) -> None:
    if values.keys() & {"display_name", "hostname"}:
        values["sort_name"] = _sort_name(values)
    connection.execute(update(computers).where(computers.c.id == computer).values(**values))


def change_many(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """One prepared statement for many computers; each row names its computer as `computer`, all the same columns."""
    if rows:
        names = tuple(name for name in rows[0] if name != "computer")
        given = [{"computer": row["computer"]} | {f"new_{name}": row[name] for name in names} for row in rows]
        connection.execute(_changing(names), given)


@cache
def _changing(names: tuple[str, ...]) -> Update:
    statement = update(computers).where(computers.c.id == bindparam("computer"))
    return statement.values({name: bindparam(f"new_{name}") for name in names})


def set_online(connection: Connection, ids: Sequence[str], online: bool) -> None:
    for part in chunks(list(ids)):
        connection.execute(update(computers).where(computers.c.id.in_(part)).values(online=online))


def presence_since(connection: Connection, since: float) -> tuple[Presence, ...]:
    """Whom anybody saw after that time."""
    c = computers.c
    columns = (c.id.label("computer"), c.last_seen, c.address, c.ja4, c.offered, c.negotiated, c.observed_at)
    return records(Presence, connection.execute(select(*columns).where(c.last_seen > since)))


def last_heard(connection: Connection, identifiers: Sequence[str]) -> dict[str, tuple[bool, float]]:
    """Online or not, and when it was last seen, by id."""
    c = computers.c
    found: dict[str, tuple[bool, float]] = {}
    for part in chunks(list(identifiers)):
        for row in connection.execute(select(c.id, c.online, c.last_seen).where(c.id.in_(part))):
            found[row.id] = row.online, row.last_seen or 0.0
    return found


def ids(connection: Connection) -> tuple[str, ...]:
    return tuple(connection.execute(select(computers.c.id)).scalars())


def move_last_seen(connection: Connection, by: float, since: float, now: float) -> None:
    """All of them by so many seconds, but for those between `since` and `now`."""
    c = computers.c
    moved = update(computers).where(c.last_seen.is_not(None), ~c.last_seen.between(since, now))
    connection.execute(moved.values(last_seen=c.last_seen + by))


def remove(connection: Connection, computer: str) -> None:
    connection.execute(delete(computers).where(computers.c.id == computer))


def named(connection: Connection, text: str) -> tuple[tuple[str, str, str], ...]:
    """Id, address and fingerprint of the computers with that id or number, or that name in any case."""
    c = computers.c
    by_id = connection.execute(select(c.id, c.address, c.ja4).where(c.id == text)).one_or_none()
    if by_id is not None:
        return ((by_id[0], by_id[1], by_id[2]),)  # names are looked for in all rows, ids are not
    wanted = text.casefold()
    tests = [c.id == text, func.lower(c.display_name) == wanted, func.lower(c.hostname) == wanted]
    if _is_number(text):
        tests.append(c.number == int(text))
    query = select(c.id, c.address, c.ja4).where(or_(*tests))
    return tuple((row[0], row[1], row[2]) for row in connection.execute(query.order_by(c.id)))


def names(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """What to call these computers."""
    c = computers.c
    found: dict[str, str] = {}
    for some in chunks(ids):
        for identifier, display, hostname in connection.execute(
            select(c.id, c.display_name, c.hostname).where(c.id.in_(some))
        ):
            found[identifier] = display or hostname or identifier
    return found


def by_hello(connection: Connection, addresses: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    """Whose last authenticated hello came from these addresses: ids by address and fingerprint."""
    c = computers.c
    found: dict[tuple[str, str], list[str]] = {}
    for some in chunks(addresses):
        query = select(c.address, c.ja4, c.id).where(c.address.in_(some), c.ja4 != "").order_by(c.id)
        for address, ja4, identifier in connection.execute(query):
            found.setdefault((address, ja4), []).append(identifier)
    return found

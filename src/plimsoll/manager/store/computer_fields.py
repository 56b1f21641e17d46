"""The fields of a computer that a search may name, and a page of computers that pass one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, and_, case, func, null, or_, select, type_coerce

from plimsoll.manager.search import Field, Given, Kind, Place, Search, Waiting, check
from plimsoll.manager.store.computers import ListedComputer, read_listed, sort_name
from plimsoll.manager.store.search import conditions, holds
from plimsoll.manager.store.tables import computers
from plimsoll.tls.versions import Version

_C = computers.c

#: The five words that the reference knows: `api.views` says the same of one computer.
STATUSES = ("inactive", "active", "warning", "error", "not-supported")
_STATUS = case(
    (_C.state == "revoked", "error"),
    (_C.state != "active", "warning"),
    (_C.last_seen.is_(None), "inactive"),
    (_C.online, "active"),
    else_="error",
)
#: As it is shown: who never said one has the lowest there is.
_VERSION = case((_C.version == "", "0.0.0.0"), else_=_C.version)

_STRING, _ID, _DATE, _BOOLEAN = Field(Kind.STRING), Field(Kind.ID), Field(Kind.DATE), Field(Kind.BOOLEAN)
_NUMERIC = Field(Kind.NUMERIC)
_STATUS_FIELD = Field(Kind.CHOICE, STATUSES)
_TLS = Field(Kind.CHOICE, tuple(version.value for version in Version))

_FIELDS: Mapping[str, tuple[Field, ColumnElement[Any]]] = {
    "ID": (_ID, _C.number),
    "hostGUID": (_STRING, _C.id),
    "hostName": (_STRING, _C.hostname),
    "displayName": (_STRING, _C.display_name),
    "description": (_STRING, _C.description),
    "platform": (_STRING, _C.platform),
    "architecture": (_STRING, _C.architecture),
    "lastIPUsed": (_STRING, _C.address),
    "agentVersion": (Field(Kind.VERSION), _VERSION),
    "groupID": (_ID, _C.group_id),
    "policyID": (_ID, _C.policy_id),
    "relayListID": (_ID, _C.relay_group_id),
    "lastAgentCommunication": (_DATE, _C.last_seen),
    "lastSendPolicyRequest": (_DATE, _C.policy_given_at),
    "lastSendPolicySuccess": (_DATE, _C.policy_acked_at),
    "activated": (_DATE, _C.activated),
    "certificateExpires": (_DATE, _C.certificate_expires),
    "listenPort": (_NUMERIC, _C.listen_port),
    "relayPort": (_NUMERIC, _C.relay_port),
    "online": (_BOOLEAN, _C.online),
    "agentStatus": (_STATUS_FIELD, _STATUS),
    "computerStatus/agentStatus": (_STATUS_FIELD, _STATUS),
    "computerStatus.agentStatus": (_STATUS_FIELD, _STATUS),
    "state": (Field(Kind.CHOICE, ("active", "approval", "revoked")), _C.state),
    "kind": (Field(Kind.CHOICE, ("agent", "relay", "appliance")), _C.kind),
    "tls.offered": (_TLS, type_coerce(_C.offered, Text)),
    "tls.negotiated": (_TLS, type_coerce(_C.negotiated, Text)),
    # What the reference has and no computer here: always null.
    "assetImportanceID": (_ID, null()),
}

FIELDS: Mapping[str, Field] = {name: field for name, (field, _) in _FIELDS.items()}
_COLUMNS = {name: column for name, (_, column) in _FIELDS.items()}


#: Where words are looked for.
_TEXTS = (_C.hostname, _C.display_name, _C.address, _C.version, _C.platform)
#: Who was never seen comes last.
_LAST_SEEN = func.coalesce(_C.last_seen, 0.0)


def find(connection: Connection, search: Search) -> list[ListedComputer]:
    """Those that pass, in the search's order. Raises BadInput for criteria that do not fit."""
    tests = _tests(connection, search)
    if search.order == "number" and not (search.words or search.waiting):
        tests += [] if search.after is None else [_C.number > search.after.number]
        return read_listed(connection, lambda query: query.where(*tests).order_by(_C.number).limit(search.limit))
    # First who, by narrow columns that an index may hold all of; then what is known of these.
    numbers = [place.number for place in _places(connection, search, tests)]
    found = read_listed(connection, lambda query: query.where(_C.number.in_(numbers)))
    at = {number: place for place, number in enumerate(numbers)}
    return sorted(found, key=lambda one: at[one.record.number])


def place(search: Search, last: ListedComputer) -> Place:
    """Where that computer stands in the search's order."""
    record = last.record
    if search.order == "name":
        return Place(record.number, sort_name(record.display))
    return Place(record.number, (record.last_seen or 0.0) if search.order == "last-seen" else None)


def count(connection: Connection, search: Search) -> int:
    """How many pass on all pages."""
    query = select(func.count()).select_from(computers).where(*_tests(connection, search))
    return int(connection.scalar(query) or 0)


def ids(connection: Connection, search: Search) -> list[str]:
    """The ids of all that pass, in the order of their numbers."""
    query = select(_C.id).where(*_tests(connection, search)).order_by(_C.number)
    return list(connection.scalars(query))


def _tests(connection: Connection, search: Search) -> list[ColumnElement[bool]]:
    check(search.criteria, FIELDS)
    tests = conditions(connection, _COLUMNS, search.criteria)
    tests += [holds(connection, _TEXTS, word) for word in search.words]
    if search.waiting is not None:
        tests.append(_waits(search.waiting))
    return tests


def _places(connection: Connection, search: Search, tests: list[ColumnElement[bool]]) -> list[Place]:
    key: ColumnElement[Any]
    if search.order == "name":
        key, last = _C.sort_name, search.after
        order = (key.asc(), _C.number.asc())
    elif search.order == "last-seen":
        key, last = _LAST_SEEN, search.after
        order = (key.desc(), _C.number.asc())
    else:
        # Not the number itself: its index would be walked, with a look at the table for every single computer.
        key, last = _C.number + 0, None
        order = (key.asc(), _C.number.asc())
        tests = tests if search.after is None else [*tests, key > search.after.number]
    if last is not None:
        beyond = key < last.key if search.order == "last-seen" else key > last.key
        at_least = key <= last.key if search.order == "last-seen" else key >= last.key
        # The first says where to begin in an index.
        tests = [*tests, at_least, or_(beyond, _C.number > last.number)]
    rows = connection.execute(select(_C.number, key).where(*tests).order_by(*order).limit(search.limit))
    return [Place(row[0], row[1]) for row in rows]


def _waits(waiting: Waiting) -> ColumnElement[bool]:
    alike: dict[tuple[Any, ...], list[str]] = {}
    for one in waiting.given:
        key = (one.policy_id, one.agent_floor, one.heartbeat_seconds, one.missed_heartbeats, one.direction)
        alike.setdefault(key, []).append(one.fingerprint)
    columns = (_C.agent_floor_given, _C.own_heartbeat_seconds, _C.own_missed_heartbeats, _C.own_direction)
    groups = [
        and_(
            _C.policy_id == policy,
            *(
                column.is_(None) if value is None else column == value
                for column, value in zip(columns, own, strict=True)
            ),
            _C.policy_fingerprint.in_(fingerprints),
        )
        for (policy, *own), fingerprints in alike.items()
    ]
    given = [and_(_C.kind != "relay", or_(*groups))] if groups else []
    return or_(*given, _C.id.in_(waiting.relays))


def _same(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def given(connection: Connection) -> list[tuple[Given, str, int]]:
    """Which policies computers other than relays were given, each with one who was, and how many were, relays too."""
    columns = (
        _C.policy_id,
        _C.policy_fingerprint,
        _C.agent_floor_given,
        _C.own_heartbeat_seconds,
        _C.own_missed_heartbeats,
        _C.own_direction,
    )
    # In the order of the index that has these columns.
    groups = connection.execute(select(*columns, func.count()).group_by(*columns)).all()
    found: list[tuple[Given, str, int]] = []
    for *row, number in groups:
        alike = map(_same, columns, row)
        one = connection.scalar(select(_C.id).where(*alike, _C.kind != "relay").limit(1))
        if one is not None:
            found.append((Given(*row), one, number))
    return found

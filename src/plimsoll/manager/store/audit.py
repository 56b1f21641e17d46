"""The audit trail: entries in a chain of hashes, so that a changed, removed or inserted one is found.

An entry's hash is SHA-256 over the hash of the entry before it and its own canonical JSON. Two facts hold the ends:
the anchor, from which the first entry follows, and the head, which is the newest. The head's row is locked while an
entry is appended, so that two transactions never follow the same entry, and numbers have no gaps: what a transaction
took back gives its number free again.

Whoever can write the whole database can also compute a whole new chain. Against that stand heads that left the house:
each proof bundle carries one, signed, and `verify` takes it as `known`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select

from plimsoll.manager.store import facts as fact_table
from plimsoll.manager.store._rows import records
from plimsoll.manager.store.columns import NUL
from plimsoll.manager.store.tables import audit, facts

ANCHOR = "audit_anchor"
HEAD = "audit_head"
#: What stands before the first entry of all.
NOTHING = hashlib.sha256(b"plimsoll audit trail").hexdigest()
#: How many faults are named; the rest are counted.
NAMED = 100
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class AuditRecord:
    id: int
    time: float
    who: str
    via: str
    address: str
    action: str
    target: str
    before: Any
    after: Any
    previous: str = ""
    hash: str = ""


class Link(msgspec.Struct, frozen=True):
    """One end of the chain: an entry's number, its hash and time. `why` says of an anchor how it came to be."""

    entry: int
    hash: str
    time: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """`entry` is the entry that the fault was found at."""

    entry: int
    text: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a walk over the chain found. `faults` are the first ones, `found` is how many there are."""

    entries: int
    anchor: Link | None
    head: Link | None
    faults: tuple[Fault, ...]
    found: int

    @property
    def ok(self) -> bool:
        return not self.found


def begin(connection: Connection, now: float, why: str) -> None:
    """The chain begins here, with nothing before it."""
    if _link(connection, ANCHOR) is None:
        link = Link(0, NOTHING, now, why)
        _put(connection, ANCHOR, link)
        _put(connection, HEAD, link)


def append(connection: Connection, **values: Any) -> None:
    """Adds an entry to the chain, within the caller's transaction."""
    # As they come back: PostgreSQL's texts hold no NUL.
    values = {name: value.replace("\0", NUL) if isinstance(value, str) else value for name, value in values.items()}
    values["time"] = float(values["time"])
    begin(connection, values["time"], "the first entry")
    head = _link(connection, HEAD, lock=True)
    # Without a head the trail was tampered with: the entry is kept, follows nothing, and `verify` says so.
    before = head or Link(_newest(connection), NOTHING, 0.0)
    entry = before.entry + 1
    digest = digest_of(before.hash, {"id": entry, **values})
    connection.execute(insert(audit).values(id=entry, **values, previous=before.hash, hash=digest))
    _put(connection, HEAD, Link(entry, digest, values["time"]))


def digest_of(previous: str, values: dict[str, Any]) -> str:
    """The hash of an entry that follows the one with the hash `previous`."""
    return hashlib.sha256(previous.encode() + b"\n" + canonical(values)).hexdigest()


def canonical(value: Any) -> bytes:
    """JSON in one form only: keys in order, no spaces, values as they come back from the store."""
    plain = msgspec.json.decode(msgspec.json.encode(value))
    return msgspec.json.encode(plain, order="deterministic")


def entries(connection: Connection, limit: int, before: int | None) -> tuple[AuditRecord, ...]:
    """Newest first."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.id < before)
    return records(AuditRecord, connection.execute(query))


def ends(connection: Connection) -> tuple[Link | None, Link | None]:
    """Anchor and head."""
    return _link(connection, ANCHOR), _link(connection, HEAD)


def prune(connection: Connection, before: float, now: float) -> int:
    """Deletes the entries older than `before`; the anchor moves, so that the rest can still be proved. The newest
    entry stays. How many went."""
    last = connection.execute(
        select(audit.c.id, audit.c.hash, audit.c.time)
        .where(audit.c.time < before, audit.c.id < _newest(connection))
        .order_by(audit.c.id.desc())
        .limit(1)
    ).one_or_none()
    if last is None:
        return 0
    gone = connection.execute(delete(audit).where(audit.c.id <= last.id)).rowcount
    why = f"entries up to {last.id} were pruned"
    _put(connection, ANCHOR, Link(last.id, last.hash, now, why))
    return gone


def verify(connection: Connection, known: tuple[int, str] | None = None) -> Verified:
    """Walks the whole chain, a page at a time. `known` is an entry's number and hash from elsewhere."""
    walk = _Walk(*ends(connection))
    for record in _all(connection):
        walk.take(record, known)
    walk.end(known)
    return Verified(walk.entries, walk.anchor, walk.head, tuple(walk.faults), walk.found)


class _Walk:
    def __init__(self, anchor: Link | None, head: Link | None) -> None:
        self.anchor, self.head = anchor, head
        self.entries = self.found = 0
        self.faults: list[Fault] = []
        start = anchor or Link(0, NOTHING, 0.0)
        self._last, self._hash = start.entry, start.hash
        self._known_seen = False
        if anchor is None:
            self._fault(0, "the record of where the chain begins is missing")
        if head is None:
            self._fault(0, "the record of the newest entry is missing")

    def take(self, record: AuditRecord, known: tuple[int, str] | None) -> None:
        self.entries += 1
        number = record.id
        if number <= self._last:
            self._fault(number, f"entry {number} stands before the beginning of the chain: it was inserted")
            return
        if number > self._last + 1:
            self._fault(number, f"{_span(self._last + 1, number - 1)} removed: entry {number} does not follow")
        elif record.previous != self._hash:
            self._fault(number, f"entry {number} does not follow entry {self._last}: one of the two was put in")
        if digest_of(record.previous, _content(record)) != record.hash:
            self._fault(number, f"entry {number} was changed ({record.action}, {record.who})")
        if known is not None and number == known[0]:
            self._known_seen = True
            if record.hash != known[1]:
                self._fault(number, f"entry {number} is not the one that was signed: the chain was made anew")
        self._last, self._hash = number, record.hash

    def end(self, known: tuple[int, str] | None) -> None:
        head = self.head
        if head is not None and head.entry > self._last:
            self._fault(head.entry, f"{_span(self._last + 1, head.entry)} removed from the end")
        elif head is not None and head.entry < self._last:
            self._fault(self._last, f"{_span(head.entry + 1, self._last)} inserted at the end")
        elif head is not None and head.hash != self._hash:
            self._fault(self._last, f"entry {self._last} is not the one that was written last: it was replaced")
        if known is None or self._known_seen:
            return
        if self.anchor is None or known[0] > self.anchor.entry:
            self._fault(known[0], f"entry {known[0]}, which was signed, is missing")
        elif known[0] == self.anchor.entry and known[1] != self.anchor.hash:
            self._fault(known[0], f"entry {known[0]} is not the one that was signed: the chain was made anew")

    def _fault(self, entry: int, text: str) -> None:
        self.found += 1
        if len(self.faults) < NAMED:
            self.faults.append(Fault(entry, text))


def _span(first: int, last: int) -> str:
    return f"entry {first} was" if first == last else f"entries {first} to {last} were"


def _content(record: AuditRecord) -> dict[str, Any]:
    names = (name for name in AuditRecord.__dataclass_fields__ if name not in ("previous", "hash"))
    return {name: getattr(record, name) for name in names}


def _all(connection: Connection) -> Iterator[AuditRecord]:
    """In order, without holding more than a page."""
    at: int | None = None
    while True:
        query = select(audit).order_by(audit.c.id).limit(_PAGE)
        page = records(AuditRecord, connection.execute(query if at is None else query.where(audit.c.id > at)))
        yield from page
        if len(page) < _PAGE:
            return
        at = page[-1].id


def _newest(connection: Connection) -> int:
    return connection.execute(select(audit.c.id).order_by(audit.c.id.desc()).limit(1)).scalar_one_or_none() or 0


def _link(connection: Connection, name: str, *, lock: bool = False) -> Link | None:
    query = select(facts.c.value).where(facts.c.name == name)
    value = connection.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    try:
        return None if value is None else msgspec.json.decode(value, type=Link)
    except msgspec.DecodeError:
        return None


def _put(connection: Connection, name: str, link: Link) -> None:
    fact_table.put(connection, name, msgspec.json.encode(link).decode())

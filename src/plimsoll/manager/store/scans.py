"""Scans and their endpoints. Reports are kept packed: much of their text is names and certificates, again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from plimsoll.manager.store._rows import chunks, packed, record, records, unpacked
from plimsoll.manager.store.scan_tables import scan_endpoints, scans

QUEUED, RUNNING, DONE = "queued", "running", "done"
CANCELLED, INTERRUPTED, FAILED = "cancelled", "interrupted", "failed"
STATES = (QUEUED, RUNNING, DONE, CANCELLED, INTERRUPTED, FAILED)

_s = scans.c
_e = scan_endpoints.c
#: All of an endpoint but its report, which is long.
_SHORT = [column for column in scan_endpoints.columns if column.name != "report"]


@dataclass(frozen=True, slots=True)
class ScanRecord:
    """A row of `scan_tables.scans`."""

    id: int
    created: float
    who: str
    via: str
    label: str
    state: str
    asked: dict[str, Any]
    left_out: list[dict[str, Any]]
    total: int
    done: int = 0
    failing: int = 0
    unproved: int = 0
    findings: int = 0
    node: str = ""
    started: float | None = None
    ended: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """A row of `scan_tables.scan_endpoints` without its report. `verdicts` are by profile: verdict and reasons."""

    scan: int
    position: int
    host: str
    port: int
    opening: str
    server_name: str
    point: str = ""
    computer: str | None = None
    name: str = ""
    state: str = ""
    note: str = ""
    accepted: list[str] | None = None
    letter: str = ""
    verdicts: dict[str, Any] | None = None


def add(connection: Connection, new: ScanRecord) -> int:
    values = asdict(new)
    del values["id"]
    result: Any = connection.execute(insert(scans).values(**values))
    return int(result.inserted_primary_key[0])


def add_endpoints(connection: Connection, new: Sequence[EndpointRecord]) -> None:
    for some in chunks(new):
        rows = [asdict(one) | {"accepted": [], "verdicts": {}, "report": ""} for one in some]
        connection.execute(insert(scan_endpoints), rows)


def get(connection: Connection, scan: int) -> ScanRecord | None:
    return record(ScanRecord, connection.execute(select(scans).where(_s.id == scan)).one_or_none())


def find(connection: Connection, limit: int) -> tuple[ScanRecord, ...]:
    """The newest first."""
    return records(ScanRecord, connection.execute(select(scans).order_by(_s.id.desc()).limit(limit)))


def in_state(connection: Connection, state: str) -> tuple[ScanRecord, ...]:
    """The oldest first."""
    return records(ScanRecord, connection.execute(select(scans).where(_s.state == state).order_by(_s.id)))


def move(connection: Connection, scan: int, state: str, node: str | None = None, /, **values: Any) -> bool:
    """Sets values of a scan that is in this state, and of this node where one is named. Whether it was."""
    wanted = [_s.id == scan, _s.state == state]
    if node is not None:
        wanted.append(_s.node == node)
    result = connection.execute(update(scans).where(*wanted).values(**values))
    return int(result.rowcount) == 1


def saw(connection: Connection, scan: int, position: int, report: bytes, **values: Any) -> None:
    """What came of one endpoint."""
    connection.execute(
        update(scan_endpoints).where(_e.scan == scan, _e.position == position).values(report=packed(report), **values)
    )


def endpoints(connection: Connection, scan: int, after: int, limit: int) -> tuple[EndpointRecord, ...]:
    """In their order, those behind a position."""
    found = select(*_SHORT).where(_e.scan == scan, _e.position > after).order_by(_e.position).limit(limit)
    return records(EndpointRecord, connection.execute(found))


def reports(connection: Connection, scan: int, after: int, limit: int) -> list[tuple[int, bytes]]:
    """(position, line of the report) of those that were asked, in their order."""
    found = (
        select(_e.position, _e.report)
        .where(_e.scan == scan, _e.position > after, _e.report != "")
        .order_by(_e.position)
        .limit(limit)
    )
    return [(int(position), _unpacked(text)) for position, text in connection.execute(found)]


def report_at(connection: Connection, scan: int, position: int) -> bytes | None:
    text = connection.execute(select(_e.report).where(_e.scan == scan, _e.position == position)).scalar_one_or_none()
    return _unpacked(text) if text else None


def ended(connection: Connection) -> tuple[tuple[int, int], ...]:
    """(id, endpoints) of scans that are over, the newest first."""
    over = select(_s.id, _s.total).where(_s.state.not_in((QUEUED, RUNNING))).order_by(_s.id.desc())
    return tuple((int(scan), int(total)) for scan, total in connection.execute(over))


def count(connection: Connection, state: str) -> int:
    return int(connection.execute(select(func.count()).where(_s.state == state)).scalar_one())


def remove(connection: Connection, scan: int) -> None:
    connection.execute(delete(scan_endpoints).where(_e.scan == scan))
    connection.execute(delete(scans).where(_s.id == scan))


def _unpacked(text: str) -> bytes:
    return unpacked(text)

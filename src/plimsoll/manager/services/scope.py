"""What is in the scope of PCI DSS (R10): marks of points and computers, and what a proof says of what they cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.manager.ports import BadInput, Conflict, NotFound, Permission, Principal, permits
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.exceptions import ExceptionView
from plimsoll.manager.services.proving import Proved
from plimsoll.manager.store import Connection
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import scope as scope_table
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.scan.judgement import Verdict
from plimsoll.scan.profiles import judge
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

PCI = "pci-dss-4.0.1"
_NOTE = 500


@dataclass(frozen=True, slots=True)
class MarkView:
    """What is in scope: a point of every computer, or a computer with all of its ports."""

    id: int
    point: str | None
    computer: str | None
    name: str | None
    note: str
    who: str
    created: float


class ScopeService:
    def __init__(self, core: Core) -> None:
        self._core = core

    @permits(Permission.FLOORS_READ)
    def marks(self, principal: Principal) -> tuple[MarkView, ...]:
        return self._core.store.read(views)

    @permits(Permission.FLOORS_CHANGE)
    def mark(
        self, principal: Principal, *, point: str | None = None, computer: str | None = None, note: str = ""
    ) -> tuple[MarkView, ...]:
        """Marks a point, or a computer by id, as in the scope of PCI DSS."""
        where = _one(point, computer)
        if len(note) > _NOTE:
            raise BadInput(f"a note has at most {_NOTE} characters; nothing was changed")

        def work(unit: Unit) -> None:
            if computer is not None and computer_table.get(unit.connection, computer) is None:
                raise NotFound(f"there is no computer {computer!r}; nothing was changed")
            if scope_table.find(unit.connection, point, computer) is not None:
                raise Conflict(f"{where} is in scope already; nothing was changed")
            scope_table.add(unit.connection, point, computer, note.strip(), principal.who, unit.now)
            unit.audit(principal, "scope.add", where, None, {"note": note.strip()})

        self._core.write(work)
        return self._core.store.read(views)

    @permits(Permission.FLOORS_CHANGE)
    def unmark(
        self, principal: Principal, *, point: str | None = None, computer: str | None = None
    ) -> tuple[MarkView, ...]:
        where = _one(point, computer)

        def work(unit: Unit) -> None:
            known = scope_table.find(unit.connection, point, computer)
            if known is None:
                raise NotFound(f"{where} is not marked as in scope; nothing was changed")
            scope_table.remove(unit.connection, known.id)
            unit.audit(principal, "scope.remove", where, {"note": known.note}, None)

        self._core.write(work)
        return self._core.store.read(views)


def _one(point: str | None, computer: str | None) -> str:
    if (point is None) == (computer is None):
        raise BadInput("say either a point or a computer; nothing was changed")
    if point is not None and point not in {known.value for known in Point}:
        names = ", ".join(known.value for known in Point)
        raise BadInput(f"unknown point {point!r}; valid are {names}. Nothing was changed")
    return point or computer or ""


def views(connection: Connection) -> tuple[MarkView, ...]:
    """All marks, with the names of the computers."""
    views = []
    for mark in scope_table.all_marks(connection):
        known = None if mark.computer is None else computer_table.get(connection, mark.computer)
        name = None if known is None else known.display
        views.append(MarkView(mark.id, mark.point, mark.computer, name, mark.note, mark.who, mark.created))
    return tuple(views)


def in_scope(point: str, computer: str | None, marks: Sequence[scope_table.MarkRecord]) -> bool:
    """Whether a port is marked, by its point or by its computer."""
    return any(mark.point == point or (mark.computer is not None and mark.computer == computer) for mark in marks)


def section(
    found: Sequence[Proved],
    marks: Sequence[scope_table.MarkRecord],
    excused: Sequence[ExceptionView],
    computers: Sequence[ComputerRecord],
) -> dict[str, Any]:
    """The section of its own: each port in scope, judged by PCI DSS, and computers in scope that open none."""
    places: list[dict[str, Any]] = []
    for one in found:
        if not in_scope(one.place.point.value, one.place.computer, marks):
            continue
        verdict, findings = "not proved", list(one.reasons)
        if one.report is not None and one.report.accepted:
            judged = judge(one.report, PCI)
            verdict = judged.verdict.value
            findings = [f"{f.rule.sentence}: {'; '.join(f.reasons)}" for f in (*judged.failed, *judged.open)]
        early = [view for view in excused if view.point is one.place.point and view.floor < Version.TLS1_2]
        if early:
            verdict = Verdict.FAILS.value
            findings += [f"exception {view.id} lets {view.source or view.name} use {view.floor}" for view in early]
        place = one.place
        places.append(
            {
                "point": place.point.value, "name": place.name, "computer": place.computer, "address": place.address,
                "port": place.port, "verdict": verdict, "findings": findings,
            }
        )  # fmt: skip
    seen = {one.place.computer for one in found}
    places += [portless(one) for one in computers if one.id not in seen]
    return {
        "profile": PCI,
        "verdict": Verdict.of_all(Verdict(one["verdict"]) for one in places).value if places else None,
        "note": "what a handshake can show of requirement 4.2.1; inventories and revocation are not judged",
        "marks": [{"point": mark.point, "computer": mark.computer, "note": mark.note} for mark in marks],
        "places": places,
    }


def portless(one: ComputerRecord) -> dict[str, Any]:
    """A computer in scope that opens no port: its own handshakes are all there is to judge."""
    verdict, said = Verdict.NOT_PROVED, "it opens no port, and no handshake of its own was seen"
    if one.negotiated is not None:
        verdict = Verdict.HOLDS if one.negotiated >= Version.TLS1_2 else Verdict.FAILS
        said = f"it opens no port; its own last handshake settled on {one.negotiated}"
    return {
        "point": "-", "name": one.display, "computer": one.id, "address": one.address, "port": 0,
        "verdict": verdict.value, "findings": [said],
    }  # fmt: skip

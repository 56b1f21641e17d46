"""One computer's TLS in four facts, and what each higher floor would do to it. Nobody else is judged or read."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.fleet import capabilities
from plimsoll.fleet.component import parse_or_none
from plimsoll.fleet.findings import Finding
from plimsoll.fleet.kinds import Capability, Configured
from plimsoll.fleet.parts import Fleet, Part
from plimsoll.fleet.preflight import judge
from plimsoll.fleet.verdicts import points_met
from plimsoll.manager.ports import NotFound, Permission, Principal, permits
from plimsoll.manager.services import floor_state, policy_rules
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.judgement import JudgementService
from plimsoll.manager.store import Connection
from plimsoll.manager.store import computers as table
from plimsoll.manager.store import policies as policy_table
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.messages import Kind
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import FLOORS, Version


@dataclass(frozen=True, slots=True)
class PointFloor:
    """A point that the computer meets. `floor` is what is required there, `own` what holds for this computer by an
    exception or as a canary, None where that is the floor itself.
    """

    point: Point
    floor: Version
    own: Version | None


@dataclass(frozen=True, slots=True)
class FloorVerdict:
    """What a floor would do to it where it stands: at `points`. `finding` is None where there is nothing to say."""

    target: Version
    points: tuple[Point, ...]
    blocks: bool
    finding: Finding | None


@dataclass(frozen=True, slots=True)
class ComputerJudgement:
    """`capable` is None where the table does not know its version, `configured` holds its own ports' floors.

    `part` is what the judgement looked at: what was observed, and refusals of hellos that were certainly its own.
    """

    capable: Capability | None
    configured: dict[Point, Configured]
    part: Part | None
    required: tuple[PointFloor, ...]
    verdicts: tuple[FloorVerdict, ...]


class ComputerJudgementService:
    def __init__(self, core: Core, judgement: JudgementService) -> None:
        self._core = core
        self._judgement = judgement

    @permits(Permission.FLOORS_READ)
    def judge(self, principal: Principal, computer: str) -> ComputerJudgement:
        """`computer` is an id or a number. Raises NotFound. A revoked computer meets no floor."""
        self._judgement.absorb()
        fleet, record, required = self._core.store.read(lambda c: self._read(c, computer))
        part = fleet.parts[0] if fleet.parts else None
        verdicts = []
        for target in FLOORS[1:] if part is not None else ():
            self._judgement.note_since(fleet, target)
            found = judge(fleet, target, tuple(Point))
            findings = (*found.blockers, *found.noted)
            verdicts.append(
                FloorVerdict(
                    target,
                    tuple(point for point in Point if part is not None and point in points_met(part, frozenset(Point))),
                    found.blocked,
                    findings[0] if findings else None,
                )
            )
        version = parse_or_none(record.version)
        capable = None if version is None else capabilities.table().lookup(record.kind, version)
        return ComputerJudgement(capable, _configured(record), part, required, tuple(verdicts))

    def _read(self, connection: Connection, computer: str) -> tuple[Fleet, ComputerRecord, tuple[PointFloor, ...]]:
        record = table.one(connection, computer)
        if record is None:
            raise NotFound(f"there is no computer {computer!r}; nothing was changed. The list shows their ids")
        fleet = self._judgement.one(connection, record)
        return fleet, record, _required(connection, record, fleet.parts[0] if fleet.parts else None, fleet.at or 0.0)


def _required(connection: Connection, record: ComputerRecord, part: Part | None, now: float) -> tuple[PointFloor, ...]:
    """At 4120 the manager's floor; at its own ports its policy's; at a relay that serves it that of the base policy."""
    if part is None:
        return ()
    snapshot = floor_state.snapshot(connection)
    policy = policy_rules.resolve(policy_table.all_policies(connection))[record.policy_id]
    met = points_met(part, frozenset(Point))
    found = []
    for point in (one for one in Point if one in met):
        floor, own = snapshot.floor(point), None
        if point is Point.AGENT:
            floor = policy.agent_floor
        elif point is Point.RELAY and record.kind == Kind.RELAY.value:
            floor = policy.relay_floor
        elif point is Point.HEARTBEAT and record.address:
            ruled = snapshot.floor_for(point, record.address, record.id, now)
            own = None if ruled is floor else ruled
        found.append(PointFloor(point, floor, own))
    return tuple(found)


def _configured(record: ComputerRecord) -> dict[Point, Configured]:
    found: dict[Point, Configured] = {}
    if record.listen_port is not None and record.agent_floor_given is not None:
        found[Point.AGENT] = Configured(record.agent_floor_given, "policy")
    if record.kind == Kind.RELAY.value:
        found[Point.RELAY] = policy_rules.held_relay_floor(record)
    return found

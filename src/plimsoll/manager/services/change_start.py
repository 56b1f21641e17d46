"""What is looked at before a change begins: may it, whom would it cut off, what exactly will it do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.fleet.changes import Direction, Plan, stages_of
from plimsoll.fleet.findings import Finding, Preflight
from plimsoll.manager.freeze import WindowError, parse_window
from plimsoll.manager.ports import BadInput, Blocked, Conflict, NotFound, Principal, ServiceError
from plimsoll.manager.services import change_effects as effects_of
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services import floor_state, policy_rules
from plimsoll.manager.services.change_views import begins, busy, moment, note
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.floors import parse_floor, parse_points
from plimsoll.manager.services.guard import check_not_locked_out, check_seen
from plimsoll.manager.services.judgement import JudgementService
from plimsoll.manager.services.quiet import check_no_rotation, check_no_upgrade
from plimsoll.manager.store import Connection
from plimsoll.manager.store import changes as table
from plimsoll.manager.store import computer_counts as count_table
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import policies as policy_table
from plimsoll.manager.store.changes import ChangeRecord
from plimsoll.messages import Kind
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

SOAK = 1800.0
CANARY = "5%"
_LONGEST_SOAK = 30 * 86400.0
_NOTICES = 50
#: Seconds for which a plan that is only shown goes by the same look at the fleet.
_LOOK_LASTS = 60.0


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What a new change is asked to do; `canary` is "5%", "5", "group:NAME" (a relay group) or "policy:NAME".

    `seen` are the ids of the findings whose names were shown to who asks; None where nobody was shown any. With it,
    `force` and `accept_affected` reach no further than these.
    """

    to: str
    points: Sequence[str] = ("all",)
    soak: float = SOAK
    canary: str = CANARY
    accept_affected: bool = False
    force: bool = False
    reason: str | None = None
    at: float | None = None
    freeze: Sequence[str] = ()
    approval: bool = False
    seen: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class PlanView:
    """What a change would do, before anybody is asked whether it may. `points` are those that it moves.

    `floors` are the floors in force, `quiet` why no change can begin at present (another one is under way), empty where
    one can; `locked_out` why who asks could not take it back, empty where he can.
    """

    plan: Plan
    points: tuple[Point, ...]
    floors: dict[Point, Version]
    relays: int
    quiet: str
    locked_out: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the fleet is, for whoever chooses a floor: what a look at the whole fleet is not needed for.

    `ports` are where each point usually is; `own` are policies with a floor of their own, (name, floor) by point;
    `canaries` are names that a canary can have.
    """

    floors: dict[Point, Version]
    ports: dict[Point, int]
    own: dict[Point, tuple[tuple[str, Version], ...]]
    canaries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Fleet:
    """What a plan needs of the whole fleet, and when that was read."""

    at: float
    relays: int
    longest: float
    relay_longest: float


def _check_quiet(connection: Connection) -> None:
    check_no_upgrade(connection, "no change begins")
    check_no_rotation(connection, "no change begins")


def _not_quiet(connection: Connection) -> str:
    running = table.under_way(connection)
    if running is not None:
        return busy(running)
    try:
        _check_quiet(connection)
    except ServiceError as error:
        return error.message
    return ""


class Starting:
    """Checks first, writes last: nothing was changed where any of it raises."""

    def __init__(self, core: Core, judgement: JudgementService) -> None:
        self._core = core
        self._judgement = judgement
        self._looked: _Fleet | None = None

    def start(self, principal: Principal, request: StartRequest) -> int:
        """The number of the new change. Raises as `ChangesService.start`."""
        target, points = parse_floor(request.to), _points(request.points)
        _check(request, self._core.clock())
        running = self._core.store.read(table.under_way)
        if running is not None:
            raise Conflict(busy(running))
        self._core.store.read(_check_quiet)
        before = self._core.store.read(floor_state.read)
        direction, moved = _direction(before.floors(), points, target, self._own_floors())
        preflight: Preflight | None = None
        if direction is Direction.RAISE:
            if Point.GUI in moved:
                check_not_locked_out(principal, before.gui, target)
            preflight = self.judge(target, moved)
            self._consent(request, preflight)
        options = self._options(request, direction, moved, preflight)
        state = "awaiting approval" if request.approval else "scheduled" if request.at else "running"

        def work(unit: Unit) -> int:
            other = table.under_way(unit.connection)
            if other is not None:
                raise Conflict(busy(other))
            _check_quiet(unit.connection)
            self._resolve_canary(unit.connection, options)
            relays = computer_table.find(unit.connection, kind=Kind.RELAY.value)
            stages = stages_of(direction, moved, relays=len(relays) > 1)
            options["stages"] = [stage.value for stage in stages]
            new = ChangeRecord(
                id=0, created=unit.now, who=principal.who, name=principal.name, via=principal.via, target=target,
                direction=direction.value, state=state, stage=stages[0].value, entered=unit.now, soaked=0.0,
                options=options, effects={}, seen={"online_before": 0}, text=begins(state, request.at),
            )  # fmt: skip
            identifier = table.add(unit.connection, new)
            said = f"{direction.value} to {target} at {', '.join(p.value for p in Point if p in moved)}"
            note(unit, identifier, stages[0].value, "started", said, principal.who)
            unit.audit(principal, "changes.start", f"change {identifier}", None, options | {"to": target.value})
            text = f"{principal.name} started change {identifier}: {said}" + (
                f": {request.reason}" if request.reason else ""
            )
            unit.event(NewEvent(numbers.CHANGE_STARTED, "info", text, target=f"change {identifier}"))
            self._notify(unit, identifier, target, preflight, request.at)
            return identifier

        return self._core.write(work)

    def judge(self, target: Version, points: set[Point]) -> Preflight:
        return self._judgement.judge(target, points)

    def plan(self, principal: Principal, request: StartRequest) -> PlanView:
        """What `start` would begin. Raises BadInput as it does; judges nobody."""
        target, points = parse_floor(request.to), _points(request.points)
        _check(request, self._core.clock())
        floors = self._core.store.read(floor_state.read).floors()
        direction, moved = _direction(floors, points, target, self._own_floors())
        fleet = self._fleet()
        plan = Plan(
            target,
            direction,
            stages_of(direction, moved, relays=fleet.relays > 1),
            soak=request.soak,
            longest_heartbeat=fleet.longest,
            relay_heartbeat=fleet.relay_longest,
        )
        locked_out = ""
        if direction is Direction.RAISE and Point.GUI in moved:
            try:
                check_not_locked_out(principal, floors[Point.GUI], target)
            except ServiceError as error:
                locked_out = error.message
        ordered = tuple(point for point in Point if point in moved)
        return PlanView(plan, ordered, floors, fleet.relays, self._core.store.read(_not_quiet), locked_out)

    def standing(self) -> Standing:
        """Where the fleet is."""
        policies, groups, state = self._core.store.read(
            lambda c: (policy_table.all_policies(c), policy_table.all_groups(c), floor_state.read(c))
        )
        settings = self._core.home.config
        base = policy_rules.BASE
        return Standing(
            floors=state.floors(),
            ports={point: point.default_port for point in Point}
            | {Point.GUI: settings.gui_port, Point.HEARTBEAT: settings.heartbeat_port},
            own={
                Point.RELAY: tuple((p.name, p.relay_floor) for p in policies if p.relay_floor and p.name != base),
                Point.AGENT: tuple((p.name, p.agent_floor) for p in policies if p.agent_floor and p.name != base),
            },
            canaries=(*(f"group:{one.name}" for one in groups), *(f"policy:{one.name}" for one in policies)),
        )

    def _fleet(self) -> _Fleet:
        now, known = self._core.clock(), self._looked
        if known is not None and 0 <= now - known.at < _LOOK_LASTS:
            return known

        def work(connection: Connection) -> _Fleet:
            relays = len(computer_table.find(connection, kind=Kind.RELAY.value))
            return _Fleet(now, relays, *_longest(connection))

        self._looked = self._core.store.read(work)
        return self._looked

    def _own_floors(self) -> dict[Point, Sequence[Version]]:
        """Floors of policies that have their own, by point."""
        records = self._core.store.read(policy_table.all_policies)
        return {
            Point.RELAY: [one.relay_floor for one in records if one.relay_floor is not None],
            Point.AGENT: [one.agent_floor for one in records if one.agent_floor is not None],
        }

    def _consent(self, request: StartRequest, preflight: Preflight) -> None:
        reason = (request.reason or "").strip()
        check_seen(preflight, request.seen, "nothing was started")
        if preflight.blockers and not request.force:
            raise Blocked(
                f"{_counted(preflight.blockers, 'part')} would be cut off; nothing was started. Upgrade what is named,"
                " give it an exception, or force it with a reason: a forced change still takes itself back",
                preflight,
            )
        if preflight.blockers and not reason:
            raise BadInput("a change is forced only with a reason, which is kept and shown; nothing was started")
        if preflight.affected and not request.accept_affected:
            raise Blocked(
                f"{_counted(preflight.affected, 'program')} would be cut off; nothing was started. Tell the owners, or"
                " start with --accept-affected, which names what is cut off in the audit trail",
                preflight,
            )

    def _options(
        self, request: StartRequest, direction: Direction, moved: set[Point], preflight: Preflight | None
    ) -> dict[str, Any]:
        findings = () if preflight is None else (*preflight.blockers, *preflight.affected)
        longest, relays = self._core.store.read(_longest)
        return {
            "points": [point.value for point in Point if point in moved],
            "soak": request.soak,
            "canary": request.canary,
            "lowers": direction is Direction.LOWER,
            "forced": bool(preflight and preflight.blockers),
            "reason": request.reason,
            "accepted": effects_of.accepted_of(findings),
            "named": {
                "blockers": [] if preflight is None else [finding.who for finding in preflight.blockers],
                "affected": [] if preflight is None else [finding.who for finding in preflight.affected],
            },
            "at": request.at,
            "freeze": list(request.freeze),
            "approval": request.approval,
            "longest": longest,
            "relay_longest": relays,
        }

    def _resolve_canary(self, connection: Connection, options: dict[str, Any]) -> None:
        named: str = options["canary"]
        kind, _, name = named.partition(":")
        if kind == "group":
            group = policy_table.group_named(connection, name)
            if group is None:
                raise NotFound(f"there is no relay group {name!r}; nothing was started")
            options["canary_group"] = group.id
        elif kind == "policy":
            policy = policy_table.policy_named(connection, name)
            if policy is None:
                raise NotFound(f"there is no policy {name!r}; nothing was started")
            options["canary_policy"] = policy.id

    def _notify(self, unit: Unit, change: int, target: Version, preflight: Preflight | None, at: float | None) -> None:
        """A notice for each blocker and program, so that their owners hear of it before the date."""
        findings = () if preflight is None else (*preflight.blockers, *preflight.affected)
        when = "now" if at is None else moment(at)
        for finding in findings[:_NOTICES]:
            text = (
                f"change {change} to {target} begins {when} and would cut off {finding.who}: {finding.reason}."
                f" {finding.remedy}"
            )
            computer = None if finding.kind == "program" else finding.id
            unit.event(NewEvent(numbers.CHANGE_NOTICE, "warning", text, computer=computer, target=finding.who))


def _counted(findings: Sequence[Finding], what: str) -> str:
    """How many, with the first names."""
    names = ", ".join(finding.who for finding in findings[:5])
    more = f" and {len(findings) - 5} more" if len(findings) > 5 else ""
    return f"{effects_of.counted(len(findings), what)} ({names}{more})"


def _longest(connection: Connection) -> tuple[float, float]:
    """The longest heartbeat interval of any computer, and of any relay, in seconds."""
    policies = policy_rules.resolve(policy_table.all_policies(connection))
    used = [
        policies[one].heartbeat_seconds for one, count in count_table.counted_by_policy(connection).items() if count
    ]
    relays = computer_table.find(connection, kind=Kind.RELAY.value)
    theirs = [policy_rules.of_computer(policies[one.policy_id], one).heartbeat_seconds for one in relays]
    longest = max(count_table.longest_own_heartbeat(connection), *used) if used else 600
    return float(longest), float(max(theirs, default=600))


def _points(names: Sequence[str]) -> set[Point]:
    points = {point for name in names for point in parse_points(name)}
    if not points:
        raise BadInput("say which points; nothing was started")
    return points


def _check(request: StartRequest, now: float) -> None:
    if not 0 < request.soak <= _LONGEST_SOAK:
        raise BadInput("a soak lasts from a second to 30 days; nothing was started")
    for window in request.freeze:
        try:
            parse_window(window)
        except WindowError as error:
            raise BadInput(f"{error}; nothing was started") from None
    if request.at is not None and request.at <= now:
        raise BadInput(f"{moment(request.at)} is in the past; nothing was started")
    if not request.canary.startswith(("group:", "policy:")):
        try:
            effects_of.canary_count(request.canary, 1)
        except ValueError:
            raise BadInput(
                f"a canary is a share (5%), a number (5), group:NAME or policy:NAME, not {request.canary!r}; nothing"
                " was started"
            ) from None


def _direction(
    floors: dict[Point, Version], points: set[Point], target: Version, own: dict[Point, Sequence[Version]]
) -> tuple[Direction, set[Point]]:
    """Up where any of the points is below the target; those above it then stay. Raises BadInput where none moves."""
    below = {p for p in points if floors[p] < target or any(floor < target for floor in own.get(p, []))}
    if below:
        return Direction.RAISE, below
    above = {p for p in points if floors[p] > target}
    if above:
        return Direction.LOWER, above
    raise BadInput(f"{', '.join(p.value for p in Point if p in points)}: {target} is the floor already; nothing to do")

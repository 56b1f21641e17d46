"""Floors: the one place where they are read and set (design §5).

Order of a change: the store commits it, the gates get the new snapshot, then the file is rewritten. While the last
step is under way the store remembers what stood in the file before, so that a crash in between is told from a hand
edit: at the next start the store's value is written. A floor is never unknown.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import asdict, replace

from plimsoll.fleet.parts import Fleet
from plimsoll.manager import config
from plimsoll.manager.config import Configuration, ConfigurationError
from plimsoll.manager.node_identity import JOINED
from plimsoll.manager.ports import SYSTEM, BadInput, Blocked, Conflict, Permission, Principal, internal, permits
from plimsoll.manager.services import events as event_numbers
from plimsoll.manager.services import floor_state, policy_rules
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.floor_state import FloorState
from plimsoll.manager.services.floor_views import (
    Drift,
    FileView,
    FloorChange,
    FloorHistoryEntry,
    FloorsView,
    MinimumView,
    PointChange,
    PointView,
    ReloadResult,
)
from plimsoll.manager.services.guard import Consent, Judged, check_not_locked_out, check_seen, judge_raise
from plimsoll.manager.services.pending import PendingCount, count_pending
from plimsoll.manager.services.quiet import check_no_upgrade
from plimsoll.manager.store import Connection, changes, facts
from plimsoll.manager.store import computer_counts as count_table
from plimsoll.manager.store import floors as table
from plimsoll.manager.store import policies as policy_table
from plimsoll.tls.cipher_profiles import DEFAULT, CipherProfile
from plimsoll.tls.floors import FloorSnapshot, Point
from plimsoll.tls.versions import UnknownVersionError, Version

__all__ = [
    "Drift",
    "FloorChange",
    "FloorHistoryEntry",
    "FloorsService",
    "FloorsView",
    "MinimumView",
    "PointChange",
    "PointView",
    "ReloadResult",
]

log = logging.getLogger(__name__)

ALL = "all"
#: How many ports of a point are shown.
PORTS = 20


def parse_points(point: str) -> tuple[Point, ...]:
    """The points of a name that people type. Raises BadInput."""
    if point == ALL:
        return tuple(Point)
    try:
        return (Point(point),)
    except ValueError:
        names = ", ".join([ALL, *(known.value for known in Point)])
        raise BadInput(f"unknown point {point!r}; valid are {names}. Nothing was changed") from None


def parse_floor(name: str) -> Version:
    """Raises BadInput that lists the valid names."""
    try:
        return Version.parse_floor(name)
    except UnknownVersionError as error:
        raise BadInput(f"{error}. Nothing was changed") from None


class FloorsService:
    def __init__(self, core: Core, fleet: Callable[[], Fleet]) -> None:
        self._core = core
        self._fleet = fleet
        # One change at a time: what was judged is what is written.
        self._changing = threading.RLock()

    @permits(Permission.FLOORS_READ)
    def show(self, principal: Principal) -> FloorsView:
        """All points, what waits to be sent, and a hand edit that is not in force yet."""
        return self.view()

    @internal
    def view(self) -> FloorsView:
        """The same for the manager's own looks."""
        settings = self._core.home.config

        def work(
            connection: Connection,
        ) -> tuple[
            FloorState,
            int,
            PendingCount,
            dict[str, tuple[Version | None, ...]],
            dict[Point, tuple[int, ...]],
            dict[Point, CipherProfile],
        ]:
            own = {p.name: (p.relay_floor, p.agent_floor) for p in policy_table.all_policies(connection)}
            return (
                floor_state.read(connection),
                facts.counter(connection, facts.FLOOR_GENERATION),
                count_pending(connection),
                {name: floors for name, floors in own.items() if name != policy_rules.BASE},
                {
                    Point.GUI: (settings.gui_port,),
                    Point.HEARTBEAT: (settings.heartbeat_port,),
                    Point.RELAY: count_table.ports_in_use(connection, "relay_port", PORTS),
                    Point.AGENT: count_table.ports_in_use(connection, "listen_port", PORTS),
                },
                floor_state.profiles(connection),
            )

        state, generation, pending, own, ports, profiles = self._core.store.read(work)
        waiting = {Point.RELAY: pending.relays, Point.AGENT: pending.agents}
        places = {Point.RELAY: 0, Point.AGENT: 1}
        views = tuple(
            PointView(
                point,
                ports[point] or (point.default_port,),
                state.floor(point),
                waiting.get(point, 0),
                tuple(
                    (name, floor)
                    for name, floors in own.items()
                    if point in places and (floor := floors[places[point]]) is not None
                ),
                None if point in places else profiles.get(point, DEFAULT),
            )
            for point in Point
        )
        return FloorsView(generation, views, self._drift(state), min(state.heartbeat, state.gui))

    @permits(Permission.FLOORS_READ)
    def file(self, principal: Principal) -> FileView:
        """What the file says of 4119, and whether that is in force. Counts no computers."""
        state = self._core.store.read(floor_state.read)
        return FileView(str(self._core.home.config_path), state.protocols, self._drift(state))

    @permits(Permission.FLOORS_READ)
    def minimum(self, principal: Principal) -> MinimumView:
        state = self._core.store.read(floor_state.read)
        return MinimumView(state.heartbeat, state.gui, min(state.heartbeat, state.gui))

    @permits(Permission.FLOORS_READ)
    def history(self, principal: Principal, limit: int = 100) -> tuple[FloorHistoryEntry, ...]:
        """Newest first."""
        rows = self._core.store.read(lambda c: table.history(c, min(max(limit, 1), 10_000)))
        return tuple(
            FloorHistoryEntry(
                row.generation,
                row.time,
                Point(row.point),
                row.before,
                row.floor,
                row.who,
                row.via,
                row.address,
                row.cause,
                row.forced,
                row.reason,
                tuple(row.named),
                row.policy,
            )
            for row in rows
        )

    @permits(Permission.FLOORS_READ)
    def outlook(self, principal: Principal, floor: str, point: str = ALL) -> tuple[PointChange, ...]:
        """Where `set` would lead: the points asked for, and 4119 where it would follow 4120. Raises BadInput."""
        target, points = parse_floor(floor), parse_points(point)
        before = self._core.store.read(floor_state.read)
        after = before.with_floor(target, points)
        return tuple(
            PointChange(one, before.floor(one), after.floor(one))
            for one in Point
            if one in points or before.floor(one) is not after.floor(one)
        )

    @permits(Permission.FLOORS_CHANGE)
    def set(
        self,
        principal: Principal,
        floor: str,
        point: str = ALL,
        force: bool = False,
        reason: str | None = None,
        *,
        seen: Collection[str] | None = None,
    ) -> FloorChange:
        """Raises BadInput (unknown version, point; force without reason), Blocked, Forbidden, Unavailable.

        `seen` are the ids of those whom a person was shown: Blocked where others would be cut off too.

        4119 follows 4120 where its file has no ``protocols=`` line, and then stands in `changed` too.
        """
        target, points = parse_floor(floor), parse_points(point)
        consent = Consent(force, reason).checked()
        with self._changing:
            self._core.store.read(check_no_change)
            before = self._core.store.read(floor_state.read)
            after = before.with_floor(target, points)
            check_not_locked_out(principal, before.gui, after.gui)
            raised = [p for p in Point if after.floor(p) > before.floor(p)]
            if raised:
                self._core.store.read(lambda c: check_no_upgrade(c, "no floor is raised"))
            try:
                judged = judge_raise(self._fleet, target, raised, consent)
            except Blocked as error:
                self._note_refusal(principal, target, points, error)
                raise
            check_seen(judged.preflight, seen)
            warnings = self._replaced_edit(before) if Point.GUI in points else ()
            write_file = Point.GUI in points
            change = self._commit(principal, after, judged, consent.reason, "set", write_file)
        return replace(change, warnings=warnings + change.warnings)

    @permits(Permission.FLOORS_CHANGE)
    def set_minimum(
        self,
        principal: Principal,
        floor: str,
        force: bool = False,
        reason: str | None = None,
        *,
        seen: Collection[str] | None = None,
    ) -> FloorChange:
        """``dsm_c -action settlsprotocol`` (R13, R16): 4120, the base policy's relay and agent floor, and 4119."""
        return self.set(principal, floor, ALL, force, reason, seen=seen)

    @internal
    def move(
        self,
        principal: Principal,
        after: Callable[[FloorState], FloorState],
        reason: str,
        cause: str,
        also: Callable[[Unit, FloorState, FloorState], None],
    ) -> FloorChange:
        """A step of a staged change: the floors, and in the same transaction what `also` does with before and after.

        Whatever `also` raises leaves everything as it was. The gates use the new floors when this returns.
        """
        with self._changing:
            before = self._core.store.read(floor_state.read)
            wanted = after(before)
            write_file = config.digest(wanted.protocols) != config.digest(before.protocols)
            change = self._commit(
                principal, wanted, Judged(None), reason, cause, write_file, lambda unit: also(unit, before, wanted)
            )
            # Rules may have moved where floors did not.
            self._core.publish_floors()
        return change

    @permits(Permission.MANAGER_CHANGE)
    def reload(self, principal: Principal) -> ReloadResult:
        """Reads configuration.properties again (R15). Malformed: BadInput with line and column, the old one stays."""
        with self._changing:
            old = self._core.home.config
            try:
                new = self._core.home.read_config()
            except ConfigurationError as error:
                raise BadInput(
                    f"{error.message}. The settings read before stay in force; mend the file and reload"
                ) from error
            change = self._take_edit(principal, new.protocols)
            self._core.home.config = new
        moved = tuple(name for name in config.AT_START if getattr(new, name) != getattr(old, name))
        if new != old:
            before, after = _settings(old), _settings(new)
            self._core.write(lambda unit: unit.audit(principal, "manager.reload", "configuration", before, after))
        return ReloadResult(change, moved, new.unknown)

    @internal
    def start(self) -> FloorChange:
        """At start: finishes an interrupted file write and takes a hand edit; publishes the snapshot."""
        with self._changing:
            self._finish_write()
            self._follow_file()
            self._core.home.config = self._core.home.read_config()
            change = self._take_edit(SYSTEM, self._core.home.config.protocols)
            self._core.publish_floors()
        return change

    @internal
    def follow(self) -> bool:
        """Takes what another manager on the database has changed: the gates, and this home's own file. Whether it had.

        A manager that is alone has nothing to follow.
        """
        moved = self._core.refresh_floors()
        if self._core.store.database.shared:
            with self._changing:
                self._follow_file()
        return moved

    def _follow_file(self) -> None:
        """Each node has a file of its own (design §11): where it still says what was last written to it, and another
        node has changed ``protocols=`` since, it is written anew. What a person wrote there stays, and is an edit.
        """
        if not self._core.store.database.shared:
            return
        fact = f"{facts.PROTOCOLS_FILE}{self._core.home.node}"
        written, state = self._core.store.read(lambda c: (facts.get(c, fact), floor_state.applied_protocols(c)))
        wanted = config.digest(state)
        if written == wanted:
            return
        try:
            in_file = config.digest(self._core.home.protocols_in_file())
        except ConfigurationError:
            return  # a person is at it; the next start says what is wrong
        if in_file != wanted:
            if written is not None and in_file != written:
                return
            if written is None and not self._is_joined():
                return
            if self._write_file(state):
                return
        self._core.store.write(lambda c: facts.put(c, fact, wanted))

    def _is_joined(self) -> bool:
        """Whether this home came to an installation that others had begun: its file has never said anything."""
        return (self._core.home.path / JOINED).exists()

    @internal
    def snapshot(self) -> FloorSnapshot:
        return self._core.store.read(floor_state.snapshot)

    @internal
    def drift_of(self, state: FloorState) -> Drift | None:
        """What the file says otherwise than that state."""
        return self._drift(state)

    def _drift(self, state: FloorState) -> Drift | None:
        """What a person wrote into the file and nobody applied yet."""
        try:
            in_file = self._core.home.read_config().protocols
        except ConfigurationError as error:
            return Drift(None, state.protocols, None, f"{error.message}. What was read before stays in force")
        if config.digest(in_file) == config.digest(state.protocols):
            return None
        floor = config.gui_floor(in_file, state.heartbeat)
        said = f"protocols={in_file}" if in_file is not None else "no protocols= line"
        message = f"configuration.properties has {said}, which is not in force yet: reload or restart the manager"
        return Drift(in_file, state.protocols, floor, message)

    def _replaced_edit(self, before: FloorState) -> tuple[str, ...]:
        drift = self._drift(before)
        if drift is None:
            return ()
        return (f"an edit of protocols= that was not in force yet was replaced ({drift.in_file or 'no line'})",)

    def _note_refusal(self, principal: Principal, target: Version, points: tuple[Point, ...], error: Blocked) -> None:
        where = ",".join(point.value for point in points)
        refused = {"floor": target.value, "refused": error.message}
        self._core.write(lambda unit: unit.audit(principal, "floors.set.refused", where, None, refused))

    def _take_edit(self, principal: Principal, in_file: str | None) -> FloorChange:
        """The file decides 4119: a changed value is applied, and goes into the history as an edit."""
        before = self._core.store.read(floor_state.read)
        after = replace(before, protocols=in_file)
        raised = [Point.GUI] if after.gui > before.gui else []
        # An edit is a fact on the disk; the judgement says whom it cuts off, and stops nothing.
        judged = judge_raise(self._fleet, after.gui, raised, Consent(True, "edit"))
        return self._commit(principal, after, judged, None, "edit", write_file=False)

    def _commit(
        self,
        principal: Principal,
        after: FloorState,
        judged: Judged,
        reason: str | None,
        cause: str,
        write_file: bool,
        also: Callable[[Unit], None] = lambda unit: None,
    ) -> FloorChange:
        before_value = self._core.home.protocols_in_file() if write_file else None
        writing = write_file and config.digest(before_value) != config.digest(after.protocols)

        def work(unit: Unit) -> tuple[tuple[PointChange, ...], int, PendingCount]:
            before = floor_state.read(unit.connection)
            generation = floor_state.store(unit.connection, before, after, unit.now)
            if writing:
                facts.put(unit.connection, facts.PROTOCOLS_WRITING, config.digest(before_value))
            changed = tuple(
                PointChange(point, before.floor(point), after.floor(point))
                for point in Point
                if before.floor(point) is not after.floor(point)
            )
            for change in changed:
                _note(unit, principal, change, judged, reason, cause, generation)
            also(unit)
            return changed, generation, count_pending(unit.connection)

        changed, generation, pending = self._core.write(work)
        if changed:
            self._core.publish_floors()
        warnings = self._write_file(after.protocols) if writing else ()
        if self._core.store.database.shared and not warnings:
            fact = f"{facts.PROTOCOLS_FILE}{self._core.home.node}"
            self._core.store.write(lambda c: facts.put(c, fact, config.digest(after.protocols)))
        return FloorChange(changed, judged.preflight, pending.computers, generation, warnings)

    def _write_file(self, value: str | None) -> tuple[str, ...]:
        try:
            config.write_protocols(self._core.home.config_path, value)
        except OSError as error:
            # The floor is stored and in force; the next start writes the file.
            log.warning("configuration.properties could not be written: %s", error)
            return (f"the floor is in force, but configuration.properties could not be written ({error.strerror})",)
        self._core.store.write(lambda c: facts.drop(c, facts.PROTOCOLS_WRITING))
        self._core.home.config = replace(self._core.home.config, protocols=value)
        return ()

    def _finish_write(self) -> None:
        """After a crash between commit and file write: the store wins, unless a person edited the file since."""
        replaced, applied = self._core.store.read(
            lambda c: (facts.get(c, facts.PROTOCOLS_WRITING), floor_state.applied_protocols(c))
        )
        if replaced is None:
            return
        if config.digest(self._core.home.protocols_in_file()) == replaced:
            config.write_protocols(self._core.home.config_path, applied)
        self._core.store.write(lambda c: facts.drop(c, facts.PROTOCOLS_WRITING))


def check_no_change(connection: Connection) -> None:
    """Raises Conflict where a staged change moves floors: two hands on one floor would undo each other."""
    running = changes.under_way(connection)
    if running is not None:
        raise Conflict(
            f"change {running.id} to {running.target} is under way ({running.state}, stage {running.stage}); nothing"
            f" was changed. To take it back at once: plimsoll change abort {running.id}"
        )


def _note(
    unit: Unit,
    principal: Principal,
    change: PointChange,
    judged: Judged,
    reason: str | None,
    cause: str,
    generation: int,
) -> None:
    """History, audit and an event: who moved which floor, why, and over whose heads."""
    forced = judged.forced and cause == "set" and change.after > change.before
    named = [*judged.named] if forced else []
    policy = policy_rules.BASE if change.point in (Point.RELAY, Point.AGENT) else None
    entry = table.HistoryRecord(
        generation=generation,
        time=unit.now,
        point=change.point.value,
        before=change.before,
        floor=change.after,
        who=principal.who,
        via=principal.via,
        address=principal.address,
        cause=cause,
        forced=forced,
        reason=reason,
        named=named,
        policy=policy,
    )
    table.add_history(unit.connection, entry)
    after = {"floor": change.after.value, "cause": cause, "forced": forced, "reason": reason, "named": named}
    unit.audit(principal, "floors.set", change.point.value, {"floor": change.before.value}, after)
    how = "by an edit of configuration.properties" if cause == "edit" else f"by {principal.name}"
    text = f"the TLS floor of {change.point.value} went from {change.before} to {change.after} {how}"
    text += (f", forced although it cuts off {', '.join(named)}" if forced else "") + (f": {reason}" if reason else "")
    unit.event(
        NewEvent(
            event_numbers.FLOOR_CHANGED,
            "warning" if forced or change.after < change.before else "info",
            text,
            target=change.point.value,
            extra={"from": change.before.value, "to": change.after.value, "generation": generation},
        )
    )


def _settings(configuration: Configuration) -> dict[str, object]:
    """As the audit trail can keep it: networks are texts there."""
    settings = {name: value for name, value in asdict(configuration).items() if name != "unknown"}
    return settings | {"scan_networks": [str(network) for network in configuration.scan_networks]}

"""Who would be cut off, what to do, who talks to whom: the fleet as stored, judged by `fleet/`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from plimsoll import RELEASE
from plimsoll.fleet.advice import Advice, advise
from plimsoll.fleet.parts import Database, Fleet, Part, PolicyFloor, Program, RelayFloor
from plimsoll.fleet.picture import Link, links
from plimsoll.fleet.preflight import Preflight, judge
from plimsoll.fleet.relay_drift import drift_of
from plimsoll.manager.ports import BadInput, NotFound, Permission, Principal, internal, permits
from plimsoll.manager.services import database_checks, floor_state, policy_rules, relay_look
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.floors import parse_floor, parse_points
from plimsoll.manager.services.probers import OWN_SCAN
from plimsoll.manager.services.sightings import SightingsService
from plimsoll.manager.store import Connection, access, facts, sightings
from plimsoll.manager.store import computer_counts as count_table
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import policies as policy_table
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.messages import Direction, Kind
from plimsoll.tls.floors import Point, Rule
from plimsoll.tls.versions import Version

#: A program that was not seen for that long, in seconds, is no longer counted as one.
PROGRAM_DAYS = 30 * 86400.0

#: The direction in which an agent listens nowhere.
_CALLS_ONLY = Direction.AGENT_INITIATED

Excused = Callable[[str, str | None], tuple[Rule, ...]]

#: What is read of every computer for a judgement, in this order.
_COLUMNS = (
    "id",
    "kind",
    "display_name",
    "hostname",
    "version",
    "address",
    "offered",
    "negotiated",
    "observed_at",
    "last_seen",
    "online",
    "platform",
    "relay_group_id",
    "policy_id",
    "state",
    "own_direction",
    "ja4",
    "number",
)


@dataclass(frozen=True, slots=True)
class RelayView:
    """A relay's floor four ways, never one for another: required, sent, acknowledged and reported, observed.

    `holds` is what R17 concludes without a handshake, with its `origin`; `observed` what a handshake showed,
    `looked_at` when one was last tried. `drift` says in words where these contradict, `drift_since` since when.
    """

    id: str
    number: int
    name: str
    version: str
    address: str
    port: int
    relay_group: str | None
    required: Version
    sent: Version | None
    sent_at: float | None
    acked_at: float | None
    reported: Version | None
    reported_origin: str | None
    reported_at: float | None
    observed: Version | None
    observed_at: float | None
    observed_detail: str
    looked_at: float | None
    holds: Version
    origin: str
    pending: bool
    drift: str | None
    drift_kind: str | None
    drift_since: float | None


class JudgementService:
    def __init__(self, core: Core, seen: SightingsService) -> None:
        self._core = core
        self._seen = seen

    @permits(Permission.FLOORS_READ)
    def preflight(self, principal: Principal, to: str, point: str | Collection[str] = "all") -> Preflight:
        """Could these points hold that floor, and who would be cut off?"""
        target = parse_floor(to)
        names = [point] if isinstance(point, str) else list(point)
        if not names:
            raise BadInput("say for which points; nothing was judged")
        return self.judge(target, {found for name in names for found in parse_points(name)})

    @internal
    def judge(self, target: Version, points: Collection[Point]) -> Preflight:
        """The same for the manager's own steps."""
        fleet = self.fleet()
        self._note_since(fleet.parts, target)
        return judge(fleet, target, points)

    def _note_since(self, parts: Iterable[Part], target: Version) -> None:
        """Since when those that are seen offering too little are seen doing so."""
        low = {version: version < target for version in Version}
        slow = {f"computer:{part.id}": part for part in parts if part.offered is not None and low[part.offered]}
        if not slow:
            return
        first = self._core.store.read(lambda c: sightings.offering_since(c, list(slow)))
        for (who, offered), since in first.items():
            if slow[who].offered is offered:
                slow[who].since = since

    @permits(Permission.FLOORS_READ)
    def advice(self, principal: Principal) -> Advice:
        floors = self._core.store.read(floor_state.read).floors()
        return advise(self.fleet(), min(floors.values(), key=lambda floor: floor.rank))

    @permits(Permission.FLOORS_READ)
    def picture(self, principal: Principal) -> tuple[Link, ...]:
        """Who talks to whom at the floors in force, each relay with the floor that it holds (R19)."""
        return tuple(links(self.fleet(), self._core.store.read(floor_state.read).floors()))

    @permits(Permission.COMPUTERS_READ)
    def relays(self, principal: Principal) -> tuple[RelayView, ...]:
        return self.relay_views()

    @internal
    def relay_views(self) -> tuple[RelayView, ...]:
        """The same for the manager's own looks."""

        def work(connection: Connection) -> tuple[RelayView, ...]:
            policies = policy_rules.resolve(policy_table.all_policies(connection))
            groups = {group.id: group.name for group in policy_table.all_groups(connection)}
            found = computer_table.find(connection, kind=Kind.RELAY.value)
            return tuple(_relay_view(relay, policies[relay.policy_id], groups, self._core.clock()) for relay in found)

        return self._core.store.read(work)

    @permits(Permission.COMPUTERS_READ)
    def relay(self, principal: Principal, computer: str) -> RelayView:
        """One relay's, by its id or number. Raises NotFound for what is none."""

        def work(connection: Connection) -> RelayView:
            found = computer_table.one(connection, computer)
            if found is None or found.kind != Kind.RELAY.value:
                raise NotFound(f"there is no relay {computer!r}; nothing was changed")
            policies = policy_rules.resolve(policy_table.all_policies(connection))
            groups = {group.id: group.name for group in policy_table.all_groups(connection)}
            return _relay_view(found, policies[found.policy_id], groups, self._core.clock())

        return self._core.store.read(work)

    @internal
    def fleet(self) -> Fleet:
        """All parts and programs with what was seen of them, what is still in memory included."""
        self._seen.absorb()
        return self._core.store.read(self._read_fleet)

    @internal
    def one(self, connection: Connection, computer: ComputerRecord) -> Fleet:
        """That computer alone, as `fleet` would have it: nobody else is read."""
        now = self._core.clock()
        policies = policy_rules.resolve(policy_table.all_policies(connection))
        parts = self._read_parts(connection, policies, computer)
        refused = refused_computers(connection, now, computer)
        if refused:
            _note_refusals(parts, refused)
        return Fleet(parts=tuple(parts), at=now)

    @internal
    def note_since(self, fleet: Fleet, target: Version) -> None:
        """Since when those that are seen offering less than the target are seen doing so."""
        self._note_since(fleet.parts, target)

    @internal
    def absorb(self) -> None:
        """What was observed and is not stored yet goes to the store, so that the next look finds it there."""
        self._seen.absorb()

    def _read_fleet(self, connection: Connection) -> Fleet:
        policies = policy_rules.resolve(policy_table.all_policies(connection))
        refused = refused_computers(connection, self._core.clock())
        relays = {relay.id: relay for relay in computer_table.find(connection, kind=Kind.RELAY.value)}
        parts = self._read_parts(connection, policies, relays=relays)
        if refused:
            _note_refusals(parts, refused)
        origin = facts.get(connection, facts.ORIGIN)
        return Fleet(
            parts=(*self._own_parts(), *_checked_databases(connection), *parts),
            programs=_programs(connection, self._core.clock(), _excused(connection, self._core.clock())),
            installation="upgrade" if origin == "upgrade" else "new",
            installed_from=facts.get(connection, facts.INSTALLED_FROM),
            policies=_policy_floors(connection, policies, relays),
            at=self._core.clock(),
        )

    def _read_parts(
        self,
        connection: Connection,
        policies: Mapping[int, policy_rules.Effective],
        only: ComputerRecord | None = None,
        relays: Mapping[str, ComputerRecord] | None = None,
    ) -> list[Part]:
        """All computers, or `only` that one; `relays` are all there are, read here where they are not given."""
        groups = {group.id: group.name for group in policy_table.all_groups(connection)}
        excused = _excused(connection, self._core.clock())
        if relays is None:
            relays = {relay.id: relay for relay in computer_table.find(connection, kind=Kind.RELAY.value)}
        served = {relay.relay_group_id for relay in relays.values()}
        points = {
            (identifier, has_relay): _points(policy.direction, has_relay)
            for identifier, policy in policies.items()
            for has_relay in (True, False)
        }
        own = {
            (direction.value, has_relay): _points(direction, has_relay)
            for direction in Direction
            for has_relay in (True, False)
        }
        return [
            Part(
                id=row[0],
                kind=row[1],
                name=row[2] or row[3] or row[0],
                version=row[4] or None,
                address=row[5] or None,
                points=points[row[13], row[12] in served] if row[15] is None else own[row[15], row[12] in served],
                offered=row[6],
                negotiated=row[7],
                observed_at=row[8],
                last_seen=row[9],
                online=row[10],
                relay=_relay_floor(relays[row[0]]) if row[0] in relays else None,
                platform=row[11] or None,
                relay_group=groups.get(row[12]),
                exceptions=excused(row[5], row[0]) if excused is not None else (),
                ja4=row[16],
                number=row[17],
            )
            for row in computer_table.select_columns(connection, *_COLUMNS, only=None if only is None else only.id)
            if row[14] != "revoked"
        ]

    def _own_parts(self) -> tuple[Part, Part]:
        now = self._core.clock()
        name = self._core.home.config.public_name or "this manager"
        manager = Part(
            id="manager",
            kind="manager",
            name=name,
            version=RELEASE,
            points=frozenset(Point),
            last_seen=now,
            online=True,
        )
        # The embedded database is a file: nothing is connected to, so nothing can be cut off. PostgreSQL supports
        # TLS 1.2 in every release (R4).
        store = self._core.store.database
        embedded = store.kind == "sqlite"
        protection = store.link.protection if store.link is not None else ""
        spoken = next((version for version in Version if version.value == protection), None)
        database = Part(
            id="database",
            kind="database",
            name="the embedded database" if embedded else "the PostgreSQL database",
            points=frozenset({Point.HEARTBEAT}),
            last_seen=now,
            online=True,
            database=Database(store.kind, encrypted=protection.startswith("TLS"), speaks=spoken),
        )
        return manager, database


def _checked_databases(connection: Connection) -> list[Part]:
    """Databases of other kinds that somebody had checked (R4): only an SQL Server can block."""
    return [
        Part(
            id=f"database:{one.address}",
            kind="database",
            name=f"{one.label} at {one.place}",
            address=one.place,
            points=frozenset({Point.HEARTBEAT}),
            offered=one.speaks,
            observed_at=one.time,
            last_seen=one.time,
            database=Database(one.engine, encrypted=one.encrypted, speaks=one.speaks, ours=False),
        )
        for one in database_checks.read(connection)
    ]


def _excused(connection: Connection, now: float) -> Excused | None:
    """Says which exceptions in force are for an address or a computer; None where there is none at all."""
    rules = [rule for rule in floor_state.snapshot(connection).rules if not rule.raises and rule.active(now)]
    if not rules:
        return None
    by_computer: dict[str, list[Rule]] = {}
    by_source = [rule for rule in rules if rule.source is not None]
    for rule in rules:
        if rule.computer is not None:
            by_computer.setdefault(rule.computer, []).append(rule)

    def excused(address: str, computer: str | None) -> tuple[Rule, ...]:
        own = by_computer.get(computer, []) if computer is not None else []
        return (*own, *(rule for rule in by_source if address and rule.covers(address)))

    return excused


def refused_computers(connection: Connection, now: float, only: ComputerRecord | None = None) -> dict[str, Any]:
    """The newest refusal at 4120 of each computer that it is certainly about: its own certificate, or a hello whose
    address and fingerprint are those of its last own handshake and of nobody else's. `only` looks for that one's."""
    hello = None if only is None else (f"computer:{only.id}", only.address, only.ja4)
    rows = sightings.refusals(connection, Point.HEARTBEAT.value, now - PROGRAM_DAYS, but=OWN_SCAN, of=hello)
    if not rows:
        return {}
    looks = computer_table.by_hello(connection, sorted({row.address for row in rows if not row.who}))
    found: dict[str, Any] = {}
    for row in rows:  # the newest last
        if row.who.startswith("computer:"):
            found[row.who.removeprefix("computer:")] = row
            continue
        alike = looks.get((row.address, row.ja4), [])
        if not row.who and len(alike) == 1:
            found[alike[0]] = row
    return found


def _note_refusals(parts: Iterable[Part], refused: Mapping[str, Any]) -> None:
    for part in parts:
        row = refused.get(part.id)
        # One that got through since then was let in again, or upgraded.
        if row is None or (part.observed_at is not None and row.last_ <= part.observed_at):
            continue
        if row.outcome in sightings.REFUSED:
            part.refused, part.refused_at = row.offered, row.last_
        else:
            part.suites_shared = False


def _policy_floors(
    connection: Connection, resolved: Mapping[int, policy_rules.Effective], relays: Mapping[str, ComputerRecord]
) -> tuple[PolicyFloor, ...]:
    """The policies that set floors of their own, with whom that concerns."""
    known = {one.id: one for one in policy_table.all_policies(connection)}
    own = [one for one in known.values() if one.parent_id is not None]
    if not any(one.relay_floor or one.agent_floor for one in own):
        return ()
    counted = count_table.counted_by_policy(connection)
    found = []
    for one in own:
        if one.relay_floor is None and one.agent_floor is None:
            continue
        heirs = policy_rules.descendants(known, one.id)
        listening = [
            heir
            for heir in heirs
            if resolved[heir].agent_floor is one.agent_floor and resolved[heir].direction is not _CALLS_ONLY
        ]
        serving = {heir for heir in heirs if resolved[heir].relay_floor is one.relay_floor}
        found.append(
            PolicyFloor(
                name=one.name,
                relay=one.relay_floor,
                agent=one.agent_floor,
                relays=sum(relay.policy_id in serving for relay in relays.values()),
                listeners=sum(counted.get(heir, 0) for heir in listening),
            )
        )
    return tuple(found)


def _points(direction: Direction, has_relay: bool) -> frozenset[Point]:
    """Where a computer meets a floor: 4118 where it listens, 4120 where it calls, 4122 where relays serve it."""
    points: set[Point] = set()
    if direction is not Direction.AGENT_INITIATED:
        points.add(Point.AGENT)
    if direction is not Direction.MANAGER_INITIATED:
        points.add(Point.HEARTBEAT)
    if has_relay:
        points.add(Point.RELAY)
    return frozenset(points)


def _relay_floor(relay: ComputerRecord) -> RelayFloor:
    return RelayFloor(
        sent=relay.relay_floor_sent,
        sent_at=relay.floors_sent_at,
        acknowledged=policy_rules.acknowledged(relay),
        kept=relay.relay_floor_kept,
        reported=relay.relay_reported,
        reported_at=relay.relay_reported_at,
        observed=relay.relay_observed,
        observed_at=relay.relay_observed_at,
    )


def _relay_view(relay: ComputerRecord, policy: policy_rules.Effective, groups: dict[int, str], now: float) -> RelayView:
    required, held = policy.relay_floor, policy_rules.held_relay_floor(relay)
    drift = drift_of(relay_look.facts(relay, policy), now)
    return RelayView(
        id=relay.id,
        number=relay.number,
        name=relay.display,
        version=relay.version,
        address=relay.address,
        port=relay.relay_port or Point.RELAY.default_port,
        relay_group=None if relay.relay_group_id is None else groups.get(relay.relay_group_id),
        required=required,
        sent=relay.relay_floor_sent,
        sent_at=relay.floors_sent_at,
        acked_at=relay.policy_acked_at if policy_rules.acknowledged(relay) else None,
        reported=relay.relay_reported,
        reported_origin=relay.relay_reported_origin,
        reported_at=relay.relay_reported_at,
        observed=relay.relay_observed,
        observed_at=relay.relay_observed_at,
        observed_detail=relay.relay_observed_detail,
        looked_at=relay.relay_looked_at,
        holds=held.floor,
        origin=held.origin,
        pending=held.floor is not required,
        drift=None if drift is None else drift.text,
        drift_kind=None if drift is None else drift.kind,
        drift_since=relay.relay_drift_since,
    )


def _programs(connection: Connection, now: float, excused: Excused | None) -> tuple[Program, ...]:
    """Clients of 4119 that were let in: each key or user, from each address, with each kind of TLS client."""
    keys = {f"apikey:{key.id}": key.name for key in access.all_api_keys(connection)}
    programs: list[Program] = []
    refused = {
        (row.address, row.ja4): row.last_
        for row in sightings.refusals(connection, Point.GUI.value, now - PROGRAM_DAYS, but=OWN_SCAN)
        if row.outcome in sightings.REFUSED
    }
    for row in sightings.programs(connection, Point.GUI.value, now - PROGRAM_DAYS, but=OWN_SCAN):
        turned_away = refused.get((row.address, row.ja4))
        who: str = row.who
        key = keys.get(who)
        user = who.removeprefix("user:") if who.startswith("user:") else None
        programs.append(
            Program(
                id=f"{who}|{row.address}|{row.ja4}|{row.offered}",
                name=key or user or who or f"a client at {row.address}",
                address=row.address,
                offered=row.offered,
                observed_at=row.last,
                since=row.since,
                refused_at=turned_away if turned_away is not None and turned_away > row.last else None,
                user_agent=row.user_agent or None,
                api_key=key,
                user=user,
                exceptions=excused(row.address, None) if excused is not None else (),
                ja4=row.ja4,
            )
        )
    return tuple(programs)

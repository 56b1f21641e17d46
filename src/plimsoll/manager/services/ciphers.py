"""Cipher profiles: which suites 4120 and 4119 accept at TLS 1.2, beside their floors.

The store commits, then the gates change their contexts in place; nothing restarts and no ticket is lost. A profile
that lacks suites of the one before is judged first, by what hellos offered. Relays and agents on 4118 serve
`intermediate`, as their release has it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from plimsoll.fleet.cipher_preflight import Question, judge
from plimsoll.fleet.findings import Preflight
from plimsoll.fleet.parts import Fleet
from plimsoll.manager.ports import BadInput, Blocked, Conflict, Forbidden, Permission, Principal, permits
from plimsoll.manager.services import events as event_numbers
from plimsoll.manager.services import floor_state
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.floors import ALL, check_no_change
from plimsoll.manager.services.guard import Consent, Judged, check_seen, some_of
from plimsoll.manager.services.quiet import check_no_upgrade
from plimsoll.manager.store import ciphers as table
from plimsoll.manager.store import facts
from plimsoll.net.contexts import ServerIdentity, served_suites
from plimsoll.net.errors import BadIdentity
from plimsoll.tls.cipher_profiles import DEFAULT, CipherProfile, CipherSuite, UnknownProfileError
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

#: The points whose gates are the manager's own.
OWN = (Point.HEARTBEAT, Point.GUI)


@dataclass(frozen=True, slots=True)
class CipherView:
    """A point with its profile: required are its suites, `served` those that a handshake in memory ended with.

    `missing` are the profile's suites that the certificates or the local OpenSSL do not serve.
    """

    point: Point
    port: int
    profile: CipherProfile
    served: tuple[CipherSuite, ...]
    missing: tuple[CipherSuite, ...]


@dataclass(frozen=True, slots=True)
class ProfileChange:
    point: Point
    before: CipherProfile
    after: CipherProfile


@dataclass(frozen=True, slots=True)
class CipherChange:
    changed: tuple[ProfileChange, ...]
    preflight: Preflight | None
    generation: int


@dataclass(frozen=True, slots=True)
class CipherHistoryEntry:
    """`named` lists the blockers that were overridden."""

    time: float
    point: Point
    before: CipherProfile
    after: CipherProfile
    who: str
    via: str
    address: str
    forced: bool
    reason: str | None
    named: tuple[str, ...]


def parse_profile(name: str) -> CipherProfile:
    """Raises BadInput that lists the valid names."""
    try:
        return CipherProfile.parse(name)
    except UnknownProfileError as error:
        raise BadInput(f"{error}. Nothing was changed") from None


def parse_own_points(names: str | Collection[str]) -> tuple[Point, ...]:
    """The manager's own points by the names that people type. Raises BadInput."""
    asked = [names] if isinstance(names, str) else list(names)
    valid = [ALL, *(point.value for point in OWN)]
    for name in asked:
        if name in (Point.RELAY.value, Point.AGENT.value):
            raise BadInput(
                f"point {name}: relays and agents serve the profile {DEFAULT}, as their release has it, and no other;"
                f" profiles are set at {OWN[0].value} and {OWN[1].value}. Nothing was changed"
            )
        if name not in valid:
            raise BadInput(f"unknown point {name!r}; valid are {', '.join(valid)}. Nothing was changed")
    if not asked:
        raise BadInput("say for which points; nothing was changed")
    return tuple(point for point in OWN if ALL in asked or point.value in asked)


class CiphersService:
    """`identities` are the certificates of a point: (certificate path, key path) of each."""

    def __init__(
        self,
        core: Core,
        fleet: Callable[[], Fleet],
        identities: Callable[[str], Sequence[tuple[str, str]]],
    ) -> None:
        self._core = core
        self._fleet = fleet
        self._identities = identities
        # One change at a time: what was judged is what is written.
        self._changing = threading.Lock()

    @permits(Permission.FLOORS_READ)
    def show(self, principal: Principal) -> tuple[CipherView, ...]:
        """Each own point with its profile, and what a handshake in memory showed of it."""
        profiles = self._core.store.read(floor_state.profiles)
        settings = self._core.home.config
        ports = {Point.HEARTBEAT: settings.heartbeat_port, Point.GUI: settings.gui_port}
        views = []
        for point in OWN:
            profile = profiles.get(point, DEFAULT)
            served = self._served(point, profile)
            missing = tuple(suite for suite in profile.suites if suite not in served)
            views.append(CipherView(point, ports[point], profile, served, missing))
        return tuple(views)

    @permits(Permission.FLOORS_READ)
    def history(self, principal: Principal, limit: int = 100) -> tuple[CipherHistoryEntry, ...]:
        """Newest first."""
        rows = self._core.store.read(lambda c: table.history(c, min(max(limit, 1), 10_000)))
        return tuple(
            CipherHistoryEntry(
                row.time,
                Point(row.point),
                CipherProfile(row.before),
                CipherProfile(row.profile),
                row.who,
                row.via,
                row.address,
                row.forced,
                row.reason,
                tuple(row.named),
            )
            for row in rows
        )

    @permits(Permission.FLOORS_READ)
    def preflight(self, principal: Principal, to: str, point: str | Collection[str] = ALL) -> Preflight:
        """Could these points hold that profile, and who would be cut off?"""
        profile = parse_profile(to)
        return self._judge(profile, parse_own_points(point))

    @permits(Permission.FLOORS_CHANGE)
    def set(
        self,
        principal: Principal,
        profile: str,
        point: str = ALL,
        force: bool = False,
        reason: str | None = None,
        *,
        seen: Collection[str] | None = None,
    ) -> CipherChange:
        """Raises BadInput (unknown profile or point, force without reason), Blocked, Conflict, Forbidden, Unavailable.

        Conflict too where the point's certificates serve nothing of the profile; Blocked too where others would be cut
        off than those `seen`, the ids of whom a person was shown.
        """
        target, points = parse_profile(profile), parse_own_points(point)
        consent = Consent(force, reason).checked()
        with self._changing:
            before = self._core.store.read(floor_state.profiles)
            stricter = [one for one in points if target.is_stricter(before.get(one, DEFAULT))]
            if stricter:
                self._core.store.read(check_no_change)
                self._core.store.read(lambda c: check_no_upgrade(c, "no stricter cipher profile is set"))
            if Point.GUI in stricter:
                _check_not_locked_out(principal, target)
            try:
                judged = self._judge_stricter(target, stricter, consent)
            except Blocked as error:
                where = ",".join(one.value for one in points)
                refused = {"profile": target.value, "refused": error.message}
                self._core.write(lambda unit: unit.audit(principal, "ciphers.set.refused", where, None, refused))
                raise
            check_seen(judged.preflight, seen)
            changed, generation = self._core.write(
                lambda unit: _store(unit, principal, target, points, judged, consent)
            )
            if changed:
                self._core.publish_floors()
        return CipherChange(changed, judged.preflight, generation)

    def _judge_stricter(self, target: CipherProfile, stricter: Sequence[Point], consent: Consent) -> Judged:
        if not stricter:
            return Judged(None)
        preflight = self._judge(target, stricter)
        for point in stricter:
            if not self._served(point, target):
                raise Conflict(
                    f"the certificates of {point.value} serve no suite of {target} with the local OpenSSL;"
                    " nothing was changed. Look at what they are: plimsoll manager certificate"
                )
        named = tuple(dict.fromkeys(finding.who for finding in preflight.blockers))
        if not named or consent.force:
            return Judged(preflight, bool(named), named)
        where = ", ".join(point.value for point in preflight.points)
        raise Blocked(
            f"cipher profile {target} on {where} would cut off {some_of(named)}; nothing was changed."
            " Give them a suite of it, or force it with a reason",
            preflight,
        )

    def _judge(self, profile: CipherProfile, points: Sequence[Point]) -> Preflight:
        fleet = self._fleet()
        served = {point: self._served(point, profile) for point in points}
        return judge(fleet, Question(profile, served, self._core.store.read(table.offers)))

    def _served(self, point: Point, profile: CipherProfile) -> tuple[CipherSuite, ...]:
        identities = [ServerIdentity(*pair) for pair in self._identities(point.value)]
        try:
            return served_suites(identities, profile)
        except BadIdentity as error:
            raise Conflict(f"{error}; what {point.value} serves cannot be looked at, and nothing was changed") from None


def _check_not_locked_out(principal: Principal, target: CipherProfile) -> None:
    """A session or key whose own connection would be refused could not take it back."""
    if principal.tls is Version.TLS1_2 and principal.suite and not target.allows(principal.suite):
        raise Forbidden(
            f"your own connection uses {principal.suite} and would be refused under {target}; nothing was changed."
            " Connect with a suite of it or with TLSv1.3, or do it on the manager's computer"
        )


def _store(
    unit: Unit,
    principal: Principal,
    target: CipherProfile,
    points: Collection[Point],
    judged: Judged,
    consent: Consent,
) -> tuple[tuple[ProfileChange, ...], int]:
    before = floor_state.profiles(unit.connection)
    changed = tuple(
        ProfileChange(point, before.get(point, DEFAULT), target)
        for point in points
        if before.get(point, DEFAULT) is not target
    )
    for change in changed:
        _note(unit, principal, change, judged, consent.reason)
    if not changed:
        return changed, facts.counter(unit.connection, facts.FLOOR_GENERATION)
    return changed, facts.advance(unit.connection, facts.FLOOR_GENERATION, unit.now)


def _note(unit: Unit, principal: Principal, change: ProfileChange, judged: Judged, reason: str | None) -> None:
    """Profile, history, audit and an event: who, which, why, and over whose heads."""
    stricter = change.after.is_stricter(change.before)
    forced = judged.forced and stricter
    named = [*judged.named] if forced else []
    table.put(
        unit.connection,
        table.ProfileRecord(
            time=unit.now,
            point=change.point.value,
            before=change.before.value,
            profile=change.after.value,
            who=principal.who,
            via=principal.via,
            address=principal.address,
            forced=forced,
            reason=reason,
            named=named,
        ),
    )
    after = {"profile": change.after.value, "forced": forced, "reason": reason, "named": named}
    unit.audit(principal, "ciphers.set", change.point.value, {"profile": change.before.value}, after)
    text = f"the cipher profile of {change.point.value} went from {change.before} to {change.after} by {principal.name}"
    text += (f", forced although it cuts off {', '.join(named)}" if forced else "") + (f": {reason}" if reason else "")
    unit.event(
        NewEvent(
            event_numbers.CIPHERS_CHANGED,
            "warning" if forced or not stricter else "info",
            text,
            target=change.point.value,
            extra={"from": change.before.value, "to": change.after.value},
        )
    )

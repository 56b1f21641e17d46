"""What needs a person now, in order: who is cut off first, then what stands still, then what will end."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from plimsoll.manager.services.change_views import ChangeView
from plimsoll.manager.services.exceptions import ExceptionView
from plimsoll.manager.services.floor_views import Drift, PointView
from plimsoll.manager.services.guard import some_of
from plimsoll.manager.services.overview_views import Expiry, Need, RelayGlance
from plimsoll.manager.services.upgrade_views import UpgradeView
from plimsoll.manager.store.ca import RotationRecord
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version, from_floor

#: An exception that ends sooner than that, in seconds, is said.
EXCEPTION_ENDS = 7 * 86400.0
#: How many names one sentence has.
NAMED = 5
_LEVELS = ("bad", "warm", "soft")
_STANDS = {
    "halted": "was halted",
    "paused": "is paused",
    "awaiting approval": "waits for approval",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """All that the list is made from. Counts are of computers.

    `below` counts those by group that are below the floor that they call at. `problems` counts those that could not
    talk to the manager, `problem_names` are the first of them. `serves` is what each point really serves, where known.
    """

    now: float
    floors: Sequence[PointView]
    drift: Drift | None
    serves: Mapping[Point, Sequence[Version]]
    below: Mapping[str, int]
    problems: int
    problem_names: Sequence[str]
    relays: Sequence[RelayGlance]
    change: ChangeView | None
    upgrade: UpgradeView | None
    rotation: RotationRecord | None
    exceptions: Sequence[ExceptionView]
    expiring: Sequence[Expiry]
    ending_certificates: int
    approvals: int
    offline: int
    targets: Sequence[str]


def needs(seen: Standing) -> tuple[Need, ...]:
    """Ordered: what is worst comes first, and among equals what stands first in this file."""
    return tuple(sorted(_found(seen), key=lambda need: _LEVELS.index(need.level)))


def _found(seen: Standing) -> Iterator[Need]:
    if seen.problems:
        shown = ", ".join(seen.problem_names[:NAMED])
        more = f" and {_number(seen.problems - NAMED)} more" if seen.problems > NAMED else ""
        yield Need(
            "refused",
            "bad",
            f"{_many(seen.problems, 'computer')} cannot talk to the manager: {shown}{more}",
            "See who was refused, then upgrade them, grant an exception, or lower the floor.",
        )
    # Who was refused already is among these, and named above.
    if sum(seen.below.values()) > seen.problems:
        for group, count in seen.below.items():
            yield Need(
                "below",
                "bad",
                f"{_number(count)} {group} {'is' if count == 1 else 'are'} below the floor, and refused when"
                f" {'it calls' if count == 1 else 'they call'}",
                "Upgrade them, grant an exception, or lower the floor.",
                urllib.parse.urlencode({"group": group, "state": "refused"}),
            )
    yield from _work(seen)
    if seen.drift is not None:
        yield Need(
            "drift",
            "bad",
            seen.drift.message,
            "Apply the edit with “plimsoll manager reload”, or set the floor here, which replaces it.",
        )
    for point in seen.floors:
        served = seen.serves.get(point.point)
        missing = [] if served is None else [one.label for one in from_floor(point.floor) if one not in served]
        if missing:
            yield Need(
                "served",
                "warm",
                f"Port {point.port} ({point.point.value}) admits {', '.join(missing)}, but the local OpenSSL does not"
                " serve it",
                "Peers that speak nothing else cannot come in: upgrade them, or OpenSSL on the manager.",
            )
    yield from _relays(seen)
    for one in seen.expiring:
        ended = one.ends <= seen.now
        yield Need(
            one.kind,
            "bad" if ended else "warm",
            f"{one.what} {'has expired' if ended else f'expires in {_days(one.ends - seen.now)}'}",
            "Rotate the CA." if one.kind == "ca" else "Set a new certificate.",
        )
    if seen.ending_certificates:
        yield Need(
            "certificates",
            "warm",
            f"Certificates of {_many(seen.ending_certificates, 'computer')} end within two weeks and were not renewed",
            "Agents renew by themselves while they are online: look at those that are not.",
        )
    yield from _exceptions(seen)
    if seen.approvals:
        yield Need(
            "approvals",
            "warm",
            f"{_many(seen.approvals, 'computer')} {_wait(seen.approvals)} for approval",
            "Approve them if you know them, else delete them.",
        )
    for name in seen.targets:
        yield Need(
            "notifications",
            "warm",
            f"Notifications do not arrive at {name}",
            "Check its address and credentials; what waits is sent once it answers.",
        )
    if seen.offline:
        yield Need(
            "offline",
            "soft",
            f"{_many(seen.offline, 'computer')} {'is' if seen.offline == 1 else 'are'} offline",
            "Look whether they are switched off or were refused.",
        )
    yield from _early(seen)


def _work(seen: Standing) -> Iterator[Need]:
    change, upgrade = seen.change, seen.upgrade
    if change is not None and change.state in _STANDS:
        yield Need(
            "change",
            "bad" if change.state == "halted" else "warm",
            f"Change {change.id} to {change.target.label} {_STANDS[change.state]}"
            + (f": {change.text}" if change.text else ""),
            "Approve it or abort it." if change.state == "awaiting approval" else "Resume it, or take it back.",
            str(change.id),
        )
    if upgrade is not None and upgrade.state in _STANDS:
        yield Need(
            "upgrade",
            "bad" if upgrade.state == "halted" else "warm",
            f"Upgrade {upgrade.id} to {upgrade.target} {_STANDS[upgrade.state]}"
            + (f": {upgrade.text}" if upgrade.text else ""),
            "Look at the computers that failed, then resume it or take it back.",
            str(upgrade.id),
        )
    if seen.rotation is not None and not seen.rotation.options.get("by_itself"):
        step = "switch" if seen.rotation.state == "announce" else "retire"
        yield Need(
            "ca",
            "soft",
            f"A rotation of the CA is under way ({seen.rotation.state})",
            f"Go on with “plimsoll ca {step}” once every computer trusts the new CA.",
        )


def _relays(seen: Standing) -> Iterator[Need]:
    drifting = [relay.name for relay in seen.relays if relay.drift]
    if drifting:
        yield Need(
            "relays",
            "bad",
            f"{_many(len(drifting), 'relay')} {'does' if len(drifting) == 1 else 'do'} not hold the floor that was"
            f" sent: {some_of(drifting)}",
            "Send the policy again, and look at the relay if that does not help.",
        )
    for point in seen.floors:
        if point.point in (Point.RELAY, Point.AGENT) and point.policies_pending:
            what = "relay" if point.point is Point.RELAY else "computer"
            count = point.policies_pending
            yield Need(
                "policies" if what == "computer" else "relays",
                "warm",
                f"{_many(count, what)} {_wait(count)} for Send Policy and {'holds' if count == 1 else 'hold'} another"
                f" floor than {point.floor.label} on {point.port} until then",
                "Send the policy.",
            )


def _exceptions(seen: Standing) -> Iterator[Need]:
    for one in seen.exceptions:
        if one.until - seen.now > EXCEPTION_ENDS:
            continue
        whom = one.source or one.name or one.computer or "?"
        yield Need(
            "exception",
            "warm",
            f"The exception of {whom} ends in {_days(one.until - seen.now)}; it may use {one.floor.label} until then",
            "Upgrade it before, or grant another exception with a reason.",
            str(one.id),
        )


def _early(seen: Standing) -> Iterator[Need]:
    early = [point for point in seen.floors if point.floor < Version.TLS1_2]
    if early:
        where = ", ".join(f"{point.port} ({point.point.value})" for point in early)
        yield Need(
            "raise",
            "soft",
            f"Early TLS is allowed at {where}",
            "See who needs it still, then raise the floor in stages.",
        )


def _many(count: int, one: str) -> str:
    return f"{_number(count)} {one}{'' if count == 1 else 's'}"


def _number(count: int) -> str:
    return f"{count:,}".replace(",", "\u202f")


def _wait(count: int) -> str:
    return "waits" if count == 1 else "wait"


def _days(seconds: float) -> str:
    if seconds < 2 * 3600:
        return f"{max(seconds, 60) / 60:.0f} minutes"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.0f} hours"
    return f"{seconds / 86400:.0f} days"

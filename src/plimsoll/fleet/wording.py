"""The sentences of a finding: why, on what evidence, and what to do about it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from plimsoll.fleet.capabilities import CapabilityTable
from plimsoll.fleet.component import parse_or_none
from plimsoll.fleet.findings import Way
from plimsoll.fleet.kinds import Capability, Certainty
from plimsoll.fleet.parts import Part, PolicyFloor, Program
from plimsoll.tls.floors import Point, Rule
from plimsoll.tls.versions import Version

#: Exceptions are rules of the manager's own gates.
EXCUSABLE = (Point.HEARTBEAT, Point.GUI)
#: For how long an exception is proposed at most: a quarter, in which an upgrade can be planned.
EXCEPTION_DAYS = 90

#: What an administrator upgrades, per kind.
_UPGRADED = {
    "manager": "the manager",
    "relay": "the relay",
    "agent": "the agent",
    "appliance": "the appliance's embedded agent",
}
_EXCEPTION_OR_RETIRE = "give it an exception with an end date, or retire it"


def moment(seconds: float | None) -> str:
    """A time for people, in UTC, to the second."""
    if seconds is None:
        return "at a time that was not kept"
    return time.strftime("on %Y-%m-%d at %H:%M:%S UTC", time.gmtime(seconds))


def subject(part: Part) -> str:
    """What a sentence about the part calls it: ``agent 9.6``."""
    if part.kind == "appliance" and part.version:
        return f"appliance with embedded agent {part.version}"
    return f"{part.kind} {part.version}" if part.version else part.kind


def evidence(part: Part, certainty: Certainty, tabled: Capability | None) -> str:
    """What the judgement rests on, with its date."""
    if certainty is Certainty.SEEN_OFFERING and part.offered is not None:
        settled = f" and settled on {part.negotiated}" if part.negotiated is not None else ""
        return f"its own handshake offered up to {part.offered}{settled}, {moment(part.observed_at)}"
    if certainty is Certainty.SEEN_REFUSED:
        offering = f" offering up to {part.refused}" if part.refused is not None else ""
        return f"a hello like its own{offering} was refused {moment(part.refused_at)}"
    if certainty is Certainty.TABLED and tabled is not None:
        return f"the capability table: {tabled.source}, {tabled.date}"
    return "no handshake of its own on record"


def program_evidence(program: Program) -> str:
    if program.refused_at is not None:
        return f"offered up to {program.offered} and was refused {moment(program.refused_at)}"
    if program.offered is None:
        return "no readable hello on record"
    return f"offered up to {program.offered} {moment(program.observed_at)}"


def excused(rules: tuple[Rule, ...]) -> str:
    """Why an exception lets somebody pass."""
    rule = min(rules, key=lambda rule: (rule.until is None, rule.until or 0.0, rule.reason))
    until = "without an end" if rule.until is None else f"that ends {moment(rule.until)}"
    return f"kept by an exception {until}" + (f" ({rule.reason})" if rule.reason else "")


def upgrade(part: Part, target: Version, table: CapabilityTable, *, enforcing: bool = False) -> str:
    """Which version to upgrade the part to, or what else to do where that cannot be."""
    what = _UPGRADED[part.kind]
    needed = table.first_able(part.kind, target, enforcing=enforcing)
    if needed is None:
        return f"no release of {what} is known to be able to: {_EXCEPTION_OR_RETIRE}"
    version = parse_or_none(part.version)
    if version is not None and version.level >= needed.level:
        return f"its version should be able to: look at its host's TLS library and settings, or {_EXCEPTION_OR_RETIRE}"
    row = table.platform(part.platform)
    if row is not None and row.newest.level < needed.level:
        return (
            f"no agent newer than {row.newest} exists for {row.name} ({row.source}, {row.date}): {_EXCEPTION_OR_RETIRE}"
        )
    order = ", before the agents" if part.kind == "relay" else ""
    return f"upgrade {what} to {needed} or newer{order}"


def ways(
    part: Part, target: Version, table: CapabilityTable, points: Iterable[Point], now: float | None, *, enforcing: bool
) -> tuple[Way, ...]:
    """What can be done about a part that does not speak the target: the version to go to, an exception, an end."""
    found: list[Way] = []
    needed = table.first_able(part.kind, target, enforcing=enforcing)
    version = parse_or_none(part.version)
    row = table.platform(part.platform)
    if needed is not None and (row is None or row.newest.level >= needed.level):
        able = version is not None and version.level >= needed.level
        found.append(Way("look") if able else Way("upgrade", to=str(needed)))
    if part.kind not in ("manager", "database"):
        found += without_upgrade(points, now)
    return tuple(found)


def without_upgrade(points: Iterable[Point], now: float | None) -> list[Way]:
    """An exception, at the points whose gates are the manager's own, or an end."""
    excusable = tuple(point for point in points if point in EXCUSABLE)
    until = None if now is None else float(int(now) + EXCEPTION_DAYS * 86400)
    return [*([Way("exception", until=until, points=excusable)] if excusable else []), Way("retire")]


def policy_reason(policy: PolicyFloor, point: Point, own: Version, reached: int) -> str:
    """Why a raise of the base policy does not reach the policy's computers."""
    what = "relay" if point is Point.RELAY else "agent that listens"
    many = f"{reached} {what}{'s' if reached != 1 and point is Point.RELAY else ''}"
    if point is Point.AGENT and reached != 1:
        many = f"{reached} agents that listen"
    return f"it sets a floor of its own, {own}, for {many}: raising the base policy does not reach them"


def missing(part: Part) -> str:
    """What to do about a part of which nothing is known."""
    if part.kind == "manager":
        return "find out the manager's version"
    return "start it and wait for its heartbeat, or delete it if it is gone"


def suites(target: Version) -> str:
    wanted = "an AES-GCM or ChaCha20 suite" if target >= Version.TLS1_3 else "an ECDHE suite with AES-GCM"
    return f"give it {wanted}; suites with 3DES or RC4 only are never supported"

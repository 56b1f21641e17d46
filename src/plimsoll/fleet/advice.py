"""The decision table (R8): what to do about the floor, and which parts decide it.

A part counts as *older* where it does not speak TLS 1.2: below 10.0 by the table, unless it was seen offering it; what
was observed beats the table in the other direction too, and what nobody knows counts as older.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from plimsoll.fleet import capabilities
from plimsoll.fleet.component import ComponentVersion, parse_or_none
from plimsoll.fleet.kinds import KIND_ORDER
from plimsoll.fleet.parts import Fleet, Installation, Part, PartKind
from plimsoll.tls.versions import Version

#: The kinds that the table asks about; an appliance by its embedded agent.
_ASKED: tuple[PartKind, ...] = ("relay", "agent", "appliance")


class Case(enum.IntEnum):
    """The four cases, in the guide's order."""

    NEW_ALL_MODERN = 1
    NEW_WITH_OLDER = 2
    UPGRADE_ALL_MODERN = 3
    UPGRADE_WITH_OLDER = 4


@dataclass(frozen=True, slots=True)
class Deciding:
    """A part that decided the case, or that must be dealt with before the recommendation can be followed."""

    who: str
    kind: str
    version: str | None
    why: str

    def as_json(self) -> dict[str, Any]:
        return {"who": self.who, "kind": self.kind, "version": self.version, "why": self.why}


@dataclass(frozen=True, slots=True)
class Advice:
    """The answer for a deployment. `alternative` is empty where there is none."""

    case: Case
    title: str
    recommended: str
    alternative: str
    deciding: tuple[Deciding, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "case": self.case.value,
            "title": self.title,
            "recommended": self.recommended,
            "alternative": self.alternative,
            "deciding": [part.as_json() for part in self.deciding],
        }


_TABLE: dict[Case, tuple[str, str, str]] = {
    Case.NEW_ALL_MODERN: (
        "New installation, all parts at 10.0 or newer: nothing to do",
        "nothing to do: TLS 1.2 is used between all parts, and enforced on the manager and the relays",
        "",
    ),
    Case.NEW_WITH_OLDER: (
        "New installation with older parts: they cannot connect",
        "upgrade every older part to 10.0 or newer; TLS 1.2 stays enforced",
        "allow early TLS again, on the manager and, by sending their policies, on the relays",
    ),
    Case.UPGRADE_ALL_MODERN: (
        "Upgrade, all parts at 10.0 or newer: TLS 1.2 can be enforced",
        "enforce TLS 1.2",
        "do nothing: the earlier deployment's settings are kept",
    ),
    Case.UPGRADE_WITH_OLDER: (
        "Upgrade with older parts: nothing urgent",
        "plan the upgrade of every older part to 10.0 or newer, then enforce TLS 1.2",
        "do nothing: the earlier deployment's settings are kept",
    ),
}


def advise(fleet: Fleet, floor: Version | None = None) -> Advice:
    """The advice for a fleet, with the parts that decided it: the older ones, else the oldest of each kind.

    `floor` is the lowest floor in force at any point, where there is one: the guide's words suppose a new
    installation's floor untouched at TLS 1.2, and an upgraded one's not raised yet; where that is not so, the case
    stays and the words say what is.
    """
    advice = _advise(fleet)
    if floor is None or advice.case is Case.UPGRADE_WITH_OLDER:
        return advice
    lowered = floor < Version.TLS1_2
    if advice.case is Case.NEW_ALL_MODERN and lowered:
        title = f"New installation, all parts at 10.0 or newer, but the floor was lowered to {floor}"
        return replace(advice, title=title, recommended="enforce TLS 1.2 again", alternative="")
    if advice.case is Case.NEW_WITH_OLDER and lowered:
        title = f"New installation with older parts: they connect, because the floor was lowered to {floor}"
        recommended = "upgrade every older part to 10.0 or newer, then enforce TLS 1.2 again"
        return replace(advice, title=title, recommended=recommended, alternative="leave early TLS allowed meanwhile")
    if advice.case is Case.UPGRADE_ALL_MODERN and not lowered:
        title = f"Upgrade, all parts at 10.0 or newer: {floor} is enforced"
        return replace(advice, title=title, recommended=f"nothing to do: {floor} is enforced", alternative="")
    return advice


def _advise(fleet: Fleet) -> Advice:
    asked = sorted((part for part in fleet.parts if part.kind in _ASKED), key=_order)
    older = _because(asked, _why_older)
    new = fleet.installation == "new"
    if older:
        case = Case.NEW_WITH_OLDER if new else Case.UPGRADE_WITH_OLDER
        return Advice(case, *_TABLE[case], older)
    case = Case.NEW_ALL_MODERN if new else Case.UPGRADE_ALL_MODERN
    title, recommended, alternative = _TABLE[case]
    deciding = _oldest_of_each_kind(asked)
    if not new and (first := _because(sorted(fleet.parts, key=_order), _why_not_enforcing)):
        recommended = "upgrade what cannot enforce it yet, then enforce TLS 1.2"
        deciding = first + tuple(one for one in deciding if one.who not in {part.who for part in first})
    return Advice(case, title, recommended, alternative, deciding)


def advise_for(
    installation: str,
    oldest_agent: str | None = None,
    oldest_relay: str | None = None,
    oldest_appliance: str | None = None,
) -> Advice:
    """The advice for a fleet that is only described. None means that there is no such part.

    Raises ValueError for an installation that is neither ``new`` nor ``upgrade``, and for an unknown version.
    """
    installations: dict[str, Installation] = {"new": "new", "upgrade": "upgrade"}
    if installation not in installations:
        raise ValueError(f"unknown installation {installation!r}; valid are new, upgrade")
    described: tuple[tuple[PartKind, str | None], ...] = (
        ("agent", oldest_agent),
        ("relay", oldest_relay),
        ("appliance", oldest_appliance),
    )
    parts = [
        Part(id=kind, kind=kind, name=f"the oldest {kind}", version=str(ComponentVersion.parse(version)))
        for kind, version in described
        if version is not None
    ]
    return advise(Fleet.of(parts, installation=installations[installation]))


def _order(part: Part) -> tuple[int, str, str]:
    return KIND_ORDER[part.kind], part.name.casefold(), part.id


def _because(parts: Iterable[Part], why: Callable[[Part], str]) -> tuple[Deciding, ...]:
    """The parts that the question has an answer for, with it."""
    return tuple(Deciding(part.name, part.kind, part.version, answer) for part in parts if (answer := why(part)))


def _why_older(part: Part) -> str:
    """Why the part counts as older, or nothing."""
    if part.offered is not None:
        return "" if part.offered >= Version.TLS1_2 else f"seen offering at most {part.offered}"
    version = parse_or_none(part.version)
    if version is None:
        return "its version is not known and it was not seen offering TLS 1.2: it counts as older"
    if capabilities.capability(part.kind, version).speaks_to >= Version.TLS1_2:
        return ""
    embedded = "its embedded agent is " if part.kind == "appliance" else ""
    return f"{embedded}before 10.0: early TLS only"


def _why_not_enforcing(part: Part) -> str:
    """Why a manager or relay that speaks TLS 1.2 cannot enforce it yet, or nothing."""
    if part.kind not in ("manager", "relay"):
        return ""
    if part.relay is not None and part.relay.observed is not None and part.relay.observed >= Version.TLS1_2:
        return ""
    version = parse_or_none(part.version)
    if version is not None and capabilities.capability(part.kind, version).enforces:
        return ""
    return "cannot enforce TLS 1.2: upgrade it to 10.0 Update 8 or newer first"


def _oldest_of_each_kind(parts: Iterable[Part]) -> tuple[Deciding, ...]:
    oldest: dict[str, tuple[ComponentVersion, Part]] = {}
    seen: dict[str, Part] = {}
    for part in parts:
        version = parse_or_none(part.version)
        if version is None:
            seen.setdefault(part.kind, part)
        elif part.kind not in oldest or version < oldest[part.kind][0]:
            oldest[part.kind] = (version, part)
    chosen = [part for _, part in oldest.values()] + [part for kind, part in seen.items() if kind not in oldest]
    return tuple(Deciding(part.name, part.kind, part.version, _why_modern(part)) for part in sorted(chosen, key=_order))


def _why_modern(part: Part) -> str:
    if part.offered is not None:
        return f"the oldest {part.kind}, seen offering {part.offered}"
    return f"the oldest {part.kind}, at 10.0 or newer"

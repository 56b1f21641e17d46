"""Refused hellos, told as events that name the computer and say TLS (G4).

At the hello nobody has a name yet. It is given to a computer only where address and fingerprint are those of its last
authenticated hello: certain where one computer fits, "one of" where several do. A refused stranger is a sighting and
no event, and so is our own scan, whose source is registered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plimsoll.manager.registry import Known, Registry
from plimsoll.manager.services.events import NewEvent
from plimsoll.net.sightings import Outcome
from plimsoll.tls.floors import Point

if TYPE_CHECKING:
    from plimsoll.net.board import FloorBoard
    from plimsoll.net.sightings import Sighting

COMMUNICATIONS_PROBLEM = 742
COMMUNICATIONS_PROBLEM_RESOLVED = 743
HEARTBEAT_REJECTED = 770
_COMPUTER = "computer:"

#: Seconds between two events about the same computer; those between are counted.
QUIET = 60.0
#: How many names an event lists before it says how many more there are.
NAMES = 8
#: How many computers and groups are remembered for the quiet time.
REMEMBERED = 50_000


@dataclass(slots=True)
class _Told:
    at: float
    unsaid: int = 0


@dataclass(slots=True)
class _Problem:
    """When a computer's problem was last told, and whether that still waits for its 743."""

    at: float
    open: bool


class Refusals:
    """Turns refusals into events. `tell` takes them to the store later; it must not block."""

    def __init__(
        self,
        registry: Registry,
        board: FloorBoard,
        tell: Callable[[list[NewEvent]], None],
        clock: Callable[[], float],
        ours: Callable[[Sighting], bool] = lambda sighting: False,
        watch: Callable[[Sighting, Sequence[tuple[str, str]]], None] = lambda sighting, computers: None,
    ) -> None:
        self._registry = registry
        self._board = board
        self._tell = tell
        self._clock = clock
        self._ours = ours
        self._watch = watch
        self._told: dict[object, _Told] = {}
        self._problems: dict[str, _Problem] = {}

    def remember(self, problems: Mapping[str, tuple[str, float]]) -> None:
        """What was told before a restart and is not resolved: by computer why, and when."""
        for computer, (reason, at) in problems.items():
            known = self._registry.by_id.get(computer)
            if known is not None:
                known.problem = reason
                self._problems[computer] = _Problem(at, True)

    def refused(self, sighting: Sighting) -> None:
        """A hello, or a finished handshake, was below the floor of a port; on 4120 computers are named."""
        if sighting.point is not Point.HEARTBEAT:
            if not self._ours(sighting) and sighting.outcome is not Outcome.FAILED:
                self._watch(sighting, ())
            return
        named = self._named(sighting)
        if not named:
            if not self._ours(sighting) and sighting.outcome is not Outcome.FAILED:
                self._watch(sighting, ())  # a stranger: no evidence against anybody, and worth knowing
            return
        if sighting.outcome is not Outcome.FAILED:
            self._watch(sighting, [(known.id, known.entry.display) for known in named])
        now = self._clock()
        count = self._due(_key(named, sighting), now)
        events = []
        if len(named) == 1 and not named[0].problem:
            events += self._problem(named[0], sighting, now)
        if count:
            events.append(self._rejected(named, sighting, now, count))
        if events:
            self._tell(events)

    def counted(self, sighting: Sighting) -> None:
        """A kind of refusal as it is taken from the log: those after the first, which was told at once."""
        if sighting.point is Point.HEARTBEAT and sighting.count > 1:
            named = self._named(sighting)
            told = self._told.get(_key(named, sighting)) if named else None
            if told is not None:
                told.unsaid += sighting.count - 1

    def talked(self, known: Known, now: float) -> None:
        """A computer that had a problem came through."""
        reason, known.problem = known.problem, ""
        problem = self._problems.get(known.id)
        if problem is None or not problem.open:
            return  # it was not told, so there is nothing to take back
        problem.open = False
        version = known.negotiated.label if known.negotiated else "TLS"
        facts = {
            "reason": "tls",
            "problem": reason,
            "offered": None if known.offered is None else known.offered.value,
            "negotiated": None if known.negotiated is None else known.negotiated.value,
            "floor": str(self._board.snapshot.floor_for(Point.HEARTBEAT, known.address, known.id, now)),
        }
        self._tell(
            [
                NewEvent(
                    COMMUNICATIONS_PROBLEM_RESOLVED,
                    "info",
                    f"{known.entry.display} talks to the manager again, with {version}. The reason had been {reason}.",
                    computer=known.id,
                    target=known.entry.display,
                    time=now,
                    extra=facts,
                )
            ]
        )

    def _named(self, sighting: Sighting) -> tuple[Known, ...]:
        if sighting.who and sighting.who.startswith(_COMPUTER):
            known = self._registry.by_id.get(sighting.who.removeprefix(_COMPUTER))
            if known is not None:
                return (known,)
        if self._ours(sighting):
            return ()
        return self._registry.candidates(sighting.address, sighting.ja4)

    def _due(self, key: object, now: float) -> int:
        """How many refusals the event to be told now stands for, 0 while it is too soon for one."""
        told = self._told.get(key)
        if told is not None and abs(now - told.at) < QUIET:
            told.unsaid += 1
            return 0
        if told is None and len(self._told) >= REMEMBERED:
            self._told = {k: t for k, t in self._told.items() if abs(now - t.at) < QUIET}
            if len(self._told) >= REMEMBERED:
                return 0
        self._told[key] = _Told(now)
        return 1 + (told.unsaid if told else 0)

    def _floor(self, sighting: Sighting, now: float) -> str:
        snapshot = self._board.snapshot
        if sighting.who and sighting.who.startswith(_COMPUTER):
            # A canary is held to more than its neighbours.
            computer = sighting.who.removeprefix(_COMPUTER)
            return str(snapshot.floor_for(sighting.point, sighting.address, computer, now))
        return str(snapshot.admits_from(sighting.point, sighting.address, now))

    def _problem(self, known: Known, sighting: Sighting, now: float) -> list[NewEvent]:
        """The computer has a problem from now on; told unless it comes and goes."""
        floor = self._floor(sighting, now)
        if sighting.outcome is Outcome.FAILED:
            reason = f"TLS: it offers {_offer(sighting)}, but shares no cipher suite with the heartbeat port"
            remedy = "Give it a suite of the heartbeat port: an ECDHE suite with AES-GCM."
        else:
            reason = f"TLS: it offers {_offer(sighting)}, the heartbeat port's floor is {floor}"
            remedy = "Upgrade its agent, give it an exception, or allow early TLS again on the heartbeat port."
        known.problem = reason
        told = self._problems.get(known.id)
        if told is not None and now - told.at < QUIET:
            return []
        self._problems[known.id] = _Problem(now, True)
        return [
            NewEvent(
                COMMUNICATIONS_PROBLEM,
                "warning",
                f"{known.entry.display} cannot talk to the manager because of {reason}. It keeps its policy. {remedy}",
                computer=known.id,
                target=known.entry.display,
                time=now,
                extra=_facts(sighting, floor, "certain") | {"problem": reason},
            )
        ]

    def _rejected(self, named: tuple[Known, ...], sighting: Sighting, now: float, count: int) -> NewEvent:
        floor = self._floor(sighting, now)
        certain = len(named) == 1
        times = "" if count == 1 else f" ({count} times since the last such event)"
        text = (
            f"Heartbeat of {_names(named)} rejected because of TLS{times}: it offered {_offer(sighting)},"
            f" {_asked(sighting, floor)}. Seen from {sighting.address}, "
        )
        if certain and sighting.who:
            sure = "certain: it showed its certificate."
        elif certain:
            sure = "certain: address and TLS fingerprint are this computer's alone."
        else:
            sure = "one of these: address and TLS fingerprint fit them all."
        text += sure
        extra = _facts(sighting, floor, "certain" if certain else "one of")
        extra["computers"] = [known.id for known in named[: NAMES * 4]]
        extra["count"] = count
        return NewEvent(
            HEARTBEAT_REJECTED,
            "warning",
            text,
            computer=named[0].id if certain else None,
            target=_names(named),
            time=now,
            extra=extra,
        )


def _key(named: tuple[Known, ...], sighting: Sighting) -> object:
    return named[0].id if len(named) == 1 else (sighting.address, sighting.ja4)


def _offer(sighting: Sighting) -> str:
    return "no version that we know" if sighting.offered is None else f"{sighting.offered.label} at most"


def _asked(sighting: Sighting, floor: str) -> str:
    if sighting.outcome is Outcome.FAILED:
        return "and no cipher suite that the heartbeat port has"
    return f"the floor of the heartbeat port asks for {floor} or newer"


def _names(named: tuple[Known, ...]) -> str:
    names = sorted(known.entry.display for known in named)
    if len(names) == 1:
        return names[0]
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return f"one of {', '.join(names[:NAMES])}{more}"


def _facts(sighting: Sighting, floor: str, attribution: str) -> dict[str, Any]:
    return {
        "reason": "tls",
        "offered": None if sighting.offered is None else sighting.offered.value,
        "floor": floor,
        "address": sighting.address,
        "ja4": sighting.ja4,
        "attribution": attribution,
        "outcome": sighting.outcome.value,
    }

"""The judgement of a CA's rotation: how far each computer is, who is in the way, and what comes next. Pure.

The order is what keeps everybody connected: all learn to trust both authorities before the first certificate of the new
one is shown (announce, then switch), and all show one before anybody stops trusting the old (switch, then retire).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from plimsoll.fleet.changes import some

#: Below this number of `plimsoll.messages` an agent cannot read which authorities it is to trust.
UNDERSTOOD_FROM = 4


class Stand(enum.Enum):
    """How far a computer is with the phase under way."""

    READY = "ready"  # announce: it trusts both. Afterwards: it showed a certificate of the authority that issues
    TOLD = "told"  # it is online and takes the news, or the request to renew, home with its heartbeat
    TOO_OLD = "too old"  # its agent cannot read the news; until the switch alone
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of a computer, or of many that are alike.

    `capability` is 0 where it was not heard since this was noted; `trusts` are the fingerprints of the authorities that
    it says it trusts, `shown` is that of the one that issued the certificate it last showed in a handshake.
    """

    online: bool
    capability: int
    trusts: str
    shown: str


@dataclass(frozen=True, slots=True)
class Goal:
    """What the phase wants of everybody: to trust exactly these, or to show a certificate of that authority."""

    trusts: str = ""
    shown: str = ""

    def stand(self, fact: Fact) -> Stand:
        if fact.trusts == self.trusts if self.trusts else fact.shown == self.shown:
            return Stand.READY
        if self.trusts and 0 < fact.capability < UNDERSTOOD_FROM:
            return Stand.TOO_OLD
        return Stand.TOLD if fact.online else Stand.OFFLINE


class Verdict(enum.Enum):
    """What may come next."""

    READY = "ready"  # everybody is
    LEAVING = "leaving"  # everybody who can be reached and understands is; the others would be left behind
    WAIT = "wait"  # somebody who can be reached has not answered yet


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    counts: Mapping[Stand, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def behind(self) -> int:
        """How many are not ready."""
        return self.total - self.counts.get(Stand.READY, 0)


def judge(goal: Goal, facts: Mapping[Fact, int]) -> Judgement:
    """How the fleet stands, from how many computers there are of each kind."""
    counts: dict[Stand, int] = {}
    for fact, count in facts.items():
        stand = goal.stand(fact)
        counts[stand] = counts.get(stand, 0) + count
    if counts.get(Stand.TOLD):
        verdict = Verdict.WAIT
    else:
        verdict = Verdict.LEAVING if counts.get(Stand.OFFLINE) or counts.get(Stand.TOO_OLD) else Verdict.READY
    return Judgement(verdict, counts)


def in_the_way(goal: Goal, members: Sequence[tuple[str, Fact]]) -> str:
    """Who is not ready, by why, in words; `members` are names with their facts."""
    why = {
        Stand.TOLD: "have not answered yet",
        Stand.OFFLINE: "are offline",
        Stand.TOO_OLD: "run an agent that is too old to be told (upgrade it)",
    }
    named: dict[Stand, list[str]] = {}
    for name, fact in members:
        named.setdefault(goal.stand(fact), []).append(name)
    return "; ".join(f"{some(named[stand])} {words}" for stand, words in why.items() if stand in named)

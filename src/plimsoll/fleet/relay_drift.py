"""Does a relay hold what it was told? What was sent, what it acknowledged, and what a handshake shows, compared (G6).

Three statements that are never taken for one another; where two of them contradict, that is drift. A floor that was not
sent yet is none: it waits for Send Policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from plimsoll.fleet.wording import moment
from plimsoll.tls.versions import Version

#: How many of its heartbeat intervals a relay may take to acknowledge, and the seconds of its work beside them.
_INTERVALS = 2.2
_WORK = 10.0
#: A handshake that began this long before the acknowledgement, in seconds, may still have met the former floor.
_SETTLES = 1.0


@dataclass(frozen=True, slots=True)
class RelayFacts:
    """What is known of one relay. Times are seconds since the epoch.

    `held` is the floor that it should hold by what it was sent, kept or came with (R17), `origin` says which of these.
    `sent` is the floor in the policy last sent, `acknowledged` whether and `acked_at` when it took that policy.
    `observed` is the floor that the last handshake which showed one showed.
    """

    held: Version
    origin: str
    sent: Version | None = None
    sent_at: float | None = None
    acknowledged: bool = False
    acked_at: float | None = None
    observed: Version | None = None
    observed_at: float | None = None
    heartbeat_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Drift:
    """`kind` is for programs, `text` for people; it names the three statements with their times."""

    kind: Literal["observed", "unacknowledged"]
    text: str


def drift_of(relay: RelayFacts, now: float) -> Drift | None:
    """The contradiction, if there is one."""
    waits = relay.sent_at is not None and not relay.acknowledged
    if waits:
        assert relay.sent_at is not None
        if now - relay.sent_at <= _INTERVALS * relay.heartbeat_seconds + _WORK:
            return None
        shown = "no handshake showed its floor" if relay.observed is None else _shows(relay)
        return Drift(
            "unacknowledged",
            f"{relay.sent} was sent {moment(relay.sent_at)} and is not acknowledged after {_span(now - relay.sent_at)};"
            f" {shown}",
        )
    if relay.observed is None or relay.observed_at is None or relay.observed is relay.held:
        return None
    if relay.acked_at is not None and relay.observed_at <= relay.acked_at + _SETTLES:
        return None  # a handshake of before says nothing of what it holds since
    if relay.sent is not None and relay.sent_at is not None:
        told = f"{relay.sent} was sent {moment(relay.sent_at)} and acknowledged {moment(relay.acked_at)}"
    else:
        told = f"it holds {relay.held} ({relay.origin}) as far as we know"
    return Drift("observed", f"{told}, but {_shows(relay)}")


def _shows(relay: RelayFacts) -> str:
    return f"a handshake with 4122 showed {relay.observed} {moment(relay.observed_at)}"


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"

"""A look at a relay's 4122: what it showed is kept, and drift becomes an event once, not at each look (G6)."""

from __future__ import annotations

from typing import Any

from plimsoll.fleet.relay_drift import Drift, RelayFacts, drift_of
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services import policy_rules, sending
from plimsoll.manager.services.computer_views import RelayObservation
from plimsoll.manager.services.core import Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.policy_rules import Effective
from plimsoll.manager.store import computers as table
from plimsoll.manager.store.computers import ComputerRecord


def facts(relay: ComputerRecord, effective: Effective) -> RelayFacts:
    """The relay's three statements as the store has them."""
    held = policy_rules.held_relay_floor(relay)
    return RelayFacts(
        held=held.floor,
        origin=held.origin,
        sent=relay.relay_floor_sent,
        sent_at=relay.floors_sent_at,
        acknowledged=policy_rules.acknowledged(relay),
        acked_at=relay.policy_acked_at,
        observed=relay.relay_observed,
        observed_at=relay.relay_observed_at,
        heartbeat_seconds=policy_rules.of_computer(effective, relay).heartbeat_seconds,
    )


def note(unit: Unit, observation: RelayObservation) -> None:
    """Keeps what a look showed, and tells what has changed."""
    columns: dict[str, Any] = {"relay_observed_detail": observation.detail, "relay_looked_at": observation.time}
    if observation.floor is not None:
        columns |= {"relay_observed": observation.floor, "relay_observed_at": observation.time}
    if observation.report is not None:
        columns |= {
            "relay_reported": observation.report.floor,
            "relay_reported_origin": observation.report.origin.value,
            "relay_reported_at": observation.time,
        }
    table.change(unit.connection, observation.computer, **columns)
    relay = table.get(unit.connection, observation.computer)
    if relay is None or relay.state != "active":
        return
    drift = drift_of(facts(relay, sending.effective_policies(unit)[relay.policy_id]), unit.now)
    kind = "" if drift is None else drift.kind
    if kind == relay.relay_drift:
        return
    since = None if drift is None else unit.now
    table.change(unit.connection, relay.id, relay_drift=kind, relay_drift_since=since)
    unit.event(_ended(relay) if drift is None else _began(relay, drift))


def _began(relay: ComputerRecord, drift: Drift) -> NewEvent:
    return NewEvent(
        numbers.FLOOR_DIFFERS,
        "warning",
        f"The relay {relay.display} does not hold what it was told: {drift.text}. Look at the relay, then send its"
        " policy again.",
        computer=relay.id,
        target=relay.display,
        extra={
            "kind": drift.kind,
            "sent": None if relay.relay_floor_sent is None else relay.relay_floor_sent.value,
            "reported": None if relay.relay_reported is None else relay.relay_reported.value,
            "observed": None if relay.relay_observed is None else relay.relay_observed.value,
        },
    )


def _ended(relay: ComputerRecord) -> NewEvent:
    holds = policy_rules.held_relay_floor(relay).floor
    shows = "no handshake contradicts" if relay.relay_observed is None else f"a handshake shows {relay.relay_observed}"
    return NewEvent(
        numbers.FLOOR_AGREES,
        "info",
        f"The relay {relay.display} holds what it was told again: {holds}, and {shows}.",
        computer=relay.id,
        target=relay.display,
    )

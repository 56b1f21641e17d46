"""What an agent's home tells of it, whether it runs or not."""

from __future__ import annotations

from typing import Any

from plimsoll.agent.errors import AgentError
from plimsoll.agent.home import AgentState, Home, HomeError, PathLike
from plimsoll.messages import Kind, Policy, fingerprint
from plimsoll.relay.state import RelayStateError, held


def status(home: PathLike) -> dict[str, Any]:
    """What this agent is, holds and last did, for people and scripts. Raises AgentError."""
    place = Home(home)
    try:
        state, policy, spool, seen = place.load_state(), place.load_policy(), place.load_spool(), place.load_run_state()
    except HomeError as error:
        raise AgentError(str(error)) from None
    pid = place.locked_by()
    answer: dict[str, Any] = {
        "home": str(place.path),
        "computer": state.computer,
        "installation": state.installation,
        "kind": state.kind.value,
        "release": state.software,
        "managers": state.managers,
        "running": pid is not None,
        "pid": pid,
        "listening": seen.listening if pid is not None else {},
        "certificate": {"notBefore": state.not_before, "notAfter": state.not_after},
        "policy": None if policy is None else _policy_status(policy),
        "heartbeat": {
            "lastAttempt": seen.last_attempt or None,
            "lastSuccess": seen.last_success or None,
            "next": (seen.next_attempt or None) if pid is not None else None,
            "manager": seen.manager or None,
            "negotiated": seen.negotiated or None,
            "reason": seen.reason or None,
            "message": seen.message or None,
            "clockSkew": seen.clock_skew,
        },
        "pending": {"acks": len(spool.acks), "events": len(spool.events)},
        "guards": state.guards,
    }
    if state.kind is Kind.RELAY:
        answer["relay"] = _relay_status(place, state)
    return answer


def _policy_status(policy: Policy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "generation": policy.generation,
        "fingerprint": fingerprint(policy),
        "direction": policy.direction.value,
        "heartbeatSeconds": policy.heartbeat_seconds,
        "agentFloor": policy.agent_floor.value,
        "relayFloor": policy.relay_floor.value,
    }


def _relay_status(home: Home, state: AgentState) -> dict[str, Any]:
    try:
        report = held(home, activated_with=state.software, port=state.relay_port)
    except RelayStateError as error:
        raise AgentError(str(error)) from None
    return {
        "floor": report.floor.value,
        "origin": report.origin.value,
        "policyGeneration": report.policy_generation,
        "since": report.since or None,
        "port": report.port,
    }

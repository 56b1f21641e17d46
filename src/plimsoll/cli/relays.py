"""plimsoll relays: each relay's floor as sent, as held, and as a handshake showed it (R14, R17, G6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from plimsoll.cli._errors import Code
from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, session

if TYPE_CHECKING:
    from plimsoll.client.shapes import RelayFloor

_COLUMNS = (
    "RELAY", "VERSION", "GROUP", "ADDRESS", "PORT", "REQUIRED", "SENT", "SENT AT", "ACKED AT", "HELD", "OBSERVED", "AT",
)  # fmt: skip


def command(context: typer.Context, home: Home = None, as_json: Json = False) -> int:
    """Each relay: which floor was sent and when, whether it took it, and what a handshake with its port showed.

    Exit code 3 where these contradict: each such relay has a line below.
    """
    used = session(context)
    with used.client(home) as client:
        data = client.typed.tls.relays()
    drifts = [one for one in data["relays"] if one["drift"]]
    if as_json:
        used.output.json(data)
    else:
        used.output.table(_COLUMNS, [_row(one) for one in data["relays"]])
        for one in drifts:
            since = f" (seen since {when(one['driftSince'])})" if one["driftSince"] else ""
            used.output.line(f"drift: {one['name']}: {one['drift']}{since}")
        waiting = [one["name"] for one in data["relays"] if one["pending"]]
        if waiting:
            used.output.say(f"{', '.join(waiting)}: the policy asks for another floor; plimsoll send-policy sends it")
    return Code.BLOCKERS if drifts else Code.OK


def _row(one: RelayFloor) -> tuple[object, ...]:
    observed: str | None = one["observed"]
    if one["lookedAt"] and (one["observedAt"] is None or one["lookedAt"] > one["observedAt"]):
        # The newest look showed nothing: an older handshake must not pass for one of now.
        observed = f"{observed}, now unknown" if observed else one["observedDetail"] or "unknown"
    acked = when(one["ackedAt"]) if one["ackedAt"] else "no" if one["sentAt"] else None
    return (
        one["name"], one["version"], one["relayGroup"], one["address"], one["port"], one["required"],
        one["sent"], when(one["sentAt"]), acked, f"{one['held']} ({one['origin']})", observed, when(one["observedAt"]),
    )  # fmt: skip

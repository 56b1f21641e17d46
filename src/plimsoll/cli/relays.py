"""plimsoll relays: each relay's floor as sent, as held, and as a handshake showed it (R14, R17)."""

from __future__ import annotations

import typer

from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, session


def command(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Each relay with the floor that was sent, that it says it holds, and that a handshake proved."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/tls/relays")
    if as_json:
        used.output.json(data)
        return
    rows = [
        (
            one["name"],
            one["version"],
            one["relayGroup"],
            one["address"],
            one["port"],
            one["required"],
            one["sent"],
            f"{one['held']} ({one['origin']})",
            one["observed"] or one["observedDetail"],
            when(one["observedAt"]),
        )
        for one in data["relays"]
    ]
    columns = ("RELAY", "VERSION", "GROUP", "ADDRESS", "PORT", "REQUIRED", "SENT", "HELD", "OBSERVED", "AT")
    used.output.table(columns, rows)

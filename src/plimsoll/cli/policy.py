"""plimsoll policy: the policies that computers hold, and the floors that travel in them."""

from __future__ import annotations

from typing import Annotated

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._session import Home, Json, group, session

app = group("Policies: heartbeat, direction, and the floors of relays and agents.")


@app.command("list")
def list_policies(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Every policy."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/policies")
    if as_json:
        used.output.json(data)
        return
    rows = [
        (
            one.get("ID"),
            one.get("name"),
            one.get("heartbeatSeconds"),
            one.get("missedHeartbeats"),
            one.get("direction"),
            one.get("relayFloor"),
            one.get("agentFloor"),
            one.get("computers"),
            one.get("pending"),
        )
        for one in data["policies"]
    ]
    columns = ("ID", "NAME", "HEARTBEAT S", "MISSED", "DIRECTION", "RELAY FLOOR", "AGENT FLOOR", "COMPUTERS", "PENDING")
    used.output.table(columns, rows)


@app.command("set")
def change(
    context: typer.Context,
    policy: Annotated[str, typer.Argument(help="ID or name; a name that is new makes a policy.")],
    heartbeat: Annotated[int | None, typer.Option(min=1, help="Seconds between heartbeats.")] = None,
    missed: Annotated[int | None, typer.Option(min=1, help="Missed heartbeats until a computer is offline.")] = None,
    direction: Annotated[str | None, typer.Option(help="agent-initiated, bidirectional or manager-initiated.")] = None,
    auto_send: Annotated[
        bool | None, typer.Option("--auto-send/--no-auto-send", help="Send changes by themselves; never a floor.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Change a policy, or make one. Floors are set with 'plimsoll floor set --point relay|agent'."""
    used = session(context)
    wanted = {
        "heartbeatSeconds": heartbeat,
        "missedHeartbeats": missed,
        "direction": direction,
        "autoSend": auto_send,
    }
    body: dict[str, object] = {name: value for name, value in wanted.items() if value is not None}
    if not body:
        raise CommandError("say what to change: --heartbeat, --missed, --direction or --auto-send", Code.USAGE)
    with used.client(home) as client:
        known = client.get("/api/policies")["policies"]
        found = [one for one in known if policy in (str(one["ID"]), one["name"])]
        path = f"/api/policies/{found[0]['ID']}" if found else "/api/policies"
        answer = client.post(path, body if found else {"name": policy, **body})
    if as_json:
        used.output.json(answer)
    else:
        used.output.say(f"policy {policy} is {'changed' if found else 'made'}; 'plimsoll send-policy --all' sends it")

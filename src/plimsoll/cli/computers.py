"""plimsoll computers: the machines of the fleet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import when, when_ms
from plimsoll.cli._session import Home, Json, group, session

app = group("The machines of the fleet: agents, relays, appliances.")

Which = Annotated[str, typer.Argument(metavar="COMPUTER", help="ID, host GUID, host name or display name.")]


def find(computers: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """The computer of that ID or name; an error where none or several have it."""
    found = [one for one in computers if name in (str(one.get("ID")), one.get("hostGUID"))]
    if not found:
        found = [one for one in computers if name in (one.get("hostName"), one.get("displayName"))]
    if not found:
        raise CommandError(f"no computer is called {name!r}; 'plimsoll computers list' shows them", Code.USAGE)
    if len(found) > 1:
        ids = ", ".join(str(one["ID"]) for one in found)
        raise CommandError(f"several computers are called {name!r}: use one of the IDs {ids}", Code.USAGE)
    return found[0]


@app.command("list")
def list_computers(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help="Only agent, relay or appliance.")] = None,
    state: Annotated[str | None, typer.Option(help="Only active, approval (they wait for one) or revoked.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Every computer with its version, state and TLS."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/computers")
    computers = [
        one for one in data["computers"] if kind in (None, one.get("kind")) and state in (None, one.get("state"))
    ]
    if as_json:
        used.output.json({**data, "computers": computers})
        return
    columns = ("ID", "NAME", "KIND", "VERSION", "STATUS", "ADDRESS", "LAST SEEN", "TLS", "POLICY", "HELD")
    used.output.table(columns, [_row(one) for one in computers])


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    return (
        one.get("ID"),
        one.get("displayName") or one.get("hostName"),
        one.get("kind"),
        one.get("agentVersion"),
        _status(one),
        one.get("lastIPUsed"),
        when_ms(one.get("lastAgentCommunication")),
        (one.get("tls") or {}).get("negotiated"),
        one.get("policy"),
        _held(one),
    )


def _status(one: dict[str, Any]) -> object:
    status = one.get("computerStatus") or {}
    return status.get("agentStatusMessages") or status.get("agentStatus")


def _held(one: dict[str, Any]) -> str:
    if one.get("policyPending"):
        return "not sent"
    return "held" if one.get("policyHeld") else "on its way"


@app.command("show")
def show(context: typer.Context, computer: Which, home: Home = None, as_json: Json = False) -> None:
    """All that is known of one computer."""
    used = session(context)
    with used.client(home) as client:
        known = find(client.get("/api/computers")["computers"], computer)
        one = client.get(f"/api/computers/{known['ID']}")
    if as_json:
        used.output.json(one)
        return
    tls = one.get("tls") or {}
    used.output.pairs(
        [
            ("ID", one.get("ID")),
            ("host GUID", one.get("hostGUID")),
            ("host name", one.get("hostName")),
            ("display name", one.get("displayName")),
            ("kind", one.get("kind")),
            ("version", one.get("agentVersion")),
            ("platform", one.get("platform")),
            ("status", _status(one)),
            ("address", one.get("lastIPUsed")),
            ("last seen", when_ms(one.get("lastAgentCommunication"))),
            ("relay group", one.get("relayGroup")),
            ("policy", one.get("policy")),
            ("policy's state", _held(one)),
            ("policy sent", when_ms(one.get("policySentAt"))),
            ("floor held", one.get("floorHeld")),
            ("because of", one.get("floorOrigin")),
            ("guards", one.get("guards")),
            ("TLS offered", tls.get("offered")),
            ("TLS negotiated", tls.get("negotiated")),
            ("TLS observed", when(tls.get("observedAt"))),
            ("TLS library", tls.get("library")),
            ("speaks", tls.get("speaks")),
        ]
    )


@app.command("activate")
def activate(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="Where the agent listens and waits.")],
    code: Annotated[
        str | None, typer.Option(help="The one-time code that the agent printed; without one it must know our CA.")
    ] = None,
    port: Annotated[int, typer.Option(help="The agent's port.")] = 4118,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Manager-initiated activation: visit an agent that waits on 4118."""
    used = session(context)
    with used.client(home) as client:
        data = client.typed.computers.visit({"address": address, "port": port, "code": code})
    if as_json:
        used.output.json(data)
        return
    used.output.line(f"activated {data.get('hostName') or address} as {data.get('ID')}")


@app.command("revoke")
def revoke(
    context: typer.Context,
    computer: Which,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit trail.")] = "",
    home: Home = None,
) -> None:
    """Revoke a computer's certificate: it is refused from its next request on."""
    used = session(context)
    with used.client(home) as client:
        one = find(client.get("/api/computers")["computers"], computer)
        client.typed.computers.revoke_computer(one["ID"], {"reason": reason})
    used.output.say(f"the certificate of {one.get('hostName')} is revoked")


@app.command("approve")
def approve(context: typer.Context, computer: Which, home: Home = None) -> None:
    """Approve a computer that waits: validly signed, but not known to this manager (after a restore)."""
    used = session(context)
    with used.client(home) as client:
        one = find(client.get("/api/computers")["computers"], computer)
        client.typed.computers.approve_computer(one["ID"])
    used.output.say(f"{one.get('hostName') or one['hostGUID']} is approved")


@app.command("delete")
def delete(context: typer.Context, computer: Which, home: Home = None) -> None:
    """Forget a computer; it must be activated again to come back."""
    used = session(context)
    with used.client(home) as client:
        one = find(client.get("/api/computers")["computers"], computer)
        client.typed.computers.delete_computer(one["ID"])
    used.output.say(f"{one.get('hostName')} is deleted")


@app.command("set")
def change(
    context: typer.Context,
    computer: Which,
    policy: Annotated[str | None, typer.Option(help="The policy it gets.")] = None,
    relay_group: Annotated[str | None, typer.Option(help="The relay group it belongs to.")] = None,
    guards: Annotated[list[str] | None, typer.Option(help="A machine that this appliance guards; repeatable.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Change a computer's policy, relay group or guarded machines. An empty relay group takes it out of its group."""
    used = session(context)
    wanted = {"policy": policy, "relayGroup": relay_group, "guards": guards}
    body = {name: value for name, value in wanted.items() if value is not None}
    if not body:
        raise CommandError("say what to change: --policy, --relay-group or --guards", Code.USAGE)
    with used.client(home) as client:
        one = find(client.get("/api/computers")["computers"], computer)
        data = client.post(f"/api/computers/{one['ID']}", body)
    if as_json:
        used.output.json(data)
    else:
        used.output.say(f"{one.get('hostName')} is changed; 'plimsoll send-policy' sends a new policy")


@app.command("send-policy")
def send(context: typer.Context, computer: Which, home: Home = None, as_json: Json = False) -> None:
    """Send the current policy to one computer."""
    from plimsoll.cli.send_policy import command

    command(context, computer=[computer], home=home, as_json=as_json)

"""plimsoll relay-groups: which relays serve together."""

from __future__ import annotations

from typing import Annotated

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._session import Home, Json, group, session

app = group("Relay groups.")


@app.command("list")
def list_groups(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Every relay group with its relays."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/relaygroups")
    if as_json:
        used.output.json(data)
        return
    rows = [(one["ID"], one["name"], one["parent"], one["relays"]) for one in data["relayGroups"]]
    used.output.table(("ID", "NAME", "BELOW", "RELAYS"), rows)


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The new group's name.")],
    parent: Annotated[
        str | None, typer.Option(help="The group above it, whose relays its own relays fetch from; else the manager.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a relay group; 'plimsoll computers set RELAY --relay-group NAME' puts a relay into it."""
    used = session(context)
    with used.client(home) as client:
        data = client.post("/api/relaygroups", {"name": name, "parent": parent})
    if as_json:
        used.output.json(data)
    else:
        used.output.say(f"relay group {name} is made")


@app.command("move")
def move(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The group's name.")],
    below: Annotated[
        str | None, typer.Option(metavar="GROUP", help="The group above it; without, its relays ask the manager.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Say where a group's relays fetch software: from the relays of the group above it, or from the manager."""
    used = session(context)
    with used.client(home) as client:
        groups = client.get("/api/relaygroups")["relayGroups"]
        found = next((one for one in groups if one["name"] == name), None)
        if found is None:
            raise CommandError(f"there is no relay group {name!r}; nothing was changed", Code.USAGE)
        data = client.post(f"/api/relaygroups/{found['ID']}", {"parent": below})
    if as_json:
        used.output.json(data)
    else:
        used.output.say(f"relay group {name} fetches from {below or 'the manager'}")

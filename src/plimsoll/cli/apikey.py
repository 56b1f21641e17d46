"""plimsoll apikey: keys for programs that use the REST API."""

from __future__ import annotations

from typing import Annotated

import typer

from plimsoll.cli._output import when, when_ms
from plimsoll.cli._session import Home, Json, group, session

app = group("API keys, for programs.")


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Which program will use it.")],
    role: Annotated[str, typer.Option(help="administrator, operator or auditor.")] = "auditor",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a key; it is shown once."""
    used = session(context)
    with used.client(home) as client:
        data = client.typed.access.create_key({"keyName": name, "role": role})
    if as_json:
        used.output.json(data)
    else:
        used.output.line(data["secretKey"])


@app.command("list")
def list_keys(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Every key, without its secret."""
    used = session(context)
    with used.client(home) as client:
        data = client.typed.access.list_keys()
    if as_json:
        used.output.json(data)
        return
    rows = [
        (one["ID"], one["name"], one["role"], when_ms(one["created"]), when(one["lastUsed"])) for one in data["apiKeys"]
    ]
    used.output.table(("ID", "NAME", "ROLE", "CREATED", "LAST USED"), rows)


@app.command("delete")
def delete(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="The key's ID.")],
    home: Home = None,
) -> None:
    """Delete a key; it is refused from the next request on."""
    used = session(context)
    with used.client(home) as client:
        client.delete(f"/api/apikeys/{key}")
    used.output.say(f"API key {key} is deleted")

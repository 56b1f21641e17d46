"""plimsoll token: activation tokens, which let a computer join."""

from __future__ import annotations

from typing import Annotated

import typer

from plimsoll.cli._session import Home, Json, group, session

app = group("Activation tokens.")


@app.command("create")
def create(
    context: typer.Context,
    uses: Annotated[int, typer.Option(min=0, help="How many computers it activates; 0 is any number.")] = 1,
    expires_in: Annotated[int, typer.Option(min=1, metavar="SECONDS", help="How long it is valid.")] = 86_400,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a token; it is shown once."""
    used = session(context)
    with used.client(home) as client:
        data = client.typed.computers.create_token({"uses": uses, "expiresIn": expires_in})
    if as_json:
        used.output.json(data)
    else:
        used.output.line(data["token"])

"""plimsoll user: people who may sign in."""

from __future__ import annotations

from typing import Annotated

import typer

from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, group, session

app = group("Users, for people.")


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The sign-in name.")],
    role: Annotated[str, typer.Option(help="administrator, operator or auditor.")] = "auditor",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a user. The password is read from the terminal, or from standard input where that is none."""
    import getpass
    import sys

    used = session(context)
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    with used.client(home) as client:
        data = client.post("/api/administrators", {"username": name, "password": password, "role": role})
    if as_json:
        used.output.json(data)
    else:
        used.output.say(f"user {name} is made with the role {role}")


@app.command("list")
def list_users(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Every user."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/administrators")
    if as_json:
        used.output.json(data)
        return
    rows = [
        (one["username"], one["role"], when(one["created"]), when(one["lastSignIn"])) for one in data["administrators"]
    ]
    used.output.table(("NAME", "ROLE", "CREATED", "LAST SIGN-IN"), rows)

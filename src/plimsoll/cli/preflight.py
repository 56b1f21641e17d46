"""plimsoll preflight: who would be cut off, asked before anything is changed."""

from __future__ import annotations

from typing import Annotated

import typer

from plimsoll.cli import _findings
from plimsoll.cli._session import Home, Json, session


def command(
    context: typer.Context,
    to: Annotated[str, typer.Option("--to", metavar="VERSION", help="The floor to judge.")],
    point: Annotated[str | None, typer.Option(help="heartbeat, gui, relay or agent; all without it.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Who would be cut off by a floor, and why. Exit code 0 clear, 3 blockers, 5 only programs affected."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/tls/preflight", to=to, point=point)
    if as_json:
        used.output.json(data)
        return _findings.exit_code(data)
    return _findings.report(used.output, data)

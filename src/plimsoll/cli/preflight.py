"""plimsoll preflight: who would be cut off, asked before anything is changed."""

from __future__ import annotations

from typing import Annotated

import typer

from plimsoll.cli import _findings
from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._session import Home, Json, session


def command(
    context: typer.Context,
    to: Annotated[str | None, typer.Option("--to", metavar="VERSION", help="The floor to judge.")] = None,
    ciphers: Annotated[
        str | None,
        typer.Option("--ciphers", metavar="PROFILE", help="Instead of a floor: the cipher profile to judge."),
    ] = None,
    point: Annotated[str | None, typer.Option(help="heartbeat, gui, relay or agent; all without it.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Who would be cut off by a floor or a cipher profile, and why.

    Exit code 0 clear, 3 blockers, 5 only programs affected."""
    if (to is None) == (ciphers is None):
        raise CommandError("say either --to VERSION or --ciphers PROFILE", Code.USAGE)
    used = session(context)
    path = "/api/tls/preflight" if ciphers is None else "/api/tls/ciphers/preflight"
    with used.client(home) as client:
        data = client.get(path, to=to or ciphers, point=point)
    if as_json:
        used.output.json(data)
        return _findings.exit_code(data)
    return _findings.report(used.output, data)

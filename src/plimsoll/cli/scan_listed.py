"""`plimsoll scan` as the command tree lists it; `cli.scan` is the command."""

from __future__ import annotations

from typing import Any

import typer

from plimsoll.cli._session import session

NAME = "scan"
SETTINGS: dict[str, Any] = {
    "add_help_option": False,
    "context_settings": {"ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": False},
}


def command(context: typer.Context) -> int:
    """What TLS endpoints really accept, proved by handshake; needs no manager."""
    from plimsoll.cli import scan

    return scan.main(context.args, session(context))

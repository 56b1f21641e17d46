"""The tree of subcommands, and how errors become exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from plimsoll.cli._errors import BlockedError, Code, CommandError
from plimsoll.cli._session import Session, group

#: Subcommands in the order of the help; each is a module of this package with an `app` or a `command`.
GROUPS = (
    "manager",
    "floor",
    "ciphers",
    "change",
    "proof",
    "scope",
    "shadow",
    "exception",
    "computers",
    "policy",
    "relay_groups",
    "token",
    "apikey",
    "user",
    "events",
    "notify",
    "audit",
    "software",
    "upgrade",
    "ca",
    "agent",
)
COMMANDS = (
    "preflight",
    "relays",
    "send_policy",
    "sightings",
    "advise",
    "picture",
    "deploy_script",
    "simulate",
    "demo",
    "doctor",
    "version",
    "scan_listed",
)


def build() -> typer.Typer:
    """The whole command tree."""
    root = group("Raises the TLS floor of a whole fleet, proves it by handshake, and can take it back.")

    @root.callback()
    def options(
        context: typer.Context,
        home: Annotated[
            Path | None, typer.Option("--home", metavar="DIR", help="The manager's home, for every command.")
        ] = None,
    ) -> None:
        found = context.find_object(Session)
        if found is not None and home is not None:
            found.home = home

    for name in GROUPS:
        root.add_typer(importlib.import_module(f"plimsoll.cli.{name}").app, name=name.replace("_", "-"))
    for name in COMMANDS:
        module = importlib.import_module(f"plimsoll.cli.{name}")
        settings: dict[str, Any] = getattr(module, "SETTINGS", {})
        root.command(getattr(module, "NAME", name.replace("_", "-")), **settings)(module.command)
    return root


def main(arguments: Sequence[str], session: Session | None = None) -> int:
    """Run one command line; returns the exit code."""
    used = session or Session()
    try:
        result = build()(args=list(arguments), prog_name="plimsoll", standalone_mode=False, obj=used)
    except TyperException as error:
        return _usage(used, error)
    except BlockedError as error:
        from plimsoll.cli import _findings

        _findings.refusal(used.output, error, "nothing was changed")
        return error.code
    except CommandError as error:
        used.output.say(error.message)
        return error.code
    except BrokenPipeError:
        # The reader (head, less) has seen enough; a second attempt at exit would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Code.OK
    except OSError as error:
        used.output.say(f"{error}")
        return Code.FAILED
    except KeyboardInterrupt:
        return 130
    return result if isinstance(result, int) else Code.OK


def _usage(session: Session, error: TyperException) -> int:
    text = error.format_message()
    if text.startswith("Usage:"):
        session.output.err.write(text + "\n")
    else:
        session.output.say(text)
        where = getattr(error, "ctx", None)
        if where is not None:
            session.output.say(f"see '{where.command_path} --help'")
    return Code.USAGE

"""What every command gets: its streams, its environment and a way to a manager. Tests put in their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plimsoll.cli._output import Output

if TYPE_CHECKING:
    from plimsoll.cli._client import Client

Connect = Callable[[Path | None, Mapping[str, str]], "Client"]

Home = Annotated[
    Path | None,
    typer.Option("--home", metavar="DIR", help="The manager's home; else PLIMSOLL_HOME, else /opt/plimsoll."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def _connect(home: Path | None, env: Mapping[str, str]) -> Client:
    from plimsoll.cli import _client

    return _client.connect(home, env)


@dataclass
class Session:
    """Streams, environment and client of one run of a command."""

    output: Output = field(default_factory=lambda: Output(sys.stdout, sys.stderr))
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    connect: Connect = _connect
    home: Path | None = None

    def client(self, home: Path | None = None) -> Client:
        """The manager that the command's option, the program's option or the environment names."""
        return self.connect(home or self.home, self.env)

    def home_dir(self, home: Path | None = None) -> Path:
        """The manager's home on this computer."""
        from plimsoll.cli import _client

        return _client.manager_home(home or self.home, self.env)


def session(context: typer.Context) -> Session:
    """The session of a command's context."""
    found = context.find_object(Session)
    return Session() if found is None else found


def group(text: str, *, alone: bool = False) -> typer.Typer:
    """A group of subcommands with our ways: plain help, no tracebacks dressed up. `alone`: it does something itself."""
    return typer.Typer(
        help=text,
        no_args_is_help=not alone,
        invoke_without_command=alone,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )

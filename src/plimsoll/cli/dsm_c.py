"""The `dsm_c` command, with the reference's syntax: single-dash options, one action a run (R13, R15, R16).

It works on the manager's computer only: through the local socket of a running manager, or on a stopped manager's home.
Names of actions and options are read without regard to case; versions are not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.cli._errors import BlockedError, Code, CommandError
from plimsoll.cli._output import Output

if TYPE_CHECKING:
    from plimsoll.cli._client import Client

USAGE = """usage: dsm_c -action ACTION [options] [-home DIR] [--json]

actions:
  settlsprotocol  -MinimumTLSProtocol ShowValue | TLSv1 | TLSv1.1 | TLSv1.2 | TLSv1.3
                  [-force "reason" [-seen FILE]]
                  shows or sets the minimum TLS version that the manager accepts. FILE is what
                  'plimsoll preflight --json' wrote: nobody is cut off who does not stand in it

-home DIR names the manager's home; else PLIMSOLL_HOME, else /opt/plimsoll.
Exit codes: 0 done, 1 failed, 2 bad input, 3 refused because of blockers, 6 not permitted, 7 no manager home."""

#: Options that take a value, as they are shown, by their lower-case name.
WITH_VALUE = {
    "action": "action",
    "minimumtlsprotocol": "MinimumTLSProtocol",
    "force": "force",
    "seen": "seen",
    "home": "home",
}
FLAGS = frozenset({"json", "help", "h"})

Open = Callable[[Path], "Client"]


@dataclass
class Arguments:
    """One parsed command line: options by their lower-case name."""

    values: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)


def parse(arguments: Sequence[str]) -> Arguments:
    """Reads ``-name value`` and flags, with one dash or two; names without regard to case."""
    parsed = Arguments()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name = word.lstrip("-").lower()
        if not word.startswith("-") or not name:
            raise CommandError(f"unexpected {word!r}: options begin with a dash", Code.USAGE)
        if name in FLAGS:
            parsed.flags.add(name)
            continue
        if name not in WITH_VALUE:
            known = ", ".join(f"-{shown}" for shown in WITH_VALUE.values())
            raise CommandError(f"unknown option {word!r}; known are {known} and --json", Code.USAGE)
        shown = WITH_VALUE[name]
        if not rest or (rest[0].startswith("-") and rest[0].lstrip("-").lower() in {*WITH_VALUE, *FLAGS}):
            wanted = " (a reason, in quotes)" if name == "force" else ""
            raise CommandError(f"-{shown} needs a value{wanted}", Code.USAGE)
        if name in parsed.values:
            raise CommandError(f"-{shown} is given twice", Code.USAGE)
        parsed.values[name] = rest.pop(0)
    return parsed


def set_tls_protocol(arguments: Arguments, output: Output, client: Client) -> int:
    """The action `settlsprotocol`: show or set the minimum."""
    value = arguments.values["minimumtlsprotocol"]
    if value.lower() == "showvalue":
        return _show(client, output, arguments)
    reason = arguments.values.get("force")
    body: dict[str, object] = {"floor": value, "force": reason is not None, "reason": reason}
    seen = None
    if "seen" in arguments.values:
        from plimsoll.cli import _findings

        seen = body["seen"] = _findings.seen_in(Path(arguments.values["seen"]))
    try:
        client.post("/api/tls/minimum", body)
    except BlockedError as error:
        from plimsoll.cli import _findings

        if "json" in arguments.flags:
            output.json(error.details)
        _findings.refusal(
            output, error, 'nothing was changed; to raise anyway: -force "reason"', seen if reason else None
        )
        return error.code
    return _show(client, output, arguments)


def _show(client: Client, output: Output, arguments: Arguments) -> int:
    data = client.get("/api/tls/minimum")
    if "json" in arguments.flags:
        output.json(data)
    else:
        output.line(data["minimum"])
    return Code.OK


ACTIONS: dict[str, Callable[[Arguments, Output, Client], int]] = {"settlsprotocol": set_tls_protocol}


def main(
    arguments: Sequence[str],
    output: Output | None = None,
    env: Mapping[str, str] | None = None,
    open_: Open | None = None,
) -> int:
    """Run one command line; returns the exit code."""
    used = output or Output(sys.stdout, sys.stderr, "dsm_c")
    try:
        return _run(parse(arguments), used, os.environ if env is None else env, open_)
    except CommandError as error:
        used.say(error.message)
        return error.code
    except OSError as error:
        used.say(f"{error}")
        return Code.FAILED
    except KeyboardInterrupt:
        return 130


def _run(arguments: Arguments, output: Output, env: Mapping[str, str], open_: Open | None) -> int:
    if arguments.flags & {"help", "h"}:
        output.line(USAGE)
        return Code.OK
    action = arguments.values.get("action")
    if action is None:
        output.err.write(USAGE + "\n")
        return Code.USAGE
    do = ACTIONS.get(action.lower())
    if do is None:
        raise CommandError(f"unknown action {action!r}; there is {', '.join(ACTIONS)}", Code.USAGE)
    if "minimumtlsprotocol" not in arguments.values:
        raise CommandError(f"-action {action} needs -MinimumTLSProtocol: ShowValue or a version", Code.USAGE)
    _check_version(arguments.values["minimumtlsprotocol"])
    from plimsoll.cli import _client

    home = Path(arguments.values["home"]) if "home" in arguments.values else None
    with (open_ or _client.local)(_client.manager_home(home, env)) as client:
        return do(arguments, output, client)


def _check_version(value: str) -> None:
    from plimsoll.tls.versions import UnknownVersionError, Version

    if value.lower() == "showvalue":
        return
    try:
        Version.parse_floor(value)
    except UnknownVersionError as error:
        raise CommandError(f"{error}; nothing was changed", Code.USAGE) from error


def run() -> None:
    """The entry point of the `dsm_c` script."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()

"""The `plimsoll-agent` command of agent packages: what `plimsoll agent` does, with the standard library alone.

A host that is managed carries no command tree, no manager and no Python of its own; this file and what it imports are
the whole command line there.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import Output

PROGRAM = "plimsoll-agent"


def parser() -> argparse.ArgumentParser:
    """The command line: activate, run, status, version."""
    root = argparse.ArgumentParser(prog=PROGRAM, description="The agent of this computer; it can be a relay too.")
    verbs = root.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    _describe_activate(verbs.add_parser("activate", help="make this computer's key, and get an identity"))
    for verb, text in (("run", "run until SIGTERM"), ("status", "what this agent is and how it fares")):
        _home(verbs.add_parser(verb, help=text))
    verbs.choices["status"].add_argument("--json", action="store_true", help="as JSON")
    version = verbs.add_parser("version", help="the release, and the Python and TLS library that it brings")
    version.add_argument("--json", action="store_true", help="as JSON")
    return root


def _describe_activate(verb: argparse.ArgumentParser) -> None:
    _home(verb)
    how = verb.add_mutually_exclusive_group(required=True)
    how.add_argument("--token", help="an activation token; needs --manager. '-' reads it from standard input")
    how.add_argument("--wait", action="store_true", help="listen, and wait for a visit of the manager")
    verb.add_argument("--manager", metavar="dsm://HOST:PORT", default="", help="the manager's heartbeat port")
    known = verb.add_mutually_exclusive_group()
    known.add_argument("--code", help="with --wait: the one-time code; else one is made")
    known.add_argument("--manager-fingerprint", help="with --wait: the SHA-256 of the manager's CA instead of a code")
    kind = verb.add_mutually_exclusive_group()
    kind.add_argument("--relay", action="store_true", help="carry the relay role too")
    kind.add_argument("--appliance", action="store_true", help="a machine that guards others")
    verb.add_argument("--guards", action="append", default=[], metavar="NAME", help="a machine that it guards")
    verb.add_argument("--relay-port", type=_port, default=4122, metavar="PORT", help="the relay's port (4122)")
    verb.add_argument("--listen-port", type=_port, default=4118, metavar="PORT", help="for a manager's visits (4118)")
    verb.add_argument("--listen", default="0.0.0.0", metavar="ADDRESS", help="address of the agent's own ports")
    verb.add_argument("--name", help="host name to report; else this computer's")
    verb.add_argument("--display-name", default="", help="name to show instead of the host name")
    verb.add_argument("--local-address", default="", metavar="ADDRESS", help="connect from this address")
    verb.add_argument("--json", action="store_true", help="the new identity as JSON")


def _home(verb: argparse.ArgumentParser) -> None:
    text = "the agent's home; else PLIMSOLL_AGENT_HOME, else /var/opt/plimsoll-agent"
    verb.add_argument("--home", type=Path, metavar="DIR", help=text)


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise ValueError(text)
    return number


def _place(given: argparse.Namespace, env: Mapping[str, str]) -> Path:
    from plimsoll.agent.home import home_from

    return (given.home or home_from(env)).absolute()


def _activate(given: argparse.Namespace, output: Output, env: Mapping[str, str]) -> None:
    from plimsoll.agent import main as agent
    from plimsoll.messages import Kind

    place = _place(given, env)
    options: dict[str, Any] = {
        "relay": given.relay,
        "relay_port": given.relay_port,
        "kind": Kind.APPLIANCE if given.appliance else Kind.AGENT,
        "guards": tuple(given.guards),
        "listen_address": given.listen,
        "name": given.name,
        "display_name": given.display_name,
        "local_address": given.local_address,
    }
    if given.wait:
        done = agent.activate_by_manager(
            place,
            given.listen_port,
            code=given.code,
            manager_fingerprint=given.manager_fingerprint,
            announce=output.line,
            managers=[given.manager] if given.manager else [],
            **options,
        )
    else:
        if not given.manager:
            raise CommandError("--token needs --manager dsm://HOST:PORT; nothing was changed", Code.USAGE)
        # A token on a command line is seen by everybody who lists processes.
        from_input = given.token in ("-",)
        token = sys.stdin.readline().strip() if from_input else given.token
        done = agent.activate(place, given.manager, token, listen_port=given.listen_port, **options)
    if given.json:
        output.json({"computer": done.computer, "installation": done.installation, "home": str(done.home),
                     "kind": done.kind.value, "policy": done.policy})  # fmt: skip
    else:
        output.line(f"activated as {done.computer} ({done.kind.value}, policy {done.policy})")


def _run(given: argparse.Namespace, output: Output, env: Mapping[str, str]) -> None:
    from plimsoll.agent import main as agent

    agent.become(_place(given, env))


def _status(given: argparse.Namespace, output: Output, env: Mapping[str, str]) -> None:
    from plimsoll.agent import main as agent
    from plimsoll.cli import _agent_status

    data = agent.status(_place(given, env))
    if given.json:
        output.json(data)
    else:
        _agent_status.show(output, data)


def _version(given: argparse.Namespace, output: Output, env: Mapping[str, str]) -> None:
    import platform
    import ssl

    from plimsoll import RELEASE

    python = platform.python_version()
    if given.json:
        output.json({"plimsoll": RELEASE, "python": python, "tls_library": ssl.OPENSSL_VERSION})
    else:
        output.line(f"plimsoll {RELEASE} (Python {python}, {ssl.OPENSSL_VERSION})")


VERBS: dict[str, Callable[[argparse.Namespace, Output, Mapping[str, str]], None]] = {
    "activate": _activate,
    "run": _run,
    "status": _status,
    "version": _version,
}


def main(arguments: Sequence[str], output: Output | None = None, env: Mapping[str, str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    used = output or Output(sys.stdout, sys.stderr, PROGRAM)
    try:
        given = parser().parse_args(arguments)
    except SystemExit as end:  # argparse has said why
        return int(end.code or 0)
    from plimsoll.agent.errors import AgentError

    try:
        VERBS[given.verb](given, used, os.environ if env is None else env)
    except CommandError as error:
        used.say(error.message)
        return error.code
    except AgentError as error:
        used.say(str(error))
        return Code.FAILED
    except PermissionError as error:
        used.say(f"{error}; run this command as root, which becomes the agent's own user")
        return Code.REFUSED
    except OSError as error:
        used.say(f"{error}")
        return Code.FAILED
    except KeyboardInterrupt:
        return 130
    return Code.OK


def run() -> None:
    """The entry point of the `plimsoll-agent` script."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()

"""plimsoll agent: the agent of this computer, which can carry the relay role."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from plimsoll.cli import _agent_status
from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._session import Json, Session, group, session

app = group("The agent of this computer; with --relay it is a relay too.")

AgentHome = Annotated[
    Path | None,
    typer.Option(
        "--home", metavar="DIR", help="The agent's home; else PLIMSOLL_AGENT_HOME, else /var/opt/plimsoll-agent."
    ),
]


def _home(used: Session, home: Path | None) -> Path:
    from plimsoll.agent.home import home_from

    return (home or used.home or home_from(used.env)).absolute()


@app.command("activate")
def activate(
    context: typer.Context,
    home: AgentHome = None,
    manager: Annotated[str, typer.Option(metavar="dsm://HOST:PORT", help="The manager's heartbeat port.")] = "",
    token: Annotated[str, typer.Option(help="Activation token, as the manager printed it.")] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Manager-initiated: listen and wait for the manager's visit instead.")
    ] = False,
    code: Annotated[str | None, typer.Option(help="With --wait: the one-time code; else one is made.")] = None,
    manager_fingerprint: Annotated[
        str | None, typer.Option(help="With --wait: the SHA-256 of the manager's CA instead of a code.")
    ] = None,
    relay: Annotated[bool, typer.Option("--relay", help="Carry the relay role too.")] = False,
    relay_port: Annotated[int, typer.Option(min=1, max=65535, help="The relay's port.")] = 4122,
    relay_disk: Annotated[
        int, typer.Option(metavar="GIB", min=1, max=100_000, help="How much software a relay keeps.")
    ] = 20,
    appliance: Annotated[bool, typer.Option("--appliance", help="A machine that guards others.")] = False,
    guards: Annotated[list[str] | None, typer.Option(help="A machine that it guards; repeatable.")] = None,
    listen: Annotated[str, typer.Option(metavar="ADDRESS", help="Address of the agent's own ports.")] = "0.0.0.0",
    listen_port: Annotated[int, typer.Option(min=1, max=65535, help="The port for the manager's visits.")] = 4118,
    name: Annotated[str | None, typer.Option(help="Host name to report; else this computer's.")] = None,
    display_name: Annotated[str, typer.Option(help="Name to show instead of the host name.")] = "",
    local_address: Annotated[str, typer.Option(metavar="ADDRESS", help="Connect from this address.")] = "",
    as_json: Json = False,
) -> None:
    """Make this computer's key here, and get an identity from the manager."""
    from plimsoll.agent import main
    from plimsoll.messages import Kind

    used = session(context)
    options: dict[str, Any] = {
        "relay": relay,
        "relay_port": relay_port,
        "relay_disk": relay_disk << 30,
        "kind": Kind.APPLIANCE if appliance else Kind.AGENT,
        "guards": tuple(guards or ()),
        "listen_address": listen,
        "name": name,
        "display_name": display_name,
        "local_address": local_address,
    }
    if wait == bool(token):
        raise CommandError("give --manager and --token, or --wait for a visit of the manager", Code.USAGE)
    try:
        if wait:
            done = main.activate_by_manager(
                _home(used, home),
                listen_port,
                code=code,
                manager_fingerprint=manager_fingerprint,
                announce=used.output.line,
                managers=[manager] if manager else [],
                **options,
            )
        else:
            if not manager:
                raise CommandError("--token needs --manager dsm://HOST:PORT", Code.USAGE)
            done = main.activate(_home(used, home), manager, token, listen_port=listen_port, **options)
    except main.AgentError as error:
        raise CommandError(str(error)) from error
    if as_json:
        used.output.json(
            {
                "computer": done.computer,
                "installation": done.installation,
                "home": str(done.home),
                "kind": done.kind.value,
                "policy": done.policy,
            }
        )
    else:
        used.output.line(f"activated as {done.computer} ({done.kind.value}, policy {done.policy})")
        used.output.say(f"start it with: plimsoll agent run --home {done.home}")


@app.command("run")
def run(context: typer.Context, home: AgentHome = None) -> None:
    """Run until SIGTERM or Ctrl-C. Prints one line that begins with 'ready' once it works."""
    from plimsoll.agent import main

    main.become(_home(session(context), home))


@app.command("status")
def status(context: typer.Context, home: AgentHome = None, as_json: Json = False) -> None:
    """What this agent is, what it holds, and how its last heartbeat went."""
    from plimsoll.agent import main

    used = session(context)
    try:
        data = main.status(_home(used, home))
    except main.AgentError as error:
        raise CommandError(str(error)) from error
    if as_json:
        used.output.json(data)
    else:
        _agent_status.show(used.output, data)


@app.command("trust-release-key")
def trust_release_key(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The statement in force, from 'plimsoll software keys list --out'.")
    ],
    home: AgentHome = None,
) -> None:
    """Say on this host whose signature counts, in the place of what was believed: where a release key was lost."""
    from plimsoll.agent.software.shelf import Shelf
    from plimsoll.messages import release

    used = session(context)
    place = _home(used, home)
    if not (place / "agent.json").exists():
        raise CommandError(f"{place} holds no activated agent; nothing was changed", Code.USAGE)
    try:
        text = file.read_text("ascii")
        first = text.startswith("-----BEGIN")
        statement = release.first_trust([release.load_public(text.encode())]) if first else release.read_trust(text)
        Shelf(place).put_trust(statement)
    except UnicodeDecodeError:
        raise CommandError(f"{file} is no statement of release keys; nothing was changed", Code.USAGE) from None
    except release.ReleaseError as error:
        raise CommandError(f"{file}: {error}; nothing was changed", Code.USAGE) from None
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}; nothing was changed") from None
    used.output.say(f"software counts on this host if it is signed by {', '.join(key.id for key in statement.keys)}")

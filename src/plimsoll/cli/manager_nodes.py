"""plimsoll manager nodes, node-file, init --join: several managers on one database."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import when
from plimsoll.cli._secrets import first_line
from plimsoll.cli._session import Home, Json, Session, session

PassphraseFile = Annotated[
    str | None, typer.Option(metavar="FILE", help="Its first line is the node file's passphrase; - is standard input.")
]


def join_home(
    used: Session,
    home: Path | None,
    file: Path,
    passphrase_file: str | None,
    ports: tuple[int, int],
    listen: str,
    name: str | None,
    as_json: bool,
) -> None:
    """What ``manager init --join FILE`` does."""
    from plimsoll.manager.joining import join
    from plimsoll.manager.ports import ServiceError

    try:
        made = join(used.home_dir(home).absolute(), file, _passphrase(passphrase_file), *ports, listen, name)
    except ServiceError as error:
        raise CommandError(error.message, Code.USAGE if error.status == 400 else Code.FAILED) from error
    if as_json:
        used.output.json(asdict(made))
        return
    used.output.pairs((key.replace("_", " "), value) for key, value in asdict(made).items())
    used.output.say(f"start it with: plimsoll manager run --home {made.home}")


def _passphrase(name: str | None) -> bytes:
    if name is None:
        raise CommandError("name the passphrase's file: --passphrase-file FILE, or - for standard input", Code.USAGE)
    return first_line(name).encode()


def node_file(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; its owner alone can read it.")],
    passphrase_file: PassphraseFile = None,
    home: Home = None,
) -> None:
    """Write what a further manager of this installation needs: plimsoll manager init --join FILE."""
    from plimsoll.manager.joining import write_node_file
    from plimsoll.manager.ports import ServiceError

    used = session(context)
    try:
        write_node_file(used.home_dir(home).absolute(), out.absolute(), _passphrase(passphrase_file))
    except ServiceError as error:
        raise CommandError(error.message, Code.USAGE if error.status == 400 else Code.FAILED) from error
    used.output.say(f"{out} holds the CA's key under the passphrase: delete it once the further manager is made")


def nodes(
    context: typer.Context,
    forget: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take one that is gone for good off the list.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The managers that share the database: who runs, which floors are in force there, who does what."""
    used = session(context)
    with used.client(home) as client:
        if forget is not None:
            client.delete(f"/api/manager/nodes/{quote(forget, safe='')}")
        data = client.get("/api/manager/nodes")
    if as_json:
        used.output.json(data)
        return
    if not data["nodes"]:
        used.output.say("this manager keeps its store in a file of its own, and is the only one")
        return
    rows = [
        (
            one["name"] + (" (this one)" if one["own"] else ""),
            one["state"],
            f"{one['generation']}{'' if one['current'] or one['state'] != 'running' else ' (not the current one)'}",
            f"{one['address']}: {one['guiPort']}, {one['heartbeatPort']}",
            one["release"],
            when(one["seen"]),
            ", ".join(one["works"]) or "–",
        )
        for one in data["nodes"]
    ]
    used.output.table(("name", "state", "floors", "ports", "release", "seen", "does"), rows)
    for one in data["nodes"]:
        if one["text"] and one["state"] == "running":
            used.output.say(f"{one['name']}: {one['text']}")

"""plimsoll manager: make, run, upgrade and look at the manager of this computer."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from plimsoll.cli import manager_backup, manager_certificate, manager_nodes
from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import when
from plimsoll.cli._secrets import first_line
from plimsoll.cli._session import Home, Json, Session, group, session

app = group("The manager of this computer.")
app.add_typer(manager_certificate.app, name="certificate")
app.command("backup")(manager_backup.backup)
app.command("restore")(manager_backup.restore)
app.command("nodes")(manager_nodes.nodes)
app.command("node-file")(manager_nodes.node_file)


@app.command("init")
def init(
    context: typer.Context,
    home: Home = None,
    gui_port: Annotated[int, typer.Option(min=1, max=65535, help="Browsers, REST, deployment scripts.")] = 4119,
    heartbeat_port: Annotated[int, typer.Option(min=1, max=65535, help="Agents and relays.")] = 4120,
    listen: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "0.0.0.0",
    name: Annotated[str | None, typer.Option(metavar="HOST", help="Public name, for the certificates.")] = None,
    database: Annotated[
        str, typer.Option(metavar="ADDRESS", help="sqlite, or an empty postgresql://user@host:port/name?sslmode=…")
    ] = "sqlite",
    database_password_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its first line is the database's password; - is standard input.")
    ] = None,
    join: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Make a further manager of an installation: its node file.")
    ] = None,
    passphrase_file: manager_nodes.PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Make a home: CA, store, first user, first API key. TLS 1.2 is enforced from the first start."""
    from plimsoll.manager.home import init_home
    from plimsoll.manager.ports import ServiceError

    used = session(context)
    if join is not None:
        ports = gui_port, heartbeat_port
        manager_nodes.join_home(used, home, join, passphrase_file, ports, listen, name, as_json)
        return
    password = None if database_password_file is None else first_line(database_password_file)
    try:
        made = init_home(
            used.home_dir(home).absolute(),
            gui_port=gui_port,
            heartbeat_port=heartbeat_port,
            listen=listen,
            name=name,
            store=database,
            store_password=password,
        )
    except ServiceError as error:
        raise CommandError(error.message, Code.USAGE if error.status == 400 else Code.FAILED) from error
    data = asdict(made)
    if as_json:
        used.output.json(data)
        return
    used.output.pairs((key.replace("_", " "), value) for key, value in data.items())
    used.output.say("the password, the key and the token are not shown again; keep them in a safe place")
    kept = Path(made.home) / "database.pass"
    if kept.exists():
        used.output.say(f"the database's password is kept in {kept}, which its owner alone can read")
    used.output.say(f"start it with: plimsoll manager run --home {data.get('home')}")


@app.command("run")
def run(context: typer.Context, home: Home = None) -> None:
    """Run until SIGTERM or Ctrl-C. Prints one line that begins with 'ready' once every port listens."""
    from plimsoll.manager.app import run_manager
    from plimsoll.manager.ports import ServiceError
    from plimsoll.net.errors import NetError
    from plimsoll.net.tasks import TaskDiedError

    used = session(context)
    try:
        run_manager(used.home_dir(home).absolute(), used.output.line)
    except ServiceError as error:
        # 400 is the file's or the command's own fault: nothing to retry before somebody mended it.
        raise CommandError(error.message, Code.USAGE if error.status == 400 else Code.FAILED) from error
    except (NetError, TaskDiedError) as error:
        raise CommandError(str(error)) from error


@app.command("reload")
def reload(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Read configuration.properties again; a malformed file changes nothing and is named with line and column."""
    used = session(context)
    with used.client(home) as client:
        data = client.post("/api/manager/reload")
    if as_json:
        used.output.json(data)
        return
    for change in data["changed"]:
        used.output.line(f"{change['point']}: {change['from']} -> {change['to']}")
    if not data["changed"]:
        used.output.line("floors unchanged")
    for warning in data["warnings"]:
        used.output.say(warning)
    for key in data["needsRestart"]:
        used.output.say(f"{_as_written(key)} was changed; it is read at the next start")
    for key in data["unknown"]:
        used.output.say(f"{key} is not known here and was left alone")


def _as_written(setting: str) -> str:
    """trusted_proxies is the file's trustedProxies."""
    first, *others = setting.split("_")
    return first + "".join(word.capitalize() for word in others)


@app.command("upgrade")
def upgrade(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Bring the home of an earlier release to this one. Floors stay as they are; the old state goes to backup/."""
    from plimsoll.manager.ports import ServiceError
    from plimsoll.manager.upgrade import upgrade_home

    used = session(context)
    try:
        done = upgrade_home(used.home_dir(home).absolute())
    except ServiceError as error:
        raise CommandError(error.message) from error
    data = json.loads(json.dumps(asdict(done), default=lambda value: getattr(value, "value", str(value))))
    if as_json:
        used.output.json(data)
        return
    if data["already"]:
        used.output.line(f"already at {data['to_release']}; nothing to do")
        return
    used.output.line(f"upgraded from {data['from_release']} to {data['to_release']}")
    for point, floor in data["floors"].items():
        used.output.line(f"{point}: {floor}, as before")
    kept = f"the old state is in {data['backup']}"
    if data["backup"] is None:
        kept = "the database was changed in one transaction, and the way back is a backup of your own"
    used.output.say(f"{data['kept_relays']} relays keep the floor that they held; {kept}")


@app.command("migrate-database")
def migrate_database(
    context: typer.Context,
    to: Annotated[str, typer.Option(metavar="ADDRESS", help="An empty postgresql://…, or sqlite for the way back.")],
    database_password_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its first line is the database's password; - is standard input.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Move the store of a stopped manager to another database; switched only once every table's copy is equal."""
    from plimsoll.manager.moving import move_database
    from plimsoll.manager.ports import ServiceError

    used = session(context)
    password = None if database_password_file is None else first_line(database_password_file)

    def progress(table: str, rows: int) -> None:
        if rows and not as_json:
            used.output.say(f"{table}: {rows} rows, equal")

    try:
        moved = move_database(used.home_dir(home).absolute(), to, password, progress)
    except ServiceError as error:
        raise CommandError(error.message, Code.USAGE if error.status == 400 else Code.FAILED) from error
    if as_json:
        used.output.json(asdict(moved))
        return
    used.output.line(f"{moved.rows} rows in {moved.tables} tables are in {moved.target} now, each table checked")
    used.output.say(f"the old database is kept as it was: {moved.kept}")


@app.command("reset-admin")
def reset_administrator(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="An administrator who has a password here.")] = "admin",
    password_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its first line is the password; - is standard input.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The way back in, on the manager's own computer: a new password, no lock, no second factor. Sessions end."""
    used = session(context)
    body = {} if password_file is None else {"password": first_line(password_file)}
    with used.client(home) as client:
        data = client.post(f"/api/administrators/{quote(name, safe='')}/reset", body)
    if as_json:
        used.output.json({"username": data["username"], "password": data["password"]})
        return
    if data["password"] is not None:
        used.output.line(data["password"])
        used.output.say(f"that is the new password of {data['username']}; it is not shown again")
    used.output.say(f"{data['username']} is not locked, has no second factor and no sessions; it is in the audit trail")


@app.command("status")
def status(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Whether the manager runs, since when, and on which ports."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/manager/status")
        where = client.where
    if as_json:
        used.output.json(data)
        return
    if not isinstance(data, dict):
        raise CommandError(f"{where} gave no status", Code.FAILED)
    data["started"] = when(data.get("started"))
    used.output.pairs([("manager", where), *flat(data)])


def _print_schema(used: Session, kind: str) -> None:
    from plimsoll.manager.store import migrate

    dialects = {"postgresql": "postgresql", "sqlserver": "mssql", "oracle": "oracle"}
    if kind not in dialects:
        raise CommandError(f"unknown kind of database {kind!r}; valid are {', '.join(dialects)}", Code.USAGE)
    if kind != "postgresql":
        used.output.say("this was compiled and never run on such a server; no manager keeps its store there yet")
    used.output.line(migrate.render(dialects[kind]).strip())


@app.command("database")
def show_database(
    context: typer.Context,
    check: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Ask another database: sqlserver://HOST:PORT or oracle://HOST:PORT."),
    ] = None,
    forget: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Do not ask for that one any more.")] = None,
    schema: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="Only print the schema as SQL: postgresql, sqlserver or oracle."),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """What the connection to the manager's database really negotiated, and what was checked (R4)."""
    used = session(context)
    if schema is not None:
        _print_schema(used, schema)
        return
    with used.client(home) as client:
        if check is not None:
            found = client.post("/api/manager/database/checks", {"address": check})
            if found["blocks"]:
                used.output.say(f"{found['address']} is a blocker of TLSv1.2 from now on: {found['text']}. Upgrade it")
        if forget is not None:
            client.post("/api/manager/database/checks/forget", {"address": forget})
        data = client.get("/api/manager/database")
    if as_json:
        used.output.json(data)
        return
    names = {"encryptionAsked": "encryption asked for", "checked": "checked of the server"}
    others = data.pop("checkedDatabases")
    used.output.pairs((names.get(name, name), value) for name, value in data.items())
    for one in others:
        verdict = "blocks TLSv1.2" if one["blocks"] else "blocks nothing"
        used.output.line(f"{one['address']}: {one['text']}; {verdict} (checked {when(one['time'])})")


def flat(data: dict[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    """Nested names and values as one list, for people."""
    pairs: list[tuple[str, object]] = []
    for name, value in data.items():
        if isinstance(value, dict):
            pairs.extend(flat(value, f"{prefix}{name} "))
        else:
            pairs.append((f"{prefix}{name}", value))
    return pairs

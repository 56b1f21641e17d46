"""plimsoll notify: syslog receivers and webhooks that are told of events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, Session, group, session

app = group("Who is told of events: syslog receivers and webhooks.")

_COLUMNS = ("ID", "NAME", "KIND", "WHERE", "LEVEL", "STATE", "WAITING", "LAST ARRIVED")

Level = Annotated[str, typer.Option(metavar="LEVEL", help="The least level that is told: info, warning or error.")]
Number = Annotated[list[int] | None, typer.Option(metavar="N", help="Only events of this number; repeatable.")]
Ca = Annotated[Path | None, typer.Option(metavar="FILE", help="The receiver's CA (PEM); else the system's.")]
Target = Annotated[int, typer.Argument(metavar="ID", help="The target's number.")]


@app.command("list")
def list_targets(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Who is told, up to where, and what stands in the way."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/notifications")
    if as_json:
        used.output.json(data)
    elif not data["notifications"]:
        used.output.say("nobody is told of events. Begin: plimsoll notify syslog NAME --host HOST")
    else:
        used.output.table(_COLUMNS, map(_row, data["notifications"]))


@app.command("syslog")
def syslog(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What you call it.")],
    host: Annotated[str, typer.Option(help="The receiver's name or address.")],
    port: Annotated[int | None, typer.Option(help="Its port; else 6514 (tls), 601 (tcp), 514 (udp).")] = None,
    transport: Annotated[str, typer.Option(help="tls, tcp or udp.")] = "tls",
    form: Annotated[str, typer.Option(help="cef or text.")] = "cef",
    facility: Annotated[str, typer.Option(help="local0 to local7, user, daemon, auth, authpriv, audit.")] = "local0",
    ca: Ca = None,
    level: Level = "info",
    number: Number = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Tell a syslog receiver (RFC 5424), from the next event on."""
    settings: dict[str, object] = {
        "host": host,
        "port": port,
        "transport": transport,
        "form": form,
        "facility": facility,
    }
    _add(context, name, "syslog", settings, ca, level, number, home, as_json)


@app.command("webhook")
def webhook(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What you call it.")],
    url: Annotated[str, typer.Option(help="https://… that takes a POST.")],
    ca: Ca = None,
    level: Level = "info",
    number: Number = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Tell a webhook, signed, from the next event on. The secret is printed once: keep it."""
    _add(context, name, "webhook", {"url": url}, ca, level, number, home, as_json)


@app.command("set")
def change(
    context: typer.Context,
    target: Target,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    level: Annotated[str | None, typer.Option(metavar="LEVEL", help="info, warning or error.")] = None,
    number: Number = None,
    every_number: Annotated[bool, typer.Option("--every-number", help="Events of every number again.")] = False,
    on: Annotated[
        bool | None, typer.Option("--on/--off", help="Switch it on or off; nothing is lost meanwhile.")
    ] = None,
    skip: Annotated[bool, typer.Option("--skip", help="Leave out what has not arrived yet.")] = False,
    ca: Ca = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Change a target; what is not named stays."""
    used = session(context)
    body: dict[str, object] = {"name": name, "level": level, "active": on, "skip": skip}
    if number or every_number:
        body["numbers"] = number or []
    if ca is not None:
        body["settings"] = {"ca": _pem(ca)}
    with used.client(home) as client:
        _show(used, client.post(f"/api/notifications/{target}", body), as_json)


@app.command("remove")
def remove(context: typer.Context, target: Target, home: Home = None) -> None:
    """Tell it nothing any more."""
    used = session(context)
    with used.client(home) as client:
        client.delete(f"/api/notifications/{target}")
    used.output.say(f"target {target} is removed")


@app.command("test")
def trial(context: typer.Context, target: Target, home: Home = None) -> None:
    """Send one made-up event now, and say what came of it."""
    used = session(context)
    with used.client(home) as client:
        used.output.line(client.post(f"/api/notifications/{target}/test", {})["result"])


def _add(
    context: typer.Context,
    name: str,
    kind: str,
    settings: dict[str, object],
    ca: Path | None,
    level: str,
    number: list[int] | None,
    home: Path | None,
    as_json: bool,
) -> None:
    used = session(context)
    if ca is not None:
        settings["ca"] = _pem(ca)
    body = {"name": name, "kind": kind, "settings": settings, "level": level, "numbers": number or []}
    with used.client(home) as client:
        data = client.post("/api/notifications", body)
    _show(used, data, as_json)
    if not as_json:
        if "secret" in data:
            used.output.say(f"the secret that signs its deliveries, shown this once: {data['secret']}")
        used.output.say(f"try it: plimsoll notify test {data['ID']}")


def _pem(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except OSError as error:
        raise CommandError(f"{path} cannot be read ({error.strerror}); nothing was changed", Code.USAGE) from None
    except ValueError:
        raise CommandError(f"{path} is no PEM file; nothing was changed", Code.USAGE) from None


def _show(used: Session, data: dict[str, Any], as_json: bool) -> None:
    if as_json:
        used.output.json(data)
    else:
        used.output.table(_COLUMNS, [_row(data)])


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    settings = one["settings"]
    where = (
        settings.get("url") or f"{settings['host']}:{settings['port']} ({settings['transport']}, {settings['form']})"
    )
    state = "off" if not one["active"] else f"fails: {one['problem']}" if one["problem"] else "on"
    level = f"{one['level']}: {', '.join(map(str, one['numbers']))}" if one["numbers"] else one["level"]
    return (one["ID"], one["name"], one["kind"], where, level, state, one["waiting"], when(one["delivered"]))

"""plimsoll picture: who talks to whom with which version (R19), as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._session import Home, Json, session

if TYPE_CHECKING:
    from plimsoll.fleet.picture import Link


def command(
    context: typer.Context,
    enforced: Annotated[bool, typer.Option("--enforced", help="The guide's picture with TLS 1.2 enforced.")] = False,
    early: Annotated[bool, typer.Option("--early", help="The guide's picture with early TLS allowed.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Who talks to whom: the live fleet, or one of the guide's two pictures."""
    from plimsoll.fleet import picture
    from plimsoll.tls.floors import DEFAULT_PORTS, Point

    used = session(context)
    if enforced and early:
        raise CommandError("--enforced or --early, not both", Code.USAGE)
    ports = dict(DEFAULT_PORTS)
    if enforced or early:
        title = "TLS 1.2 enforced" if enforced else "Early TLS allowed"
        links = [picture.link_as_json(link) for link in picture.example(enforced=enforced)]
    else:
        title = "Who talks to whom"
        with used.client(home) as client:
            links = client.get("/api/tls/picture")["links"]
            if not as_json:
                floors = client.get("/api/tls/floors")["floors"]
                ports |= {Point(floor["point"]): floor["port"] for floor in floors if floor["port"]}
    if as_json:
        used.output.json({"links": links})
    else:
        used.output.line(picture.picture_text([link_of(link) for link in links], title, ports).rstrip("\n"))


def link_of(data: dict[str, Any]) -> Link:
    """A link as the fleet's own type, from its JSON."""
    from plimsoll.fleet.picture import Link
    from plimsoll.tls.floors import Point
    from plimsoll.tls.versions import Version

    return Link(
        from_=data["from"],
        to=data["to"],
        point=Point(data["point"]) if data["point"] else None,
        version=Version(data["version"]) if data["version"] else None,
        state=data["state"],
        reason=data["reason"],
        basis=data["basis"],
        count=data["count"],
        members=tuple(data["members"]),
    )

"""plimsoll sightings: what peers showed in real handshakes, refused ones too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, session

_KINDS = ("LAST", "POINT", "ADDRESS", "WHO", "OFFERED", "OUTCOME", "NEGOTIATED", "COUNT", "JA4")
_PEERS = (
    "LAST",
    "POINT",
    "WHO",
    "ADDRESS",
    "OFFERED",
    "NEGOTIATED",
    "REFUSED",
    "ADMITTED",
    "REFUSALS",
    "SINCE",
    "UA",
)


def command(
    context: typer.Context,
    point: Annotated[str | None, typer.Option(help="heartbeat, gui, relay or agent; all without it.")] = None,
    who: Annotated[
        str | None, typer.Option(help="A computer, an API key, a user, an address, or anonymous: only theirs.")
    ] = None,
    below: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Only who offered less than this version at most.")
    ] = None,
    refused: Annotated[bool, typer.Option("--refused", help="Only what was refused.")] = False,
    since: Annotated[str | None, typer.Option(help="30m, 24h, 7d, a date or a time: only what was seen since.")] = None,
    peers: Annotated[bool, typer.Option("--peers", help="One row for each peer at each point.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Who came to which point, what was offered, and what came of it."""
    used = session(context)
    asked = {"point": point, "who": who, "below": below, "since": since, "limit": limit}
    asked |= {"refused": "true" if refused else None, "by": "peer" if peers else None}
    with used.client(home) as client:
        data = client.get("/api/tls/sightings", **asked)
    if as_json:
        used.output.json(data)
    elif peers:
        used.output.table(_PEERS, [_peer(one) for one in data["peers"]])
    else:
        used.output.table(_KINDS, [_kind(one) for one in data["sightings"]])


def _kind(one: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        when(one.get("last")),
        one.get("point"),
        one.get("address"),
        _called(one),
        one.get("offered"),
        one.get("outcome"),
        one.get("negotiated"),
        one.get("count"),
        one.get("ja4"),
    )


def _peer(one: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        when(one.get("last")),
        one.get("point"),
        _called(one),
        one.get("address"),
        one.get("offered"),
        one.get("negotiated"),
        one.get("refused"),
        one.get("admitted"),
        one.get("refusals"),
        when(one.get("first")),
        one.get("userAgent"),
    )


def _called(one: Mapping[str, Any]) -> object:
    """The name, marked where it is concluded from address and fingerprint and was not shown."""
    attribution = one.get("attribution")
    if attribution == "one of":
        candidates = list(one.get("candidates") or ())
        return f"one of {len(candidates)}: {', '.join(candidates[:3])}{' ...' if len(candidates) > 3 else ''}"
    name = one.get("name") or one.get("who")
    return f"{name} (by its hello)" if attribution == "certain" else name

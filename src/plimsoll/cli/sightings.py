"""plimsoll sightings: what peers showed in real handshakes, refused ones too."""

from __future__ import annotations

from typing import Annotated

import typer

from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, session


def command(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Who came to which point, what was offered, and what came of it."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/tls/sightings", limit=limit)
    if as_json:
        used.output.json(data)
        return
    rows = [
        (
            when(one.get("last")),
            one.get("point"),
            one.get("address"),
            one.get("who"),
            one.get("offered"),
            one.get("outcome"),
            one.get("negotiated"),
            one.get("count"),
            one.get("ja4"),
        )
        for one in data["sightings"]
    ]
    columns = ("LAST", "POINT", "ADDRESS", "WHO", "OFFERED", "OUTCOME", "NEGOTIATED", "COUNT", "JA4")
    used.output.table(columns, rows)

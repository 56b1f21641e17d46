"""plimsoll audit: who did what, through which door."""

from __future__ import annotations

import json
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
    """Who did what, when, through which door and from where."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/audit", limit=limit)
    if as_json:
        used.output.json(data)
        return
    rows = [
        (
            when(one["time"]),
            one["who"],
            one["via"],
            one["address"],
            one["action"],
            one["target"],
            _text(one["before"]),
            _text(one["after"]),
        )
        for one in data["audit"]
    ]
    used.output.table(("WHEN", "WHO", "VIA", "ADDRESS", "ACTION", "TARGET", "BEFORE", "AFTER"), rows)


def _text(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value

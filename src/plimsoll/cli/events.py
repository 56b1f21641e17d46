"""plimsoll events: what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from plimsoll.cli._output import cell, when
from plimsoll.cli._session import Home, Json, group, session

if TYPE_CHECKING:
    from plimsoll.client.shapes import Event

app = group("System events.")


def _row(event: Event) -> tuple[object, ...]:
    return (
        event["ID"],
        when(event["time"]),
        event["number"],
        event["level"],
        event["target"],
        event["description"],
    )


@app.command("list")
def list_events(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    after: Annotated[int | None, typer.Option(help="Only events after this event ID.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The latest events."""
    used = session(context)
    with used.client(home) as client:
        data = client.typed.events.list_events(limit=limit, after=after)
    if as_json:
        used.output.json(data)
        return
    columns = ("ID", "TIME", "NUMBER", "LEVEL", "TARGET", "DESCRIPTION")
    used.output.table(columns, [_row(one) for one in data["events"]])


@app.command("tail")
def tail(
    context: typer.Context,
    after: Annotated[int | None, typer.Option(min=0, help="Begin after this event ID; else with what happens now.")] = (
        None
    ),
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Events as they happen, until Ctrl-C."""
    from plimsoll.client import events_of

    used = session(context)
    with used.client(home) as client:
        for event in events_of(client.lines("/api/events/stream", after=after)):
            if as_json:
                used.output.json_line(event)
            else:
                used.output.line("  ".join(cell(value) for value in _row(event)))

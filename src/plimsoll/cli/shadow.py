"""plimsoll shadow: floors that refuse nobody and count whom they would have."""

from __future__ import annotations

from typing import Annotated

import typer

from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, group, session

app = group("Shadow floors: try a raise without refusing anybody.")

Point = Annotated[str, typer.Option(help="heartbeat (4120), gui (4119), or all.")]


@app.command("show")
def show(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Each point's floor and shadow floor, and who last came in below it."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/tls/shadow")
    if as_json:
        used.output.json(data)
        return
    rows = []
    for one in data["points"]:
        last = one["last"]
        rows.append(
            (
                one["point"],
                one["floor"],
                one["shadow"],
                when(one["since"]) if one["since"] else None,
                one["wouldBeRefused"] if one["shadow"] else None,
                f"{when(last['last'])} {last['name']}" if last else None,
            )
        )
    used.output.table(("POINT", "FLOOR", "SHADOW", "SINCE", "WOULD REFUSE", "LAST"), rows)


@app.command("set")
def set_shadow(
    context: typer.Context,
    floor: Annotated[str, typer.Argument(metavar="VERSION", help="The floor to try.")],
    point: Point = "all",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Count from now on who comes in below that floor. Nobody is refused."""
    used = session(context)
    with used.client(home) as client:
        data = client.post("/api/tls/shadow", {"floor": floor, "point": point})
    if as_json:
        used.output.json(data)
    else:
        used.output.say(f"shadow floor {floor} at {', '.join(data['set'])}; see: plimsoll shadow report")


@app.command("clear")
def clear(context: typer.Context, point: Point = "all", home: Home = None, as_json: Json = False) -> None:
    """Count no more; the report stays."""
    used = session(context)
    with used.client(home) as client:
        data = client.delete(f"/api/tls/shadow?point={point}")
    if as_json:
        used.output.json(data)
    else:
        used.output.say(f"no shadow floor any more at {', '.join(data['cleared']) or 'any point: there was none'}")


@app.command("report")
def report(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=1, max=400, help="So many days back.")] = 30,
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Who would have been refused, by day. Exit code 0 nobody, 3 somebody."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/tls/shadow/report", days=days)
    found = data["refused"]
    if as_json:
        used.output.json(data)
        return 3 if found else 0
    if not found:
        used.output.say(f"in {days} days nobody came in below a shadow floor")
        return 0
    columns = ("DAY", "POINT", "SHADOW", "WHO", "ADDRESS", "OFFERED", "NEGOTIATED", "COUNT", "LAST")
    rows = [
        (
            one["day"], one["point"], one["floor"], one["name"], one["address"], one["offered"], one["negotiated"],
            one["count"], when(one["last"]),
        )
        for one in found
    ]  # fmt: skip
    used.output.table(columns, rows)
    return 3

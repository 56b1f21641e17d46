"""plimsoll floor: the floor of each point, how it became so, and how to change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from plimsoll.cli import _findings
from plimsoll.cli._output import Output, when
from plimsoll.cli._session import Home, Json, group, session

if TYPE_CHECKING:
    from plimsoll.client.shapes import Excused, HistoryEntry, PointFloor

#: How many ports of a point fit in the table.
_PORTS = 3

app = group("The floor: the lowest TLS version that each point accepts.")


@app.command("show")
def show(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Each point with its floor and what it serves, drift of the file, and policies that wait to be sent."""
    used = session(context)
    with used.client(home) as client:
        data = client.typed.tls.show_floors()
        if not as_json:
            sources = _sources(client.typed.tls.history(limit=500)["history"])
            excepted = client.typed.tls.list_exceptions()["exceptions"]
    if as_json:
        used.output.json(data)
        return
    rows = [
        (
            floor["point"],
            _ports(floor),
            floor["floor"],
            floor["serves"],
            floor["ciphers"],
            sources.get(floor["point"]),
            floor["policies_pending"],
        )
        for floor in data["floors"]
    ]
    used.output.table(("POINT", "PORT", "FLOOR", "SERVES", "CIPHERS", "SET", "POLICIES PENDING"), rows)
    for floor in data["floors"]:
        for other in floor["overrides"]:
            used.output.say(f"policy {other['policy']} has its own floor at {floor['point']}: {other['floor']}")
    for line in _excepted(excepted):
        used.output.say(line)
    if data["drift"]:
        used.output.say(data["drift"]["message"])


def _excepted(exceptions: list[Excused]) -> list[str]:
    """Why a point may serve versions below its floor: to whom an exception names, and to nobody else."""
    lowest: dict[str, list[str]] = {}
    for one in exceptions:
        if one["state"] == "in force":
            lowest.setdefault(one["point"], []).append(one["floor"])
    return [
        f"{point} serves {min(floors)} to {_findings.counted(len(floors), 'exception', 'exceptions')} alone:"
        " 'plimsoll exception list'"
        for point, floors in lowest.items()
    ]


def _ports(floor: PointFloor) -> str:
    """The ports in use, the most common first."""
    ports = [str(port) for port in floor["ports"]]
    return ", ".join(ports[:_PORTS]) + (", …" if len(ports) > _PORTS else "")


def _sources(history: list[HistoryEntry]) -> dict[str, str]:
    """How each point came by its floor: the newest entry of its history."""
    sources: dict[str, str] = {}
    for entry in history:
        how = "by force" if entry["forced"] else entry["cause"]
        sources.setdefault(entry["point"], f"{how}, {entry['who']}, {when(entry['time'])}")
    return sources


@app.command("set")
def set_floor(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3.")],
    point: Annotated[str, typer.Option(help="heartbeat, gui, relay, agent or all.")] = "all",
    force: Annotated[bool, typer.Option("--force", help="Raise although parts would be cut off; needs --reason.")] = (
        False
    ),
    reason: Annotated[str | None, typer.Option(help="Why; kept in the history.")] = None,
    seen: _findings.Seen = None,
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Set the floor; a raise that would cut parts off is refused, with their names (exit code 3)."""
    used = session(context)
    body = {"point": point, "floor": version, "force": force, "reason": reason}
    return _findings.move(used, home, "/api/tls/floors", body, as_json, again="to raise anyway", seen=seen, more=_waits)


def _waits(output: Output, data: dict[str, Any]) -> None:
    for warning in data["warnings"]:
        output.say(warning)
    pending = data["policies_pending"]
    if pending:
        waits = "policy waits" if pending == 1 else "policies wait"
        output.say(f"{pending} {waits} to be sent: 'plimsoll send-policy --all', or --relay-group, or --computer")


@app.command("verify")
def verify(
    context: typer.Context,
    timeout: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds for a connect and a first byte.")] = 5.0,
    source: Annotated[str, typer.Option("--source", help="The local address to probe from.")] = "",
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Probe every point of the fleet from outside; exit code 0 all proved, 3 violated, 4 not proved."""
    from plimsoll.cli._fleet.points import of_fleet
    from plimsoll.cli._fleet.verify import WORDS, prove
    from plimsoll.scan.profiles import exit_code

    used = session(context)
    points = of_fleet(used.client(home), home or used.home, used.env, source)
    proofs = prove(points, timeout=timeout, local_address=source)
    if as_json:
        used.output.json({"points": [proof.as_json() for proof in proofs]})
    else:
        rows = [
            (
                proof.point.point.value,
                proof.point.name,
                proof.point.place if proof.point.address else None,
                proof.point.asked,
                proof.proved,
                WORDS[proof.verdict],
                f"{proof.evidence}; {proof.point.note}" if proof.point.note else proof.evidence,
            )
            for proof in proofs
        ]
        used.output.table(("POINT", "WHO", "AT", "ASKED", "PROVED", "VERDICT", "EVIDENCE"), rows)
    return exit_code(proof.verdict for proof in proofs)


@app.command("history")
def history(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Who changed a floor, when, from what to what, and why."""
    used = session(context)
    with used.client(home) as client:
        data = client.typed.tls.history(limit=limit)
    if as_json:
        used.output.json(data)
        return
    rows = [
        (
            when(entry["time"]),
            entry["who"],
            entry["via"],
            entry["point"],
            entry["from"],
            entry["to"],
            f"{entry['cause']}, forced" if entry["forced"] else entry["cause"],
            entry["reason"],
            entry["named"],
        )
        for entry in data["history"]
    ]
    used.output.table(("WHEN", "WHO", "VIA", "POINT", "FROM", "TO", "CAUSE", "REASON", "CUT OFF BY FORCE"), rows)

"""plimsoll advise: the decision table (R8), for the live fleet or for one described by options."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import Annotated, Any

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import Output
from plimsoll.cli._session import Home, Json, session


def command(
    context: typer.Context,
    installation: Annotated[str | None, typer.Option(help="new or upgrade: judge without a manager.")] = None,
    oldest_agent: Annotated[str | None, typer.Option(metavar="VERSION", help="Such as 9.6.")] = None,
    oldest_relay: Annotated[str | None, typer.Option(metavar="VERSION")] = None,
    oldest_appliance: Annotated[
        str | None, typer.Option(metavar="VERSION", help="The version of its embedded agent.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """What to do about the floor, and which parts decide it."""
    used = session(context)
    if installation is None:
        if oldest_agent or oldest_relay or oldest_appliance:
            raise CommandError("--oldest-… describe a fleet: add --installation new|upgrade", Code.USAGE)
        with used.client(home) as client:
            data = client.get("/api/tls/advice")
    else:
        data = _described(installation, oldest_agent, oldest_relay, oldest_appliance)
    if as_json:
        used.output.json(data)
    else:
        _print(used.output, data)


def _described(installation: str, agent: str | None, relay: str | None, appliance: str | None) -> dict[str, Any]:
    from plimsoll.fleet.advice import advise_for

    if installation not in ("new", "upgrade"):
        raise CommandError(f"--installation is new or upgrade, not {installation!r}", Code.USAGE)
    try:
        advice = advise_for(installation, agent, relay, appliance)
    except ValueError as error:
        raise CommandError(str(error), Code.USAGE) from error
    data: dict[str, Any] = advice.as_json() if hasattr(advice, "as_json") else asdict(advice)
    return data


def _print(output: Output, data: dict[str, Any]) -> None:
    output.line(str(data.get("title")))
    output.line(f"recommended: {data.get('recommended')}")
    if data.get("alternative"):
        output.line(f"alternative: {data['alternative']}")
    deciding = data.get("deciding") or ()
    if deciding:
        output.line("decided by:")
    for part in deciding:
        output.line(f"  {_part(part)}")


def _part(part: Any) -> str:
    if is_dataclass(part) and not isinstance(part, type):
        part = asdict(part)
    if isinstance(part, dict):
        return f"{part.get('who')} ({part.get('kind')} {part.get('version')}): {part.get('why')}"
    who, kind, version, why = part
    return f"{who} ({kind} {version}): {why}"

"""plimsoll doctor: the most likely misconfigurations of this computer's manager or agent, and what to do."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plimsoll.cli._errors import Code
from plimsoll.cli._session import Home, Json, Session, session

if TYPE_CHECKING:
    from plimsoll.fleet.diagnosis import Diagnosis


def command(
    context: typer.Context,
    agent_home: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Look at the agent of that home, and not at a manager.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--all", help="Say what is good, too.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Find what is most likely wrong, and say what to do. Changes nothing. Exit code 1 where there is a problem."""
    used = session(context)
    found = _agent(agent_home) if agent_home is not None else _manager(used, home)
    if as_json:
        used.output.json({"findings": [asdict(one) for one in found]})
    else:
        for one in found:
            if verbose or one.verdict != "good":
                used.output.line(f"{one.verdict}: {one.check}: {one.text}" + (f". {one.remedy}" if one.remedy else ""))
        good = sum(one.verdict == "good" for one in found)
        used.output.say(f"{good} of {len(found)} findings are good")
    if any(one.verdict == "problem" for one in found):
        raise typer.Exit(Code.FAILED)


def _agent(home: Path) -> list[Diagnosis]:
    from plimsoll.agent.doctor import examine

    return examine(home.absolute(), time.time())


def _manager(used: Session, home: Path | None) -> list[Diagnosis]:
    from plimsoll.manager.doctor import examine

    def ask(path: str) -> Any:
        with used.client(home) as client:
            return client.get(path)

    return examine(used.home_dir(home).absolute(), ask, time.time())

"""`--watch`: a change while it goes on. A terminal gets a picture that is drawn anew, a pipe gets its lines."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from plimsoll.cli._change_view import OPEN, exit_code, log_line, rules, stages
from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import Output, when

if TYPE_CHECKING:
    from rich.console import Console, Group

    from plimsoll.cli._client import Client

Change = Mapping[str, Any]

_EVERY = 1.0
#: A pipe hears of figures that move, and of nothing else, that seldom, in seconds.
_SAY_AGAIN = 60.0
#: How long a manager may be away (a restart, an upgrade) before watching ends.
_AWAY = 600.0


class _View(Protocol):
    def show(self, data: Change) -> None: ...

    def entry(self, text: str) -> None: ...

    def say(self, text: str) -> None: ...

    def close(self) -> None: ...


def watch(output: Output, client: Client, change: int, every: float = _EVERY) -> int:
    """Follows it until it is over or waits for a person; its exit code then."""
    if not client.live:
        output.say("the manager is stopped: the change goes on when it runs")
        return int(Code.OK)
    view: _View = _Drawn(output) if output.out.isatty() else _Lines(output)
    told = 0
    try:
        for data in _answers(client, change, view, every):
            for one in data["log"][told:]:
                view.entry(log_line(one))
            told = len(data["log"])
            if data["state"] not in OPEN or data["state"] == "halted":
                break
            view.show(data)
    except KeyboardInterrupt:
        view.close()
        output.say(f"the change goes on; see: plimsoll change status {change} --watch")
        raise
    view.close()
    if data["state"] == "halted":
        output.line(f"change {change} waits for a person: {data['text']}")
        output.say(f"go on: plimsoll change resume {change}; go back: plimsoll change abort {change}")
    else:
        output.line(f"change {change} is {data['state']}: {data['text']}")
    return exit_code(data)


def _answers(client: Client, change: int, view: _View, every: float) -> Iterator[Change]:
    """What the manager says, again and again. One that restarts is waited for."""
    away: float | None = None
    while True:
        try:
            data: Change = client.get(f"/api/tls/changes/{change}")
        except CommandError as error:
            if error.code is not Code.UNREACHABLE:
                raise
            if away is None:
                away = time.monotonic()
                view.say(f"{error.message}; it is asked again")
            elif time.monotonic() - away > _AWAY:
                raise
        else:
            if away is not None:
                view.say("the manager answers again")
            away = None
            yield data
        time.sleep(every)


class _Lines:
    """Log entries are results; what it waits for is talk, and not each second."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._said = ""
        self._at = 0.0

    def show(self, data: Change) -> None:
        now = f"{data['state']}, {data['stage']}: {data['text']}"
        # Figures alone are no news.
        kind = re.sub(r"\d+", "#", now)
        if kind == self._said and time.monotonic() - self._at < _SAY_AGAIN:
            return
        self._said, self._at = kind, time.monotonic()
        self._output.say(now)

    def entry(self, text: str) -> None:
        self._output.line(text)

    def say(self, text: str) -> None:
        self._output.say(text)

    def close(self) -> None:
        """Nothing is left open."""


class _Drawn:
    """Log entries scroll above; below them the stages and every health rule with its figure stay in place."""

    def __init__(self, output: Output) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console: Console = Console(file=output.out, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def show(self, data: Change) -> None:
        self._live.update(_picture(data), refresh=True)

    def entry(self, text: str) -> None:
        self._console.print(text, markup=False)

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, style="yellow")

    def close(self) -> None:
        self._live.stop()


def _picture(data: Change) -> Group:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Text(f"\nchange {data['id']}, {data['direction']} to {data['to']} at {', '.join(data['points'])}", "bold")
    state = Text.assemble((str(data["state"]), "green" if data["state"] == "running" else "yellow"))
    state.append(f"  {data['text']}  ({when(time.time())})")
    path = Text()
    for number, (stage, place) in enumerate(stages(data)):
        style = {"ok": "green", "now": "bold reverse", "": "dim"}[place]
        path.append(" → " if number else "")
        path.append(f"{stage} ✓" if place == "ok" else f" {stage} " if place == "now" else stage, style)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "HEALTH RULE", "NOW", "ALLOWED", "ELSE"):
        table.add_column(column, overflow="fold")
    for ok, rule, value, limit, breach in rules(data):
        mark = (
            Text("✓", "green") if ok else Text("…", "yellow") if breach.startswith("waits") else Text("✗", "bold red")
        )
        table.add_row(mark, Text(rule), Text(value), Text(limit), Text(breach))
    parts: list[Any] = [head, path, state]
    if data["figures"]:
        parts += [Text(), table]
    parts.append(Text("Ctrl-C ends the watching, not the change.", "dim"))
    return Group(*parts)

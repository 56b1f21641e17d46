"""What a computer says of its upgrade, with its heartbeat: how far it is, and how it ended. In the intake's commit."""

from __future__ import annotations

from plimsoll.fleet import upgrades
from plimsoll.fleet.component import ComponentVersion
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services.core import Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.store import commands as command_table
from plimsoll.manager.store import upgrades as table
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.messages import Ack, UpgradeReport

#: Reports after which a silence is the new release's doing.
_RUNS = "watching"
_SWITCHED = ("switching", _RUNS)
#: The code with which a host says that it tried the new release and left it.
WENT_BACK = "switched-back"


def take_report(unit: Unit, computer: ComputerRecord, report: UpgradeReport | None) -> None:
    """How far it is. A report of an order that was taken back counts only once the new release runs.

    Who says "switching" and was taken back reads so in the answer to that very heartbeat, which is made of what stands
    in this transaction: it stops.
    """
    if report is None:
        return
    host = table.by_command(unit.connection, report.command)
    if host is None or host.computer != computer.id or host.state in table.ENDS:
        return
    if report.state != _RUNS and command_table.command(unit.connection, report.command, computer.id) is None:
        return
    state = table.SWITCHING if report.state in _SWITCHED else table.WORKING
    if state == table.WORKING and host.state not in (table.ORDERED, table.WORKING):
        return
    if (host.state, host.detail) != (state, report.state):
        table.move(unit.connection, host, state, unit.now, report.state)


def take_end(unit: Unit, computer: ComputerRecord, ack: Ack, runs: str) -> None:
    """How it ended; `runs` is the release that it says it runs. What it says itself beats what was concluded."""
    host = table.by_command(unit.connection, ack.command)
    if host is None or host.computer != computer.id or host.state in table.ENDS:
        return
    if ack.ok and upgrades.is_release(runs, ComponentVersion.parse(host.goal)):
        table.move(unit.connection, host, table.DONE, unit.now, ack.text)
        return
    why, code = (f"it says that it runs release {runs}", "other-release") if ack.ok else (ack.text, ack.code)
    state = table.BACK if code == WENT_BACK else table.FAILED
    table.move(unit.connection, host, state, unit.now, why, code)
    text = f"{computer.display} is not at release {host.goal}: {why or 'it gave no reason'}"
    extra = {"upgrade": host.upgrade, "code": code}
    unit.event(
        NewEvent(
            numbers.UPGRADE_FAILED, "warning", text, computer=computer.id, target=computer.display, extra=extra
        )
    )  # fmt: skip

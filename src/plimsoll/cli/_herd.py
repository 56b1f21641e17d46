"""plimsoll simulate --fleet: a large fleet as state machines, made once by --seed-home."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from plimsoll.testing.herd import HerdPlan
    from plimsoll.testing.tally import HerdReport, Tally

#: What a fleet runs unless --release says another.
_RELEASE = "12.0.0"
#: Seconds between two lines of progress.
_EVERY = 5.0


@dataclass(slots=True)
class Wanted:
    """The options of one simulation, as they were given."""

    manager: str
    fleet: Path
    seconds: float
    agents: int
    interval: float | None = None
    spread: float | None = None
    keep_alive: bool = False
    seed: int = 1
    network: int = 1
    sockets: int = 512
    processes: int = 1
    faults: Path | None = None
    resume: bool = True
    warm_up: bool = False


def seed(
    output: Output,
    home: Path,
    fleet: Path | None,
    agents: int,
    prefix: str,
    release: str,
    processes: int,
    as_json: bool,
) -> int:
    """Makes the fleet's computers in a stopped manager's home, and its identities in the folder."""
    from plimsoll.manager.ports import ServiceError
    from plimsoll.manager.seeding import seed_fleet
    from plimsoll.testing.fleet import FleetHead, FleetWriter
    from plimsoll.testing.herd import simulated_inventory

    if fleet is None:
        raise CommandError("name the folder for the fleet's identities by --fleet", Code.USAGE)
    version = release or _RELEASE
    told = time.monotonic()

    def progress(done: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _EVERY:
            told = time.monotonic()
            output.say(f"{done:,} of {agents:,} computers")

    try:
        with FleetWriter(fleet) as writer:
            inventories = [simulated_inventory(prefix, number, version) for number in range(agents)]
            made = seed_fleet(home, inventories, writer.add, processes, progress)
            head = FleetHead(made.installation, made.ca, list(made.trusts), made.policy, version, prefix)
            writer.finish(head)
    except ValueError as error:
        raise CommandError(str(error), Code.USAGE) from error
    except ServiceError as error:
        raise CommandError(error.message, Code.USAGE if error.status == 400 else Code.FAILED) from error
    if as_json:
        output.json({"home": str(home), "fleet": str(fleet), "computers": made.count})
    else:
        output.line(f"{made.count} computers are in {home}, their identities in {fleet}")
    return Code.OK


def run(output: Output, wanted: Wanted, as_json: bool) -> int:
    """Exit code 0 where somebody was answered and nothing was lost, else 1."""
    import asyncio

    from plimsoll.testing.faults import FaultScript, read_script
    from plimsoll.testing.herd import HerdPlan
    from plimsoll.testing.herd_run import HerdError

    try:
        script = FaultScript() if wanted.faults is None else read_script(wanted.faults)
        plan = HerdPlan(
            manager=wanted.manager,
            folder=str(wanted.fleet),
            seconds=wanted.seconds,
            agents=wanted.agents,
            interval=wanted.interval,
            spread=wanted.spread,
            resume=wanted.resume,
            keep_alive=wanted.keep_alive,
            warm_up=wanted.warm_up,
            sockets=wanted.sockets,
            network=wanted.network,
            seed=wanted.seed,
            faults=[fault.as_data() for fault in script.faults],
        )
        report = asyncio.run(_until_stopped(plan, wanted.processes, _progress(output)))
    except ValueError as error:
        raise CommandError(str(error), Code.USAGE) from error
    except HerdError as error:
        raise CommandError(str(error), Code.FAILED) from error
    data = report.as_json()
    if as_json:
        output.json(data)
    else:
        _print(output, data)
    return Code.OK if data["answered"] and not data["lost"] else Code.FAILED


async def _until_stopped(plan: HerdPlan, processes: int, tell: Callable[[Tally, float], None]) -> HerdReport:
    import asyncio
    import signal

    from plimsoll.testing.herd_run import run_herd

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await run_herd(plan, processes, tell, stop)


def _progress(output: Output) -> Callable[[Tally, float], None]:
    told = time.monotonic()
    warming = False

    def tell(tally: Tally, elapsed: float) -> None:
        nonlocal told, warming
        if warming and not tally.warming:
            output.say("all have come once; the clock runs")
        warming = tally.warming
        if time.monotonic() - told < _EVERY:
            return
        told = time.monotonic()
        slow = tally.latency.milliseconds().get("p99", 0.0)
        output.say(
            f"{elapsed:.0f} s: {tally.sent} sent, {tally.answered} answered, {tally.lost} lost, "
            f"{sum(tally.failures.values())} failures, p99 {slow:.0f} ms, {tally.behind:.1f} s behind"
        )

    return tell


def _print(output: Output, data: dict[str, Any]) -> None:
    """Numbers as pairs; what has a name and a number as one line; of the seconds only the range."""
    for name, value in data.items():
        if name in ("per_second", "faults"):
            continue
        text = ", ".join(f"{key} {what}" for key, what in value.items()) if isinstance(value, dict) else value
        if text != "":
            output.line(f"{name.replace('_', ' ')}: {text}")
    rates = [answered for _, _, answered, _ in data["per_second"]]
    if rates:
        output.line(f"answered in a second: at least {min(rates)}, at most {max(rates)}")

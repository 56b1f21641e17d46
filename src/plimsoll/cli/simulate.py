"""plimsoll simulate: many real TLS clients in one process, to try a manager with a large or an old fleet."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import Output
from plimsoll.cli._session import Json, session

if TYPE_CHECKING:
    from collections.abc import Callable

    from plimsoll.testing.simulator import Progress, Report, SimulationPlan


def command(
    context: typer.Context,
    manager: Annotated[str, typer.Option(metavar="dsm://HOST:PORT", help="The manager's heartbeat port.")] = "",
    token: Annotated[str, typer.Option(help="An activation token with enough uses; not with --fleet.")] = "",
    agents: Annotated[int, typer.Option(min=0, help="How many agents in all.")] = 10,
    old: Annotated[int, typer.Option(min=0, help="How many of them are before 10.0: TLS 1.0 only.")] = 0,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long.")] = 60.0,
    relays: Annotated[int, typer.Option(min=0, help="How many relays besides.")] = 0,
    relay_version: Annotated[str, typer.Option(help="Their release; it decides the floor they begin with.")] = "11.0",
    relay_port: Annotated[int, typer.Option(help="Their port, each on an address of its own.")] = 4122,
    interval: Annotated[float | None, typer.Option(help="Seconds between heartbeats; else the policy's.")] = None,
    start_over: Annotated[float | None, typer.Option(help="Spread the first contacts over so many seconds.")] = None,
    keep_alive: Annotated[bool, typer.Option("--keep-alive", help="Keep connections open between heartbeats.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed draws the same fleet.")] = 1,
    network: Annotated[int, typer.Option(min=1, max=254, help="Addresses from 127.N.0.1 on.")] = 1,
    prefix: Annotated[str, typer.Option(help="What the peers' names begin with.")] = "sim",
    release: Annotated[str, typer.Option(help="All that are not old run this one, and obey orders to upgrade.")] = "",
    failing: Annotated[int, typer.Option(min=0, help="How many of them fail to upgrade.")] = 0,
    ending: Annotated[
        list[str] | None,
        typer.Option(help="How they fail: refused, crashes, deaf or silent; repeatable, in turn."),
    ] = None,
    relay_group: Annotated[
        list[str] | None, typer.Option("--relay-group", help="The relay group that they join; repeatable, in turn.")
    ] = None,
    peers_home: Annotated[Path | None, typer.Option("--peers-home", help="Keep the peers' identities here.")] = None,
    fleet: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A large fleet as state machines: its identities, by --seed-home."),
    ] = None,
    seed_home: Annotated[
        Path | None,
        typer.Option(metavar="HOME", help="Only make --fleet: --agents computers in this stopped manager's home."),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="With --fleet: so many processes share the agents.")] = 1,
    sockets: Annotated[
        int, typer.Option(min=1, help="With --fleet: connections open at once, of all processes.")
    ] = 512,
    faults: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --fleet: a fault script (TOML): docs/scale.md.")
    ] = None,
    full_handshakes: Annotated[
        bool, typer.Option("--full-handshakes", help="With --fleet: no session is resumed, as after a restart.")
    ] = False,
    warm_up: Annotated[
        bool, typer.Option("--warm-up", help="With --fleet: one heartbeat of each first, which is not counted.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Simulate a fleet. Exit code 1 where nothing heartbeated; peers that the floor refused are named.

    SIGINT and SIGTERM end it early, with its report.
    """
    import asyncio

    from plimsoll.cli import _herd
    from plimsoll.testing.pipe import PeerError
    from plimsoll.testing.simulator import SimulationPlan
    from plimsoll.testing.upgrading import Ending

    output = session(context).output
    if seed_home is not None:
        return _herd.seed(output, seed_home, fleet, agents, prefix, release, processes, as_json)
    if fleet is not None:
        wanted = _herd.Wanted(manager, fleet, seconds, agents if _given(context, "agents") else 0)
        wanted.interval, wanted.spread, wanted.keep_alive = interval, start_over, keep_alive
        wanted.seed, wanted.network, wanted.sockets, wanted.processes = seed, network, sockets, processes
        wanted.faults, wanted.resume, wanted.warm_up = faults, not full_handshakes, warm_up
        return _herd.run(output, wanted, as_json)
    for name in ("processes", "sockets", "faults", "full_handshakes", "warm_up"):
        if _given(context, name):
            raise CommandError(f"--{name.replace('_', '-')} is for a large fleet: name it by --fleet", Code.USAGE)
    if not (manager and token):
        raise CommandError("name the manager by --manager, and give a --token or a --fleet", Code.USAGE)
    try:
        plan = SimulationPlan(
            manager=manager,
            token=token,
            agents=agents,
            old=old,
            seconds=seconds,
            relays=relays,
            relay_version=relay_version,
            relay_port=relay_port,
            interval=interval,
            start_over=start_over,
            keep_alive=keep_alive,
            seed=seed,
            network=network,
            prefix=prefix,
            home=peers_home,
            release=release,
            failing=failing,
            endings=tuple(map(Ending, ending or ("refused", "crashes", "deaf"))),
            relay_groups=tuple(relay_group or ()),
        )
    except ValueError as error:
        raise CommandError(str(error), Code.USAGE) from error
    try:
        report = asyncio.run(_until_stopped(plan, _progress(output, plan))).as_json()
    except PeerError as error:
        raise CommandError(str(error), Code.UNREACHABLE) from error
    if as_json:
        output.json(report)
    else:
        _print(output, report)
    return Code.OK if report["heartbeats"] else Code.FAILED


def _given(context: typer.Context, name: str) -> bool:
    """Whether the option stands on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


async def _until_stopped(plan: SimulationPlan, progress: Callable[[Progress], None]) -> Report:
    import asyncio
    import signal

    from plimsoll.testing.simulator import simulate

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await simulate(plan, progress=progress, stop=stop)


def _progress(output: Output, plan: SimulationPlan) -> Callable[[Progress], None]:
    """One line of talk every few seconds, and no more."""
    every = max(2.0, plan.seconds / 20)
    told = time.monotonic()

    def tell(progress: Progress) -> None:
        nonlocal told
        if time.monotonic() - told < every:
            return
        told = time.monotonic()
        output.say(
            f"{progress.elapsed:.0f} s: {progress.activated} of {progress.peers} activated, "
            f"{progress.heartbeats} heartbeats, {progress.refused} refused, {progress.failures} failures"
        )

    return tell


def _print(output: Output, report: dict[str, Any]) -> None:
    """Numbers as pairs, tables of names as one line each."""
    for name, value in report.items():
        text = ", ".join(f"{key} {what}" for key, what in value.items()) if isinstance(value, dict) else value
        if text not in ("", None):
            output.line(f"{name.replace('_', ' ')}: {text}")

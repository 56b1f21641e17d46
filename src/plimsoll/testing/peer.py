"""A program that is one simulated peer: ``python -m plimsoll.testing.peer``.

It runs until SIGTERM and prints ``ready`` once the manager has taken its first heartbeat. Its ``--home`` is an agent's
home, so that ``plimsoll agent run`` can take the identity over as the newest release.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from plimsoll.messages import Kind
from plimsoll.messages.token import ActivationToken
from plimsoll.net.errors import NetError
from plimsoll.testing.agents import Contexts, PeerSpec, SimulatedAgent, fetch_ca, parse_manager
from plimsoll.testing.home import PeerHome
from plimsoll.testing.pipe import PeerError
from plimsoll.tls.versions import Version

__all__ = ["PeerSpec", "SimulatedAgent", "main", "run_peer"]


async def run_peer(spec: PeerSpec, home: Path, manager: str, token: str, ready: Callable[[], None]) -> None:
    """One peer in a process of its own, until it is cancelled. `ready` is called at its first heartbeat."""
    host, port = parse_manager(manager)
    peer_home = PeerHome(home)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not peer_home.ca.exists():
        peer_home.ca.write_bytes(await fetch_ca(host, port, ActivationToken.parse(token), spec.address))

    def first(peer: SimulatedAgent) -> None:
        if peer.log.heartbeats == 1:
            ready()

    peer = SimulatedAgent(spec, home, (host, port), Contexts(peer_home.ca), on_heartbeat=first)
    await peer.run(token)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program: ``python -m plimsoll.testing.peer --home DIR --manager dsm://H:P --token T --version 9.6``."""
    parser = argparse.ArgumentParser(prog="plimsoll.testing.peer", description="One simulated peer of any release.")
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--manager", required=True, help="dsm://host:port/")
    parser.add_argument("--token", required=True)
    parser.add_argument("--version", required=True, help="the release it plays, as 9.6 or 11.0")
    parser.add_argument("--speaks", type=Version, default=None, help="newest TLS version, if not its release's")
    parser.add_argument("--suites", default=None, help="OpenSSL's cipher string of what it offers up to TLS 1.2")
    parser.add_argument("--name", default="")
    parser.add_argument("--kind", choices=[kind.value for kind in Kind], default=Kind.AGENT.value)
    parser.add_argument("--guards", default="", help="names of the machines that an appliance guards, with commas")
    parser.add_argument("--interval", type=float, default=None, help="seconds between heartbeats")
    parser.add_argument("--address", default=None, help="its own address in 127.0.0.0/8")
    parser.add_argument("--relay-port", type=int, default=4122)
    parser.add_argument("--listen-port", type=int, default=4118, help="for the agent that takes the identity over")
    given = parser.parse_args(arguments)
    spec = PeerSpec(
        name=given.name or given.home.name,
        version=given.version,
        kind=Kind(given.kind),
        address=given.address,
        guards=tuple(name for name in given.guards.split(",") if name),
        relay_port=given.relay_port,
        listen_port=given.listen_port,
        interval=given.interval,
        newest=given.speaks,
        suites=given.suites,
    )

    def ready() -> None:
        sys.stdout.write(f"ready {spec.name} {spec.version}\n")
        sys.stdout.flush()

    async def live() -> None:
        task = asyncio.ensure_future(run_peer(spec, given.home, given.manager, given.token, ready))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    try:
        asyncio.run(live())
    except (PeerError, NetError, ValueError) as error:
        sys.stderr.write(f"plimsoll.testing.peer: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

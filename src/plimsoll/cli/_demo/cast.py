"""Who plays: names, releases, addresses and ports of the demonstration's fleet."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from typing import Literal

from plimsoll.tls.floors import DEFAULT_PORTS, Point

MANAGER_ADDRESS = "127.0.0.1"
GROUPS = ("north", "south")
#: Where the probes come from, so that nobody takes them for a computer or a program.
PROBER_ADDRESS = "127.0.60.1"
#: Seconds between heartbeats: short, so that a person need not wait.
HEARTBEAT = 2

Role = Literal["agent", "relay", "appliance"]


@dataclass(frozen=True, slots=True)
class Computer:
    """One computer, on an address of its own. `old` ones begin as their release, simulated, and speak TLS 1.0 only."""

    name: str
    address: str
    role: Role = "agent"
    version: str = "12.0.0"
    group: str = ""
    guards: tuple[str, ...] = ()
    listen_port: int = 0
    relay_port: int = 0

    @property
    def old(self) -> bool:
        return self.version.startswith("9.")


@dataclass(frozen=True, slots=True)
class Program:
    """An API client; `newest` is the newest TLS version that it speaks."""

    name: str
    address: str
    newest: str


@dataclass(frozen=True, slots=True)
class Cast:
    gui_port: int
    heartbeat_port: int
    computers: tuple[Computer, ...]
    programs: tuple[Program, ...]

    @property
    def relays(self) -> tuple[Computer, ...]:
        return tuple(one for one in self.computers if one.role == "relay")

    @property
    def modern(self) -> tuple[Computer, ...]:
        return tuple(one for one in self.computers if not one.old)

    @property
    def old(self) -> tuple[Computer, ...]:
        return tuple(one for one in self.computers if one.old)


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago on every loopback address, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("0.0.0.0", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def cast(standard_ports: bool) -> Cast:
    """The fleet: with the standard ports, each computer has them on its own address."""
    if standard_ports:
        gui, heartbeat = DEFAULT_PORTS[Point.GUI], DEFAULT_PORTS[Point.HEARTBEAT]
        agent, relay = DEFAULT_PORTS[Point.AGENT], DEFAULT_PORTS[Point.RELAY]
    else:
        gui, heartbeat, agent, relay = free_ports(4)
    names = [("relay-north", "127.0.10.1"), ("relay-south", "127.0.10.2")]
    relays = [
        Computer(name, address, "relay", group=group, listen_port=agent, relay_port=relay)
        for (name, address), group in zip(names, GROUPS, strict=True)
    ]
    agents = [Computer(f"agent-{n}", f"127.0.20.{n}", group=GROUPS[n % 2], listen_port=agent) for n in (1, 2, 3)]
    old = [Computer(f"old-{n}", f"127.0.30.{n}", version="9.6", group=GROUPS[n % 2], listen_port=agent) for n in (1, 2)]
    guarded = ("guest-a", "guest-b")
    appliance = Computer("appliance-1", "127.0.40.1", "appliance", "9.5", GROUPS[0], guarded, listen_port=agent)
    programs = (
        Program("report-writer", "127.0.50.1", "TLSv1.3"),
        Program("old-inventory", "127.0.50.2", "TLSv1"),
    )
    return Cast(gui, heartbeat, (*relays, *agents, *old, appliance), programs)

"""Every point of a live fleet that listens: where it is, and which floor is asked of it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from plimsoll.cli._errors import Code, CommandError
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from plimsoll.cli._client import Client

#: Addresses at which a manager listens on all, as seen from its own computer.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class FleetPoint:
    """One listening port. `address` is empty where nobody knows it; `note` is what else the manager says of it."""

    name: str
    point: Point
    address: str
    port: int
    asked: Version
    note: str = ""

    @property
    def place(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


def of_fleet(client: Client, home: Path | None, env: Mapping[str, str], source: str = "") -> list[FleetPoint]:
    """The points of the manager that the client reaches; `home` and `env` are what led to it. Raises CommandError.

    The manager is told where the probes will come from, `source` or what the system would choose: else it would list
    them as somebody's program.
    """
    with client:
        found = points(client, manager_address(home, env))
        source = source or source_towards(found[0]) if found else source
        if source:
            with contextlib.suppress(CommandError):
                # A key that may only read, or a way through NAT: then they are listed, which warns and blocks nothing.
                client.post("/api/tls/probers", {"address": source})
        return found


def source_towards(point: FleetPoint) -> str:
    """The local address of connections to that point, empty where there is no way to it. Sends nothing."""
    try:
        kind, _, _, _, address = socket.getaddrinfo(point.address, point.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(kind, socket.SOCK_DGRAM) as sock:
            sock.connect(address)
            return str(sock.getsockname()[0])
    except OSError:
        return ""


def manager_address(home: Path | None, env: Mapping[str, str]) -> str:
    """Where the manager's own ports are reached from here."""
    if home is None and (url := env.get("PLIMSOLL_URL")):
        return urlsplit(url).hostname or ""
    from plimsoll.cli import _client
    from plimsoll.manager import config

    path = _client.manager_home(home, env) / "configuration.properties"
    try:
        listens = config.load(path).listen_address
    except config.ConfigurationError as error:
        raise CommandError(str(error), Code.USAGE) from error
    return _EVERYWHERE.get(listens, listens)


def points(client: Client, manager: str) -> list[FleetPoint]:
    """The manager's two, each relay's 4122, and the 4118 of each computer that listens there."""
    floors = {floor["point"]: floor for floor in client.get("/api/tls/floors")["floors"]}
    found = [
        FleetPoint("manager", point, manager, floor["port"], Version(floor["floor"]))
        for point in (Point.GUI, Point.HEARTBEAT)
        if (floor := floors.get(point.value)) is not None
    ]
    computers = client.get("/api/computers")["computers"]
    active = {one["ID"] for one in computers if one.get("state", "active") == "active"}
    for relay in client.get("/api/tls/relays")["relays"]:
        if relay["ID"] in active:
            note = "the policy was not sent yet" if relay["pending"] else ""
            asked = Version(relay["required"])
            found.append(FleetPoint(relay["name"], Point.RELAY, relay["address"] or "", relay["port"], asked, note))
    policies = {policy["name"]: policy for policy in client.get("/api/policies")["policies"]}
    listening = [one for one in computers if one["ID"] in active and one.get("listenPort")]
    return found + [_agent(one, policies, floors) for one in listening]


def _agent(one: Mapping[str, Any], policies: Mapping[str, Any], floors: Mapping[str, Any]) -> FleetPoint:
    asked = policies.get(one["policy"], {}).get("agentFloor") or floors[Point.AGENT.value]["floor"]
    name = one.get("displayName") or one.get("hostName") or one["ID"]
    note = "the policy was not sent yet" if one.get("policyPending") else ""
    return FleetPoint(name, Point.AGENT, one.get("lastIPUsed") or "", one["listenPort"], Version(asked), note)

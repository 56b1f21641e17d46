"""Where the demonstration plays: the home folders, the manager's door, and what the actors can be told to do."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plimsoll.cli._client import Client, local
from plimsoll.cli._demo.cast import HEARTBEAT, MANAGER_ADDRESS, PROBER_ADDRESS, Cast, Computer, Program
from plimsoll.cli._demo.processes import Crew, Process, program
from plimsoll.messages import FILES

#: Start-ups at once: more only lengthens everybody's wait on a machine of a few cores.
_AT_ONCE = 3
#: A file that the relays hand out here, so that there is something to ask for.
HANDED_OUT = "notes.txt"
_FLOOR_ACTION = ("-action", "settlsprotocol", "-MinimumTLSProtocol")


@dataclass
class Asked:
    """What came of one connection that was tried: `version` where it was answered, else `reason`."""

    version: str
    reason: str
    detail: str
    status: int

    @property
    def refused(self) -> bool:
        """Refused by the floor: alert 70 arrived, so that the peer was told why."""
        return self.detail == "TLSV1_ALERT_PROTOCOL_VERSION"


@dataclass
class DsmC:
    """One run of `dsm_c`."""

    code: int
    out: str
    err: str


@dataclass
class Stage:
    """The folder, the fleet and its processes."""

    folder: Path
    cast: Cast
    crew: Crew
    token: str = ""
    keys: dict[str, Path] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    running: dict[str, Process] = field(default_factory=dict)
    #: Who may sign in to the console, and the password.
    console_user: tuple[str, str] = ("", "")
    _client: Client | None = None

    @property
    def home(self) -> Path:
        return self.folder / "manager"

    @property
    def ca(self) -> Path:
        return self.home / "ca" / "ca.pem"

    @property
    def url(self) -> str:
        return f"dsm://{MANAGER_ADDRESS}:{self.cast.heartbeat_port}"

    @property
    def client(self) -> Client:
        """The manager's local socket."""
        if self._client is None:
            self._client = local(self.home)
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def home_of(self, computer: Computer) -> Path:
        return self.folder / computer.name

    # the manager

    def make_manager(self) -> None:
        """A new home with early TLS allowed, as an old deployment has it: set while the manager is stopped."""
        command = [*program("plimsoll"), "manager", "init", "--home", str(self.home), "--json"]
        command += ["--listen", MANAGER_ADDRESS, "--name", MANAGER_ADDRESS]
        command += ["--gui-port", str(self.cast.gui_port), "--heartbeat-port", str(self.cast.heartbeat_port)]
        made = json.loads(self.crew.run("manager init", command).stdout)
        self.console_user = made["admin_user"], made["admin_password"]
        self.dsm_c("TLSv1", expect=(0,))

    def start_manager(self) -> None:
        self.running["manager"] = self.crew.start(
            "manager", [*program("plimsoll"), "manager", "run", "--home", str(self.home)]
        )
        self.crew.ready(self.running["manager"])

    def prepare(self, groups: Sequence[str]) -> None:
        """A short heartbeat, agents that listen on 4118 too, relay groups, a token, keys, our probes' address."""
        base = self.client.get("/api/policies")["policies"][0]
        values = {"heartbeatSeconds": HEARTBEAT, "missedHeartbeats": 10, "direction": "bidirectional"}
        self.client.post(f"/api/policies/{base['ID']}", values)
        for name in groups:
            self.client.post("/api/relaygroups", {"name": name})
        uses = len(self.cast.computers)
        self.token = self.client.post("/api/activationtokens", {"uses": uses, "expiresIn": 3600})["token"]
        self.client.post("/api/tls/probers", {"address": PROBER_ADDRESS, "seconds": 3600})
        for one in self.cast.programs:
            key = self.client.post("/api/apikeys", {"name": one.name, "role": "auditor"})["secretKey"]
            path = self.folder / f"{one.name}.key"
            path.touch(mode=0o600)
            path.write_text(key)
            self.keys[one.name] = path

    def dsm_c(self, value: str, expect: Sequence[int] = (0,)) -> DsmC:
        command = [*program("dsm_c"), *_FLOOR_ACTION, value, "-home", str(self.home)]
        done = self.crew.run(f"dsm_c {value}", command, expect)
        return DsmC(done.returncode, done.stdout.strip(), done.stderr.strip())

    # the computers

    def start_computers(self) -> None:
        """Everyone is activated and started; the old ones are simulated, a process each."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._start_computer, self.cast.computers))
        self.crew.ready(*(self.running[one.name] for one in self.cast.computers))
        known = {one["hostName"]: one for one in self.computers()} | {
            one["displayName"]: one for one in self.computers() if one["displayName"]
        }
        self.ids = {one.name: known[one.name]["ID"] for one in self.cast.computers}
        for one in self.cast.computers:
            self.client.post(f"/api/computers/{self.ids[one.name]}", {"relayGroup": one.group})

    def _start_computer(self, one: Computer) -> None:
        if one.old:
            command = [sys.executable, "-m", "plimsoll.testing.peer", "--home", str(self.home_of(one))]
            command += ["--manager", self.url, "--token", self.token, "--version", one.version, "--name", one.name]
            command += ["--kind", one.role, "--address", one.address, "--listen-port", str(one.listen_port)]
            if one.guards:
                command += ["--guards", ",".join(one.guards)]
            self.running[one.name] = self.crew.start(one.name, command)
            return
        command = [*program("plimsoll"), "agent", "activate", "--home", str(self.home_of(one))]
        command += ["--manager", self.url, "--token", self.token, "--name", one.name, "--local-address", one.address]
        command += ["--listen", one.address, "--listen-port", str(one.listen_port)]
        if one.role == "relay":
            command += ["--relay", "--relay-port", str(one.relay_port)]
        self.crew.run(f"agent activate of {one.name}", command)
        if one.role == "relay":
            files = self.home_of(one) / "relay" / "files"
            files.mkdir(parents=True, exist_ok=True)
            (files / HANDED_OUT).write_text("handed out by a relay of the demonstration\n")
        self._run_agent(one)

    def _run_agent(self, one: Computer) -> None:
        command = [*program("plimsoll"), "agent", "run", "--home", str(self.home_of(one))]
        self.running[one.name] = self.crew.start(one.name, command)

    def replace_old(self) -> None:
        """The old ones stop; each identity goes on in a real agent of this release."""
        self.crew.stop(*(self.running[one.name] for one in self.cast.old))
        for one in self.cast.old:
            self._run_agent(one)
        self.crew.ready(*(self.running[one.name] for one in self.cast.old))

    def restart_computers(self) -> None:
        """Every computer's agent stops and starts again; all are of this release by then."""
        names = [one.name for one in self.cast.computers]
        self.crew.stop(*(self.running[name] for name in names))
        for one in self.cast.computers:
            self._run_agent(one)
        self.crew.ready(*(self.running[name] for name in names))

    def computers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get("/api/computers")["computers"]
        return found

    def by_name(self) -> dict[str, dict[str, Any]]:
        """What the manager knows of each computer, by the names of the cast."""
        known = {one["ID"]: one for one in self.computers()}
        return {name: known[id_] for name, id_ in self.ids.items()}

    def until(self, what: str, good: Callable[[dict[str, dict[str, Any]]], bool]) -> dict[str, dict[str, Any]]:
        """Waits until the manager's view of the computers is as wished."""

        def look() -> dict[str, dict[str, Any]] | None:
            view = self.by_name()
            return view if good(view) else None

        return self.crew.until(what, look, list(self.running.values())[:1])

    def handshakes_since(self, since: float) -> dict[str, dict[str, Any]]:
        """Waits until every computer completed a handshake with the manager after that time."""
        return self.until(
            "every computer shakes hands with the manager",
            lambda view: all((one["tls"]["observedAt"] or 0.0) > since for one in view.values()),
        )

    def send_policies(self, groups: Sequence[str]) -> None:
        """Send Policy: relay group by relay group, then the agents; waits until each holds what was sent."""
        for group in groups:
            self.client.post("/api/tls/send-policy", {"relayGroup": group})
        relays = {one.name for one in self.cast.relays}
        others = [self.ids[one.name] for one in self.cast.computers if one.name not in relays]
        self.client.post("/api/tls/send-policy", {"computers": others})
        self.until(
            "every computer holds the policy that was sent",
            lambda view: all(one["policyHeld"] and not one["policyPending"] for one in view.values()),
        )

    def relays_observed(self, floor: str) -> dict[str, str]:
        """Waits until the manager's own handshakes with the relays show that floor."""
        names = {self.ids[one.name]: one.name for one in self.cast.relays}

        def look() -> dict[str, str] | None:
            seen = {names[one["ID"]]: str(one["observed"]) for one in self.client.get("/api/tls/relays")["relays"]}
            return seen if set(seen.values()) == {floor} else None

        return self.crew.until(f"the manager sees {floor} on the relays", look)

    # programs and relay clients, each a process of its own

    def ask_manager(self, one: Program) -> Asked:
        url = f"https://{MANAGER_ADDRESS}:{self.cast.gui_port}/api/tls/floors"
        return self._ask(
            one.name, url, "--newest", one.newest, "--key-file", str(self.keys[one.name]), "--address", one.address
        )

    def ask_relay(self, one: Computer, relay: Computer, newest: str) -> Asked:
        """A computer's way to its relay: its own certificate and address, and the newest version that it speaks."""
        home = self.home_of(one)
        identity = ["--certificate", str(home / "cert.pem"), "--certificate-key", str(home / "key.pem")]
        url = f"https://{relay.address}:{relay.relay_port}{FILES}/{HANDED_OUT}"
        return self._ask(f"{one.name} at its relay", url, "--newest", newest, "--address", one.address, *identity)

    def _ask(self, name: str, url: str, *options: str) -> Asked:
        command = [sys.executable, "-m", "plimsoll.testing.program", "--url", url, "--ca", str(self.ca), *options]
        answer = json.loads(self.crew.run(name, command).stdout)
        return Asked(answer["version"], answer["reason"], answer["detail"], answer["status"])

    def relay_of(self, one: Computer) -> Computer:
        return next(relay for relay in self.cast.relays if relay.group == one.group)

    def now(self) -> float:
        return time.time()

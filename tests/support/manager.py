"""A manager for tests: a home made by ``plimsoll manager init``, run as a process on free ports."""

from __future__ import annotations

import contextlib
import copy
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.support.process import BIN, Service, eventually, free_ports, parse_json, run, service

PLIMSOLL = BIN / "plimsoll"
DSM_C = BIN / "dsm_c"
HOST = "127.0.0.1"


class Manager:
    """A manager's home and, between `start` and `stop`, its process."""

    def __init__(self, home: Path, *more: str | Path) -> None:
        """`more` are further arguments of ``manager init``."""
        self.home = home
        self.gui_port, self.heartbeat_port = free_ports(2)
        command: list[str | Path] = [PLIMSOLL, "manager", "init", "--home", home, "--json"]
        command += ["--gui-port", str(self.gui_port), "--heartbeat-port", str(self.heartbeat_port), *more]
        made = run(command)
        assert made.returncode == 0, made.stderr
        answer = parse_json(made)
        self.api_key: str = answer["api_key"]
        self.admin_user: str = answer["admin_user"]
        self.admin_password: str = answer["admin_password"]
        self.token: str = answer["activation_token"]
        self.ca = Path(answer["ca_certificate"])
        # Tests ask again and again until something is so; those of the limit set one.
        with self.file.open("a") as file:
            file.write("apiRequestsPerMinute=0\napiRequestsPerMinuteAll=0\n")
        #: What its process finds in its environment, beside ours.
        self.surroundings: dict[str, str] = {}
        self.process: Service | None = None
        self._client: httpx.Client | None = None

    def join(self, home: Path, scratch: Path) -> Manager:
        """A further manager of the installation, which is not started. `scratch` is a folder for its node file."""
        secret, file = scratch / "passphrase", scratch / f"{home.name}.node"
        secret.write_text("a passphrase for one node\n")
        made = self.cli("manager", "node-file", file, "--passphrase-file", secret)
        assert made.returncode == 0, made.stderr
        other = copy.copy(self)
        other.home, other.process, other._client = home, None, None
        other.gui_port, other.heartbeat_port = free_ports(2)
        command: list[str | Path] = [PLIMSOLL, "manager", "init", "--home", home, "--join", file, "--json"]
        command += ["--passphrase-file", secret]
        command += ["--gui-port", str(other.gui_port), "--heartbeat-port", str(other.heartbeat_port)]
        command += ["--name", home.name]
        made = run(command)
        assert made.returncode == 0, made.stderr
        other.ca = Path(parse_json(made)["ca_certificate"])
        with other.file.open("a") as text:
            text.write("apiRequestsPerMinute=0\napiRequestsPerMinuteAll=0\n")
        return other

    @property
    def url(self) -> str:
        """The address that agents are given."""
        return f"dsm://{HOST}:{self.heartbeat_port}/"

    @property
    def file(self) -> Path:
        return self.home / "configuration.properties"

    @property
    def environment(self) -> dict[str, str]:
        return {"PLIMSOLL_HOME": str(self.home)}

    def at_home(self, home: Path) -> Manager:
        """The same manager in another home, stopped."""
        other = copy.copy(self)
        other.home, other.ca, other.process, other._client = home, home / "ca" / "ca.pem", None, None
        return other

    def start(self) -> Manager:
        self.process = Service([PLIMSOLL, "manager", "run", "--home", self.home], self.surroundings)
        self.process.wait_ready()
        return self

    def stop(self) -> int:
        self._forget_client()
        assert self.process is not None
        return self.process.stop()

    def kill(self) -> None:
        self._forget_client()
        assert self.process is not None
        self.process.kill()

    def close(self) -> None:
        """Ends whatever still runs."""
        self._forget_client()
        if self.process is not None and self.process.process.poll() is None:
            self.process.stop()

    def cli(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """``plimsoll …`` on this manager's computer."""
        return run([PLIMSOLL, *arguments], env=self.environment)

    def dsm_c(self, value: str, *more: str) -> subprocess.CompletedProcess[str]:
        """``dsm_c -action settlsprotocol -MinimumTLSProtocol <value> …``."""
        return run([DSM_C, "-action", "settlsprotocol", "-MinimumTLSProtocol", value, *more], env=self.environment)

    @property
    def client(self) -> httpx.Client:
        """An API client with the administrator's key, over TLS."""
        if self._client is None:
            context = ssl.create_default_context(cafile=str(self.ca))
            self._client = httpx.Client(
                base_url=f"https://{HOST}:{self.gui_port}",
                verify=context,
                headers={"api-secret-key": self.api_key},
                timeout=30,
            )
        return self._client

    def get(self, path: str, **query: Any) -> Any:
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: Any, expect: int = 200) -> Any:
        answer = self.client.post(path, json=body)
        assert answer.status_code == expect, f"POST {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def set_floor(self, floor: str, point: str = "all", *, force: bool = False, reason: str | None = None) -> Any:
        """Sets the floor of one point or of all, which must succeed."""
        body = {"point": point, "floor": floor, "force": force, "reason": reason}
        return self.post("/api/tls/floors", body)

    def set_minimum(self, floor: str, *, force: bool = False, reason: str | None = None) -> Any:
        """What ``dsm_c`` does, through the API; it must succeed."""
        return self.post("/api/tls/minimum", {"floor": floor, "force": force, "reason": reason})

    def floors(self) -> dict[str, str]:
        """The floor of each point that the manager reports."""
        return {row["point"]: row["floor"] for row in self.get("/api/tls/floors")["floors"]}

    def computers(self) -> dict[str, dict[str, Any]]:
        """All computers by their host name."""
        return {computer["hostName"]: computer for computer in self.get("/api/computers")["computers"]}

    def computer(self, name: str) -> dict[str, Any]:
        """A computer once it is known to be online."""

        def look() -> dict[str, Any] | None:
            found = self.computers().get(name)
            return found if found is not None and found["lastAgentCommunication"] else None

        return eventually(look, f"{name} brings a heartbeat")

    def new_token(self, uses: int = 100, expires_in: int | None = None) -> str:
        body: dict[str, Any] = {"uses": uses}
        if expires_in is not None:
            body["expiresIn"] = expires_in
        return str(self.post("/api/activationtokens", body)["token"])

    def send_policy(self, *names: str) -> Any:
        """Send Policy to these computers, or to all where none is named."""
        known = self.computers()
        return self.post(
            "/api/tls/send-policy", {"computers": [known[name]["ID"] for name in names]} if names else {"all": True}
        )

    def quick_policy(self, seconds: int = 1, **values: Any) -> None:
        """Makes the base policy's heartbeat short, for computers that are activated from now on."""
        base = next(policy for policy in self.get("/api/policies")["policies"] if policy["name"] == "Base")
        self.post(f"/api/policies/{base['ID']}", {"heartbeatSeconds": seconds, **values})

    def _forget_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


@contextlib.contextmanager
def manager(home: Path, *more: str | Path) -> Iterator[Manager]:
    """A fresh manager that runs, and is stopped at the end. `more` are further arguments of ``manager init``."""
    made = Manager(home, *more)
    try:
        yield made.start()
    finally:
        made.close()


@contextlib.contextmanager
def peer(
    on: Manager,
    home: Path,
    version: str,
    *,
    kind: str = "agent",
    address: str | None = None,
    interval: float = 1.0,
    token: str | None = None,
    more: Sequence[str] = (),
) -> Iterator[Service]:
    """A simulated peer of that release in a process of its own, after its first heartbeat."""
    command: list[str | Path] = [BIN / "python", "-m", "plimsoll.testing.peer", "--home", home, "--manager", on.url]
    command += [
        "--token",
        token or on.new_token(1),
        "--version",
        version,
        "--kind",
        kind,
        "--interval",
        str(interval),
        *more,
    ]
    if address is not None:
        command += ["--address", address]
    with service(command) as started:
        yield started

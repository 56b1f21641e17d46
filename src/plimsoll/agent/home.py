"""The agent's home folder: its identity, the policy it holds, and what it has still to report.

Files, all readable by the owner only::

    agent.json    who this computer is: ids, managers, kind, ports (`AgentState`); it is written last, so a home
                  without it was never activated
    key.pem       the private key, made here and never sent
    cert.pem      the certificate that the manager issued for it
    ca.pem        the installation's CA
    policy.json   the policy held (`messages.Policy`)
    spool.json    acknowledgements and events that the manager has not stored yet (`Spool`)
    relay.json    a relay's floor, see `plimsoll.relay.state`
    relay/files   what a relay hands out
    upgrade.json  the upgrade under way, see `agent.upgrade`; what it downloads lies in upgrade/
    relay/software  the packages and metadata that it mirrors
    software/     what an agent downloaded itself, and whose signatures it believes: `plimsoll.agent.software.shelf`
    run/          the lock, the local socket (`agent.control`), and the last state for ``plimsoll agent status``;
                  nothing in it needs to survive

A renewal writes ``key.new.pem`` and then ``cert.new.pem``: once the second is there the pair is complete, and the next
start finishes the switch. Fields are only ever added, with defaults, so an older release's home is read as it is, and
a newer one's too by a release that it went back to: `FORMAT` may rise only once a release has proved itself.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from plimsoll import RELEASE
from plimsoll.agent.files import read_optional, sync_folder, write_atomic
from plimsoll.messages import Ack, AgentEvent, Kind, Policy

#: The newest layout that this release knows. A home of a newer one is refused, not guessed at.
FORMAT = 1


T = TypeVar("T")

PathLike = str | os.PathLike[str]


#: State apart from code, which packages keep in /opt/plimsoll-agent.
DEFAULT_HOME = Path("/var/opt/plimsoll-agent")


def home_from(env: Mapping[str, str]) -> Path:
    """The home that an environment names, else the usual one."""
    return Path(env.get("PLIMSOLL_AGENT_HOME") or DEFAULT_HOME)


class HomeError(Exception):
    """The home cannot be used as asked. The message says what was wrong, what was kept and what to do next."""


class AgentState(msgspec.Struct, kw_only=True):
    """Who this computer is. `software` is the release that wrote the home last."""

    installation: str
    computer: str
    format: int = FORMAT
    software: str = RELEASE
    managers: list[str] = []
    kind: Kind = Kind.AGENT
    hostname: str = ""
    display_name: str = ""
    guards: list[str] = []
    listen_address: str = "0.0.0.0"
    listen_port: int = 4118
    relay_port: int = 4122
    #: How much a relay keeps of software, in bytes; 0: what its release does by itself.
    relay_disk: int = 0
    local_address: str = ""
    not_before: float = 0.0
    not_after: float = 0.0


class Spool(msgspec.Struct, kw_only=True):
    """What the manager has not stored yet, and the counters that must never run backwards.

    `done` are the ids of the last commands carried out, so that one which is sent again is only acknowledged again.
    """

    sequence: int = 0
    event_sequence: int = 0
    acks: list[Ack] = []
    events: list[AgentEvent] = []
    done: list[str] = []


class RunState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The last state of the running agent, for people who ask; it is not durable."""

    pid: int = 0
    started: float = 0.0
    last_attempt: float = 0.0
    last_success: float = 0.0
    next_attempt: float = 0.0
    reason: str = ""
    message: str = ""
    manager: str = ""
    negotiated: str = ""
    clock_skew: float = 0.0
    release: str = ""
    listening: dict[str, int] = {}


class Home:
    """One agent's home folder."""

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)

    @property
    def key(self) -> Path:
        return self.path / "key.pem"

    @property
    def cert(self) -> Path:
        return self.path / "cert.pem"

    @property
    def ca(self) -> Path:
        return self.path / "ca.pem"

    @property
    def files(self) -> Path:
        """What a relay hands out."""
        return self.path / "relay" / "files"

    @property
    def mirrored(self) -> Path:
        """The software that a relay keeps for others."""
        return self.path / "relay" / "software"

    @property
    def activated(self) -> bool:
        return (self.path / "agent.json").exists()

    def create(self) -> None:
        """Makes the folder, for its owner only."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.chmod(0o700)
        (self.path / "run").mkdir(exist_ok=True, mode=0o700)

    # The relay's own files pass through here, so that it writes them with the same care.
    def read(self, name: str) -> bytes | None:
        return read_optional(self.path / name)

    def write(self, name: str, data: bytes) -> None:
        write_atomic(self.path / name, data)

    def load_state(self) -> AgentState:
        """Raises HomeError where the home was never activated, is damaged, or was written by a newer release."""
        data = self.read("agent.json")
        if data is None:
            raise HomeError(
                f"{self.path} holds no activated agent; activate it first: "
                f"plimsoll agent activate --home {self.path} --manager dsm://HOST:4120 --token TOKEN"
            )
        state = self._decode("agent.json", data, AgentState)
        if state.format > FORMAT:
            raise HomeError(
                f"{self.path} was written by release {state.software}, in a layout (format {state.format}) that "
                f"{RELEASE} does not know; nothing was changed. Run that release or a newer one"
            )
        return state

    def save_state(self, state: AgentState) -> None:
        self.write("agent.json", msgspec.json.format(msgspec.json.encode(state), indent=2))

    def load_policy(self) -> Policy | None:
        data = self.read("policy.json")
        return None if data is None else self._decode("policy.json", data, Policy)

    def save_policy(self, policy: Policy) -> None:
        self.write("policy.json", msgspec.json.encode(policy))

    def load_spool(self) -> Spool:
        data = self.read("spool.json")
        return Spool() if data is None else self._decode("spool.json", data, Spool)

    def save_spool(self, spool: Spool) -> None:
        self.write("spool.json", msgspec.json.encode(spool))

    def load_run_state(self) -> RunState:
        data = read_optional(self.path / "run" / "state.json")
        try:
            return RunState() if data is None else msgspec.json.decode(data, type=RunState)
        except msgspec.MsgspecError:
            return RunState()  # it is not written durably: a torn one only means that nothing is known

    def save_run_state(self, state: RunState) -> None:
        write_atomic(self.path / "run" / "state.json", msgspec.json.encode(state), durable=False)

    def save_identity(self, key: str, certificate: str, ca: str) -> None:
        """Stores a first identity; it counts once agent.json is written."""
        self.write("key.pem", key.encode())
        self.write("cert.pem", certificate.encode())
        self.write("ca.pem", ca.encode())

    def replace_identity(self, key: str, certificate: str, ca: str) -> None:
        """Switches to a renewed identity so that a crash leaves either pair whole."""
        if ca.encode() != self.read("ca.pem"):
            self.write("ca.pem", ca.encode())
        self.write("key.new.pem", key.encode())
        self.write("cert.new.pem", certificate.encode())
        self.recover()

    def recover(self) -> None:
        """Finishes a switch of identities that a crash interrupted; without a new certificate it never began."""
        new_key, new_cert = self.path / "key.new.pem", self.path / "cert.new.pem"
        if new_cert.exists():
            if new_key.exists():
                new_key.replace(self.key)
                sync_folder(self.path)
            new_cert.replace(self.cert)
            sync_folder(self.path)
        else:
            new_key.unlink(missing_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the home for one process; a second agent on it is refused."""
        self.create()
        with (self.path / "run" / "agent.lock").open("a+") as stream:
            if not _try_lock(stream):
                stream.seek(0)
                holder = stream.read().strip() or "unknown"
                raise HomeError(
                    f"{self.path} is in use by another agent (process {holder}); it goes on undisturbed. "
                    "Stop it first, or use another --home"
                )
            stream.seek(0)
            stream.truncate()
            stream.write(f"{os.getpid()}\n")
            stream.flush()
            yield

    def locked_by(self) -> int | None:
        """The process that runs on this home, or None."""
        try:
            with (self.path / "run" / "agent.lock").open() as stream:
                try:
                    fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(stream.read().strip() or 0)
        except (FileNotFoundError, ValueError):
            return None
        return None

    def _decode(self, name: str, data: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.MsgspecError as error:
            raise HomeError(
                f"{self.path / name} is damaged ({error}); nothing was changed. Restore the file from a backup, or "
                "activate this computer again with a new token into an empty home"
            ) from None


def _try_lock(stream: IO[str]) -> bool:
    """Takes the lock; somebody who only asks for the status holds it for an instant, so try more than once."""
    for _ in range(5):
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False

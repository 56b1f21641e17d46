"""What the doors of 4119 work with: the services, and what only a running manager can do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from plimsoll.manager.api.feed import Feed
from plimsoll.manager.api.limits import Limits
from plimsoll.manager.metrics import Metrics
from plimsoll.manager.ports import Conflict, Principal
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from plimsoll.manager.services import Services


class Live(Protocol):
    """The running part. All methods are safe from any thread but the loop's own."""

    def serves(self) -> Mapping[Point, Mapping[Version, str]]:
        """Per listening point what a handshake in memory showed: version to suites."""
        ...

    def problems(self) -> Mapping[str, str]:
        """Computers that cannot talk to the manager at present, by id, and why (G4)."""
        ...

    def visit(self, principal: Principal, address: str, port: int, code: str | None) -> str:
        """Manager-initiated activation; the id of the new computer."""
        ...

    def reload_certificates(self) -> None:
        """Serves the certificates that are on disk now."""
        ...

    def status(self) -> dict[str, Any]:
        """Ports, connections, presence: facts of the process."""
        ...

    def queues(self) -> Mapping[str, int]:
        """How much waits, by what it waits for."""
        ...

    def missing(self) -> Sequence[str]:
        """What keeps it from its work, of store, ports and floors; nothing where it is ready."""
        ...


class Stopped:
    """For the home of a stopped manager: nothing listens, nobody is called."""

    def serves(self) -> Mapping[Point, Mapping[Version, str]]:
        return {}

    def problems(self) -> Mapping[str, str]:
        return {}

    def visit(self, principal: Principal, address: str, port: int, code: str | None) -> str:
        raise Conflict("the manager is stopped; start it, then activate the computer")

    def reload_certificates(self) -> None:
        """They are read at the start."""

    def status(self) -> dict[str, Any]:
        return {"state": "stopped"}

    def queues(self) -> Mapping[str, int]:
        return {}

    def missing(self) -> Sequence[str]:
        return ("ports",)


@dataclass(slots=True)
class Backend:
    """`local` is who asks where no connection says it: only for an application that runs in a command's process."""

    services: Services
    installation: str
    live: Live = field(default_factory=Stopped)
    feed: Feed = field(default_factory=Feed)
    local: Principal | None = None
    metrics: Metrics = field(default_factory=Metrics)
    #: Downloads under way, by the address that they go to.
    downloads: Counter[str] = field(default_factory=Counter)
    limits: Limits = field(default_factory=Limits)

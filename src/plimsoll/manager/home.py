"""The manager's home folder: made by `init_home`, opened under a lock by `open_home`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plimsoll.manager.ca import Authority
from plimsoll.manager.config import Configuration
from plimsoll.manager.ports import ServiceError
from plimsoll.manager.store import Store


class HomeError(ServiceError):
    """The home cannot be used as it is; the message says why and what to do."""

    status = 409


@dataclass(frozen=True, slots=True)
class InitResult:
    """What `manager init --json` prints; password, key and token are shown this once."""

    home: str
    admin_user: str
    admin_password: str
    api_key: str
    activation_token: str
    ca_certificate: str
    gui_port: int
    heartbeat_port: int


class Home:
    """An opened home: configuration, store, CA. Holds the lock until `close`."""

    path: Path
    config: Configuration
    store: Store
    ca: Authority
    installation: str

    @property
    def socket_path(self) -> Path:
        return self.path / "run" / "manager.sock"

    @property
    def ca_certificate(self) -> Path:
        return self.path / "ca" / "ca.pem"

    def close(self) -> None:
        raise NotImplementedError


def init_home(
    directory: Path,
    gui_port: int = 4119,
    heartbeat_port: int = 4120,
    listen: str = "0.0.0.0",
    name: str | None = None,
) -> InitResult:
    """Makes a new home: TLS 1.2 enforced everywhere (R6). Raises HomeError where the folder is in use."""
    raise NotImplementedError


def open_home(directory: Path) -> Home:
    """Locks and opens. Raises HomeError: no home, second manager (its pid named), needs `manager upgrade`,
    malformed configuration.properties (line and column)."""
    raise NotImplementedError

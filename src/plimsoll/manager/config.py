"""configuration.properties: the manager's own file, read strictly and rewritten with care."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of one reading of the file. `protocols` is the value as it stands there, None without the line."""

    service_name: str
    protocols: str | None
    gui_port: int
    heartbeat_port: int
    listen_address: str
    public_name: str
    database: str
    trusted_proxies: tuple[str, ...]
    unknown: tuple[str, ...]


def gui_floor(protocols: str | None, heartbeat: Version) -> Version:
    """4119's floor (design §5): the lowest that is listed, or, without the line, the newer of TLSv1.2 and 4120's."""
    raise NotImplementedError

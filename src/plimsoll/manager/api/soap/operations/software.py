"""Software packages in the manager's repository."""

from __future__ import annotations

from datetime import UTC, datetime

from plimsoll.fleet.component import ComponentVersion, UnknownComponentVersionError
from plimsoll.manager.api.soap.operations import _computers
from plimsoll.manager.api.soap.registry import Call, operation
from plimsoll.manager.api.soap.shapes import SoftwareTransport
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.software import SoftwareView
from plimsoll.manager.services.upgrades import StartRequest


def _software(view: SoftwareView) -> SoftwareTransport:
    return SoftwareTransport(
        id=view.id,
        description=f"{view.product} {view.version} for {view.platform} {view.architecture}",
        fingerprint=view.sha256,
        name=view.file,
        platform=view.platform,
        version=view.version,
        imported=datetime.fromtimestamp(view.imported, UTC),
    )


@operation()
def software_retrieve_all(call: Call) -> list[SoftwareTransport]:
    """All packages."""
    return [_software(view) for view in call.back.services.software.list(call.asks)]


@operation()
def software_retrieve_for_host(call: Call, host_id: int) -> list[SoftwareTransport]:
    """What that computer could be upgraded to: agents for its system that are newer than its own, newest first."""
    computer = _computers.one(call, host_id)
    own = _version(computer.version)
    packages = call.back.services.upgrades.packages_for(call.asks, computer.architecture)
    return [_software(package) for package in packages if package.component > own]


@operation()
def software_apply_to_hosts(call: Call, host_ids: list[int], installer_version: str) -> None:
    """Begins an upgrade of these computers, in waves and watched as any (R9). Refused where it could not begin."""
    chosen = [view.id for view in _computers.each(call, host_ids)]
    call.back.services.upgrades.start(call.asks, StartRequest(to=installer_version, computers=chosen))


@operation()
def software_version_strings_compare(call: Call, version1: str, version2: str) -> int:
    """-1, 0 or 1: the first is older than the second, the same, or newer."""
    one, other = _version(version1), _version(version2)
    return (one > other) - (one < other)


def _version(text: str) -> ComponentVersion:
    try:
        return ComponentVersion.parse(text)
    except UnknownComponentVersionError as error:
        raise BadInput(f"{error}; nothing was compared") from None

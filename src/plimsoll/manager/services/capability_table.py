"""The capability table that counts: a newer one comes in as signed software, with nothing else to be installed (R3).

It is a package of the product ``capabilities``: one TOML file with the rows of `fleet/data`. The newest one counts,
where its version is above the manager's own release, which brings a table of its own.
"""

from __future__ import annotations

import logging

from plimsoll import RELEASE
from plimsoll.fleet import capabilities
from plimsoll.fleet.capabilities import CapabilityTableError
from plimsoll.fleet.component import ComponentVersion
from plimsoll.manager.ports import internal
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.hub import Change, SoftwareChanged
from plimsoll.manager.services.software import PRODUCT_CAPABILITIES, SoftwareService, SoftwareView, read_capabilities

log = logging.getLogger(__name__)


class CapabilityTableService:
    def __init__(self, core: Core, software: SoftwareService) -> None:
        self._software = software
        self.in_force: SoftwareView | None = None
        core.hub.subscribe(self._told)

    def _told(self, change: Change) -> None:
        if isinstance(change, SoftwareChanged):
            self.apply()

    @internal
    def apply(self) -> None:
        """Judges by the newest table from now on. One that cannot be read counts as none, which is logged."""
        newest = max(
            (
                one
                for one in self._software.everything()
                if one.product == PRODUCT_CAPABILITIES and one.component > ComponentVersion.parse(RELEASE)
            ),
            key=lambda one: one.component,
            default=None,
        )
        path = None if newest is None else self._software.path_of(newest.sha256)
        table = None
        if path is not None:
            try:
                table = read_capabilities(path)
            except (OSError, CapabilityTableError) as error:
                log.error("the imported capability table is not used: %s", error)
                newest = None
        self.in_force = newest
        capabilities.use(table)

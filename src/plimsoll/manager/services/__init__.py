"""The use cases. Doors call these and nothing below; services own transactions, permissions, audit and events."""

from __future__ import annotations

import time
from collections.abc import Callable

from plimsoll.manager.home import Home
from plimsoll.manager.ports import Observed, Publish
from plimsoll.manager.services.access import AccessService
from plimsoll.manager.services.activation import ActivationService
from plimsoll.manager.services.api_keys import ApiKeysService
from plimsoll.manager.services.api_usage import ApiUsageService
from plimsoll.manager.services.audit import AuditService
from plimsoll.manager.services.ca import CaService
from plimsoll.manager.services.capability_table import CapabilityTableService
from plimsoll.manager.services.certificates import CertificatesService
from plimsoll.manager.services.changes import ChangesService
from plimsoll.manager.services.ciphers import CiphersService
from plimsoll.manager.services.computer_bulk import ComputerBulkService
from plimsoll.manager.services.computer_judgement import ComputerJudgementService
from plimsoll.manager.services.computer_search import ComputerSearchService
from plimsoll.manager.services.computers import ComputersService
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.database import DatabaseService
from plimsoll.manager.services.deployment import DeploymentService
from plimsoll.manager.services.events import EventsService
from plimsoll.manager.services.exceptions import ExceptionsService
from plimsoll.manager.services.floors import FloorsService
from plimsoll.manager.services.groups import GroupsService
from plimsoll.manager.services.judged import JudgedService
from plimsoll.manager.services.judgement import JudgementService
from plimsoll.manager.services.metrics import MetricsService
from plimsoll.manager.services.nodes import NodesService
from plimsoll.manager.services.notifications import NotificationsService
from plimsoll.manager.services.oidc import OidcService
from plimsoll.manager.services.overview import OverviewService
from plimsoll.manager.services.policies import PoliciesService
from plimsoll.manager.services.proof import ProofService
from plimsoll.manager.services.proving import ProvingService, own_scan
from plimsoll.manager.services.release_keys import ReleaseKeysService
from plimsoll.manager.services.roles import RolesService
from plimsoll.manager.services.scans import ScansService
from plimsoll.manager.services.scope import ScopeService
from plimsoll.manager.services.second_factor import SecondFactorService
from plimsoll.manager.services.sessions import SessionsService
from plimsoll.manager.services.settings import SettingsService
from plimsoll.manager.services.shadow import ShadowService
from plimsoll.manager.services.sightings import SightingsService
from plimsoll.manager.services.software import SoftwareService
from plimsoll.manager.services.software_bundles import SoftwareBundleService
from plimsoll.manager.services.software_folder import SoftwareFolderService
from plimsoll.manager.services.software_metadata import SoftwareMetadataService
from plimsoll.manager.services.software_upstream import SoftwareUpstreamService
from plimsoll.manager.services.system_settings import SystemSettingsService
from plimsoll.manager.services.tasks import TasksService
from plimsoll.manager.services.upgrades import UpgradesService
from plimsoll.manager.store import Store
from plimsoll.messages import SoftwareNews

__all__ = ["Services"]


class Services:
    """All services of one home. Sync; safe to call from several threads, never from the loop's own thread:

    `publish` may wait for the loop until the gates use the new floors.
    """

    def __init__(
        self,
        store: Store,
        home: Home,
        publish: Publish = lambda snapshot: None,
        observed: Observed | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        core = Core(store, home, publish, observed, clock)
        self.hub = core.hub
        #: For what other managers changed: the same as if it had been changed here.
        self.core_tell = core.tell
        self.nodes = NodesService(core)
        self.database = DatabaseService(core)
        self.api_usage = ApiUsageService(core, self.nodes)
        self.events = EventsService(core)
        self.computers = ComputersService(core)
        self.groups = GroupsService(core)
        self.shadow = ShadowService(core)
        self.exceptions = ExceptionsService(core)
        self.sightings = SightingsService(core, self.computers.apply_presence, self.shadow.count)
        self.judgement = JudgementService(core, self.sightings)
        self.computer_search = ComputerSearchService(core)
        self.computer_bulk = ComputerBulkService(core, self.computers)
        self.computer_judgement = ComputerJudgementService(core, self.judgement)
        self.floors = FloorsService(core, self.judgement.fleet)
        self.overview = OverviewService(
            core, self.floors, self.judgement, self.sightings, self.exceptions, self.computers
        )
        self.proving = ProvingService(core, own_scan(self.sightings.register_prober), self.exceptions.in_force)
        self.changes = ChangesService(core, self.floors, self.judgement, self.shadow, self.proving)
        self.policies = PoliciesService(core, self.judgement.fleet)
        self.settings = SettingsService(core, self.computers, self.policies)
        self.system_settings = SystemSettingsService(core)
        self.sessions = SessionsService(core)
        self.second_factor = SecondFactorService(core)
        self.access = AccessService(core, self.sessions)
        self.oidc = OidcService(core)
        self.api_keys = ApiKeysService(core)
        self.roles = RolesService()
        self.audit = AuditService(core)
        self.proof = ProofService(core, self.nodes, self.proving, self.exceptions, self.changes, self.audit)
        self.scope = ScopeService(core)
        self.scans = ScansService(
            core, self.nodes, self.proving, self.exceptions, own_scan(self.sightings.register_prober)
        )
        self.certificates = CertificatesService(core)
        self.ciphers = CiphersService(core, self.judgement.fleet, self.certificates.identities)
        self.judged = JudgedService(core, self.judgement, self.ciphers)
        self.ca = CaService(core)
        self.release_keys = ReleaseKeysService(core)
        self.software = SoftwareService(core)
        self.upgrades = UpgradesService(core, self.software)
        self.notifications = NotificationsService(core)
        self.metrics = MetricsService(core)
        self.software_bundles = SoftwareBundleService(core, self.software)
        self.software_folder = SoftwareFolderService(core, self.software, self.software_bundles)
        self.software_upstream = SoftwareUpstreamService(core, self.software_bundles)
        self.capability_table = CapabilityTableService(core, self.software)
        self.software_metadata = SoftwareMetadataService(core, self.software)
        self.software_metadata.signs = lambda: self.nodes.holds("software")
        self.tasks = TasksService(core, self.computers, self.policies, self.groups, self._look_for_software)
        self.activation = ActivationService(core, self._pins)
        self.deployment = DeploymentService(core, self.floors, self.software, self.activation, self.certificates)

    def _pins(self) -> SoftwareNews:
        return SoftwareNews(trust=list(self.release_keys.chain()), root=self.software_metadata.root_or_none())

    def _look_for_software(self) -> str:
        """What the loop of the repository does, now. What came of it, in words."""
        self.software_metadata.tend()
        imported = self.software_folder.look() + self.software_upstream.look()
        return f"the repository was looked at; {imported} packages were imported"

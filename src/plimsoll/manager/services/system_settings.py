"""Settings of the manager by the reference's names: what is so here, and what is only kept for who set it."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.manager.config import Configuration
from plimsoll.manager.ports import BadInput, Permission, Principal, permits
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.keeping import OF_THE_SYSTEM, SYSTEM, drop, keep
from plimsoll.manager.services.setting_values import (
    IDLE_TIMEOUT,
    SYSTEM_SHOWN,
    idle_timeout,
    may_be_kept,
    no_setting,
    spoken,
    unset,
)
from plimsoll.manager.store import kept_settings as table

_BY_FILE = "configuration.properties says it"
_ALWAYS = "it is always so here"


def facts(configuration: Configuration) -> dict[str, tuple[str, str]]:
    """What is so, and who decides it: no program does."""
    prefix = "platformSettingLoadBalancer"
    return {
        # Any computer, with a token; tokens are shown once, when they are made.
        "platformSettingAgentInitiatedActivationEnabled": ("For any computers", _ALWAYS),
        "platformSettingAgentInitiatedActivationToken": ("", "tokens are made by POST /api/activationtokens"),
        f"{prefix}ManagerAddress": (configuration.public_name, f"{_BY_FILE}: publicName="),
        f"{prefix}ManagerPort": (str(configuration.gui_port), f"{_BY_FILE}: guiPort="),
        f"{prefix}HeartbeatAddress": (configuration.public_name, f"{_BY_FILE}: publicName="),
        f"{prefix}HeartbeatPort": (str(configuration.heartbeat_port), f"{_BY_FILE}: heartbeatPort="),
        f"{prefix}RelayAddress": ("", "every relay has an address of its own"),
        f"{prefix}RelayPort": ("4122", "every relay has a port of its own"),
        "platformSettingActiveSessionsMax": ("Unlimited", _ALWAYS),
        "platformSettingApiSoapWebServiceEnabled": ("true", _ALWAYS),
        "platformSettingApiStatusMonitoringEnabled": ("true", _ALWAYS),
    }


class SystemSettingsService:
    def __init__(self, core: Core) -> None:
        self._core = core

    def _facts(self) -> dict[str, tuple[str, str]]:
        return facts(self._core.home.config)

    @permits(Permission.MANAGER_READ)
    def list(self, principal: Principal) -> dict[str, str]:
        """Value by name: what is so, what was set, and a few that nobody need set."""
        kept = self._core.store.read(lambda c: table.of(c, SYSTEM, [0])).get(0, {})
        so = {name: value for name, (value, _) in self._facts().items()}
        return {name: unset(name) for name in SYSTEM_SHOWN} | kept | so

    @permits(Permission.MANAGER_READ)
    def decided(self, principal: Principal) -> dict[str, str]:
        """Who or what decides those that no program sets, by name."""
        return {name: who for name, (_, who) in self._facts().items()}

    @permits(Permission.MANAGER_CHANGE)
    def set(self, principal: Principal, given: Mapping[str, str]) -> None:
        """All or nothing. Raises BadInput for another value of what no program decides, NotFound for no setting."""
        so = self._facts()
        kept: dict[str, str] = {}
        for name, value in given.items():
            if name in so:
                now, who = so[name]
                if value.strip().lower() != now.lower():
                    raise BadInput(f"{name} is {now!r}, and not to be set: {who}; nothing was changed")
            else:
                self._check(name)
                kept[name] = spoken(idle_timeout(value)) if name == IDLE_TIMEOUT else value
        keep(self._core, principal, OF_THE_SYSTEM, kept, unset)

    @permits(Permission.MANAGER_CHANGE)
    def reset(self, principal: Principal, name: str) -> None:
        if name not in self._facts():
            self._check(name)
        drop(self._core, principal, OF_THE_SYSTEM, name)

    def _check(self, name: str) -> None:
        if not may_be_kept(name):
            raise no_setting(name)

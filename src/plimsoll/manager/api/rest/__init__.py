"""REST under /api: one file a subject. A route translates; services check, do and record."""

from __future__ import annotations

from fastapi import APIRouter

from plimsoll.manager.api.rest import (
    access,
    administrators,
    apikeys,
    ca,
    changes,
    ciphers,
    computergroups,
    computers,
    deployment,
    events,
    fixed,
    legacy,
    manager,
    notifications,
    policies,
    proofs,
    roles,
    scheduledtasks,
    settings,
    software,
    systemsettings,
    tls,
    upgrades,
)

routers: tuple[APIRouter, ...] = (
    apikeys.router,
    roles.router,
    administrators.router,
    computergroups.router,
    settings.router,
    settings.computer_router,
    scheduledtasks.router,
    systemsettings.router,
    fixed.router,
    tls.router,
    ciphers.router,
    changes.router,
    proofs.router,
    computers.router,
    policies.router,
    events.router,
    software.router,
    deployment.router,
    upgrades.router,
    ca.router,
    notifications.router,
    access.router,
    manager.router,
    legacy.router,
)

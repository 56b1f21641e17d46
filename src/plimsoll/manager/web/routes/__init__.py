"""The console's screens, a file for each subject; each has a `router` made by `frame.console_router`."""

from __future__ import annotations

from plimsoll.manager.web.routes import (
    account,
    apikeys,
    audit,
    dashboard,
    events,
    exceptions,
    identity_provider,
    live,
    oidc,
    picture,
    reference,
    session,
    system_settings,
    tls_settings,
    users,
)

routers = (
    session.router,
    account.router,
    oidc.router,
    live.router,
    reference.router,
    dashboard.router,
    picture.router,
    events.router,
    audit.router,
    users.router,
    apikeys.router,
    system_settings.router,
    tls_settings.router,
    exceptions.router,
    identity_provider.router,
)

"""The console's screens, a file for each subject; each has a `router` made by `frame.console_router`."""

from __future__ import annotations

from plimsoll.manager.web.routes import (
    account,
    apikeys,
    audit,
    dashboard,
    events,
    live,
    oidc,
    reference,
    session,
    users,
)

routers = (
    session.router,
    account.router,
    oidc.router,
    live.router,
    reference.router,
    dashboard.router,
    events.router,
    audit.router,
    users.router,
    apikeys.router,
)

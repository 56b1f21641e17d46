"""The manager's application, prepared once for each process: its routes take most of a second of the first request.

What is of one manager, its backend and its bounds, is made for each. Where an application of its own is the subject,
`create_app` makes one.
"""

from __future__ import annotations

import functools
from typing import cast
from unittest.mock import MagicMock

from fastapi import FastAPI

from plimsoll.manager.api.application import create_app
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.bounds import Bounds
from plimsoll.manager.api.serve import App, Receive, Scope, Send


@functools.cache
def _routes() -> FastAPI:
    """Without a backend: each request brings its own."""
    made = create_app(cast(Backend, MagicMock()))
    assert isinstance(made, Bounds)
    assert isinstance(made._app, FastAPI)
    return made._app


def application(backend: Backend) -> App:
    """What `create_app` makes. A request is asked of the backend given here, whichever was used in between."""
    routes = _routes()

    async def ask(scope: Scope, receive: Receive, send: Send) -> None:
        routes.state.backend = backend
        await routes(scope, receive, send)

    return Bounds(ask, own_certificate=backend.services.certificates.is_own)

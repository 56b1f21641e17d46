"""The one ASGI application: REST, SOAP and the console, for 4119, the local socket and commands in process."""

from __future__ import annotations

from typing import cast

from fastapi import FastAPI

from plimsoll.manager.api import description, downloads, errors, metrics, probes
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.bounds import Bounds
from plimsoll.manager.api.rest import legacy, routers
from plimsoll.manager.api.serve import App
from plimsoll.manager.api.soap import door as soap
from plimsoll.manager.web import routes as web_routes


def create_app(backend: Backend) -> App:
    """The application with its bounds."""
    return bounded(assembled(backend), backend)


def assembled(backend: Backend) -> FastAPI:
    """All doors of 4119, without bounds."""
    app = describing()
    app.state.backend = backend
    app.include_router(metrics.router)
    app.include_router(probes.router)
    app.include_router(soap.router)
    app.include_router(downloads.router)
    for screens in web_routes.routers:
        app.include_router(screens)
    errors.install(app)
    app.add_exception_handler(legacy.LegacyError, legacy.refused)
    return app


def bounded(app: FastAPI, backend: Backend) -> App:
    return Bounds(cast(App, app), own_certificate=backend.services.certificates.is_own)


def describing() -> FastAPI:
    """REST alone: what describes itself. The framework's pages of documentation are off: they load foreign scripts."""
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=description.PATH,
        generate_unique_id_function=description.operation_id,
    )
    description.install(app)
    for router in routers:
        app.include_router(router)
    return app

"""Every failure as JSON with a message, in the shape that the reference's clients read."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from plimsoll.manager.api.views import obstacles
from plimsoll.manager.ports import Blocked, ServiceError, TooMany, Unavailable
from plimsoll.manager.services.deployable import Undeployable

log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    app.add_exception_handler(ServiceError, _service)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def problem(error: ServiceError) -> JSONResponse:
    """The answer to a use case that was refused or failed."""
    body: dict[str, Any] = {"message": error.message}
    headers: dict[str, str] = {}
    if isinstance(error, Blocked):
        preflight = error.preflight.as_json()
        body |= {"blockers": preflight["blockers"], "affected": preflight["affected"], "preflight": preflight}
    if isinstance(error, Undeployable):
        body["obstacles"] = obstacles(error.obstacles)
    if isinstance(error, Unavailable | TooMany):
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    return JSONResponse(body, status_code=error.status, headers=headers)


def _service(_: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return problem(error)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    said = "; ".join(f"{_place(one.get('loc', ()))}: {one.get('msg', 'not valid')}" for one in error.errors()[:5])
    return JSONResponse({"message": f"{said}; nothing was changed"}, status_code=400)


def _place(location: Any) -> str:
    parts = [str(part) for part in location if part not in ("body", "query", "path")]
    return ".".join(parts) or "the request's body"


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    if error.status_code == 404:
        return JSONResponse({"message": "there is nothing at this address"}, status_code=404)
    return JSONResponse({"message": str(error.detail)}, status_code=error.status_code, headers=headers)


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return JSONResponse({"message": "the manager failed at this; its log says why"}, status_code=500)

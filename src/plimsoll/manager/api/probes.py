"""/health and /ready on 4119, for balancers and service managers: no key is asked for, nothing said of the fleet.

Both answer from memory and in the loop's own thread: where requests wait for the database, these do not wait behind
them.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from plimsoll.manager.api.auth import backend_of

router = APIRouter(include_in_schema=False)
_HEADERS = {"cache-control": "no-store"}


@router.get("/health")
async def health() -> JSONResponse:
    """200: the process answers. Whoever gets none restarts it."""
    return JSONResponse({"status": "ok"}, headers=_HEADERS)


@router.get("/ready")
async def ready(request: Request) -> JSONResponse:
    """200: send agents and people here. 503: not now; `missing` names store, ports or floors."""
    missing = list(backend_of(request).live.missing())
    said = {"status": "not ready", "missing": missing} if missing else {"status": "ready"}
    return JSONResponse(said, 503 if missing else 200, headers=_HEADERS)

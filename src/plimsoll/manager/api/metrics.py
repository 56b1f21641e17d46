"""/metrics on 4119, for Prometheus. It asks for a key like everything else: names of targets and figures of a fleet."""

from __future__ import annotations

from fastapi import APIRouter, Response

from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.metrics import CONTENT_TYPE

router = APIRouter(include_in_schema=False)


@router.get("/metrics", response_class=Response)
def metrics(asks: Asks, back: Back) -> Response:
    """Prometheus' text format 0.0.4. Send the key as `authorization: Bearer ID:SECRET` or in `api-secret-key`."""
    facts = back.services.metrics.facts(asks)
    process = back.live.status() | {"queues": back.live.queues(), "missing": back.live.missing()}
    return Response(back.metrics.render(facts, process), media_type=CONTENT_TYPE)

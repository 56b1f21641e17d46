"""/api/tls/ciphers: the suites that 4120 and 4119 accept at TLS 1.2, who would be cut off, and how they came to be."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body, Seen, known_query
from plimsoll.manager.api.rest.tls import BLOCKED
from plimsoll.manager.api.shapes import tls as shapes

router = APIRouter(prefix="/api/tls/ciphers", tags=["tls"])


class ProfileBody(Body):
    profile: str
    point: str = "all"
    force: bool = False
    reason: str | None = None
    seen: Seen = None


@router.get("")
def show_ciphers(asks: Asks, back: Back) -> shapes.Ciphers:
    """The cipher profile of the manager's own ports, the suites that a handshake showed, and what each profile has."""
    return views.ciphers(back.services.ciphers.show(asks))


@router.post("", responses=BLOCKED)
def set_profile(asks: Asks, back: Back, body: ProfileBody) -> shapes.CipherChange:
    """Sets a port's profile, or that of `all`. What would cut parts off is refused, unless forced with a reason."""
    changed = back.services.ciphers.set(asks, body.profile, body.point, body.force, body.reason, seen=body.seen)
    return views.cipher_change(changed)


@router.get("/history")
def cipher_history(asks: Asks, back: Back, limit: Annotated[int, Query(ge=1, le=5000)] = 100) -> shapes.CipherHistory:
    """Who set which profile when, the newest first."""
    return {"history": [views.cipher_history(entry) for entry in back.services.ciphers.history(asks, limit)]}


@router.get("/preflight", dependencies=[known_query("to", "point")])
def cipher_preflight(asks: Asks, back: Back, to: str, point: str = "all") -> shapes.Preflight:
    """Who would be cut off by a cipher profile. Nothing is changed."""
    return views.preflight(back.services.ciphers.preflight(asks, to, point))

"""/api/tls/changes: staged changes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body, Number, Seen
from plimsoll.manager.api.rest.tls import BLOCKED
from plimsoll.manager.api.shapes import changes as shapes
from plimsoll.manager.services.changes import CANARY, SOAK, StartRequest

router = APIRouter(prefix="/api/tls/changes", tags=["changes"])


class StartBody(Body):
    """`canary` is a share (5%), a number, group:NAME or policy:NAME; `at` is in seconds since the epoch."""

    to: str
    points: list[str] = Field(default_factory=lambda: ["all"])
    soak: float = SOAK
    canary: str = CANARY
    accept_affected: bool = Field(default=False, alias="acceptAffected")
    force: bool = False
    reason: str | None = None
    seen: Seen = None
    at: float | None = None
    freeze: list[str] = Field(default_factory=list)
    approval: bool = False


@router.get("")
def list_changes(asks: Asks, back: Back, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> shapes.Changes:
    """Changes, the newest first."""
    return {"changes": [views.change(one) for one in back.services.changes.list(asks, limit)]}


@router.post("", responses=BLOCKED)
def start(asks: Asks, back: Back, body: StartBody) -> shapes.Change:
    """Starts a change, or puts it to approval or on a date."""
    request = StartRequest(
        to=body.to,
        points=body.points,
        soak=body.soak,
        canary=body.canary,
        accept_affected=body.accept_affected,
        force=body.force,
        reason=body.reason,
        at=body.at,
        freeze=body.freeze,
        approval=body.approval,
        seen=body.seen,
    )
    return views.change(back.services.changes.start(asks, request))


@router.get("/current")
def current(asks: Asks, back: Back) -> shapes.Change:
    """The one under way, else the last one."""
    return views.change(back.services.changes.get(asks))


@router.get("/{change}")
def get(asks: Asks, back: Back, change: Number) -> shapes.Change:
    """One change as it stands."""
    return views.change(back.services.changes.get(asks, change))


@router.post("/{change}/approve")
def approve(asks: Asks, back: Back, change: Number) -> shapes.Change:
    """A second person's yes to one that waits for it."""
    return views.change(back.services.changes.approve(asks, change))


@router.post("/{change}/pause")
def pause(asks: Asks, back: Back, change: Number) -> shapes.Change:
    """Stays in its stage until it is resumed."""
    return views.change(back.services.changes.pause(asks, change))


@router.post("/{change}/resume")
def resume(asks: Asks, back: Back, change: Number) -> shapes.Change:
    """Goes on with one that is paused or halted; its soak begins anew."""
    return views.change(back.services.changes.resume(asks, change))


@router.post("/{change}/abort")
def abort(asks: Asks, back: Back, change: Number) -> shapes.Change:
    """Takes back what it has moved so far, at once."""
    return views.change(back.services.changes.abort(asks, change))


@router.post("/{change}/back")
def take_back(asks: Asks, back: Back, change: Number) -> shapes.Change:
    """Takes back one that is done."""
    return views.change(back.services.changes.back(asks, change))

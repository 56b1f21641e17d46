"""/api/administrators/…/sessions: who is signed in, one's own and others', and the end of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.shapes import access as shapes
from plimsoll.manager.api.shapes.base import Empty

router = APIRouter(prefix="/api/administrators", tags=["access"])

Name = Annotated[str, Path(min_length=1, max_length=255)]


@router.get("/current/sessions")
def list_own_sessions(asks: Asks, back: Back) -> shapes.Sessions:
    """Of whoever is signed in, the newest first."""
    return {"sessions": [views.session(view) for view in back.services.sessions.own(asks)]}


@router.delete("/current/sessions")
def end_other_sessions(asks: Asks, back: Back) -> shapes.EndedSessions:
    """Ends all of whoever is signed in, but the one that asks."""
    return {"ended": back.services.sessions.end_own_others(asks)}


@router.delete("/current/sessions/{session}")
def end_own_session(asks: Asks, back: Back, session: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]) -> Empty:
    """Ends one of them, by its ID."""
    back.services.sessions.end_own(asks, session)
    return {}


@router.get("/{username}/sessions")
def list_user_sessions(asks: Asks, back: Back, username: Name) -> shapes.Sessions:
    """Of one person, by name or ID."""
    return {"sessions": [views.session(view) for view in back.services.sessions.of_user(asks, username)]}


@router.delete("/{username}/sessions")
def end_user_sessions(asks: Asks, back: Back, username: Name) -> shapes.EndedSessions:
    """Ends all of one person; REST with an API key goes on."""
    return {"ended": back.services.sessions.end_of_user(asks, username)}

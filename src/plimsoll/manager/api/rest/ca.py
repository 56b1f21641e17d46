"""/api/ca: the CA, and its rotation."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body
from plimsoll.manager.api.shapes import ca as shapes
from plimsoll.manager.services.ca import SOAK, RotateRequest
from plimsoll.manager.services.ca_views import CaView, MemberView, RotationView

router = APIRouter(prefix="/api/ca", tags=["ca"])


class RotateBody(Body):
    """`byItself` false: the switch waits for a person. `soak` is in seconds; `leaveBehind` a reason."""

    by_itself: bool = Field(default=True, alias="byItself")
    soak: float = SOAK
    leave_behind: str = Field(default="", alias="leaveBehind", max_length=500)


class StepBody(Body):
    """`leaveBehind`, a reason, goes on without those that cannot be waited for."""

    leave_behind: str = Field(default="", alias="leaveBehind", max_length=500)


@router.get("")
def show(asks: Asks, back: Back) -> shapes.Ca:
    """The CAs that are trusted, and the rotation under way, or the last one."""
    return ca(back.services.ca.show(asks))


@router.get("/computers")
def computers(
    asks: Asks,
    back: Back,
    state: str | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> shapes.Members:
    """How far each computer is, or those in that state; `after` an id makes pages."""
    found = back.services.ca.computers(asks, stand=state, after=after, limit=limit)
    return {"computers": [member(one) for one in found]}


@router.post("/rotate")
def rotate(asks: Asks, back: Back, body: RotateBody | None = None) -> shapes.Ca:
    """Makes a new CA and announces it to all computers; it issues once all of them trust it."""
    wanted = body or RotateBody()
    return ca(back.services.ca.rotate(asks, RotateRequest(wanted.by_itself, wanted.soak, wanted.leave_behind)))


@router.post("/renew")
def renew(asks: Asks, back: Back) -> shapes.Ca:
    """New certificates, good for ten years, for the keys of the CAs that are trusted. Nobody has to do anything."""
    return ca(back.services.ca.renew(asks))


@router.post("/switch")
def switch(asks: Asks, back: Back, body: StepBody | None = None) -> shapes.Ca:
    """Issues from the new CA from now on; both are trusted."""
    return ca(back.services.ca.switch(asks, (body or StepBody()).leave_behind))


@router.post("/retire")
def retire(asks: Asks, back: Back, body: StepBody | None = None) -> shapes.Ca:
    """Trusts the old CA no more. There is no way back after this."""
    return ca(back.services.ca.retire(asks, (body or StepBody()).leave_behind))


@router.post("/back")
def go_back(asks: Asks, back: Back, body: StepBody | None = None) -> shapes.Ca:
    """Issues from the old CA again, and forgets the new one once every computer is back."""
    return ca(back.services.ca.back(asks, (body or StepBody()).leave_behind))


# -- shapes


def ca(one: CaView) -> shapes.Ca:
    return {
        "authorities": [
            {
                "fingerprint": each.fingerprint,
                "keyHash": each.key_hash,
                "notBefore": each.not_before,
                "notAfter": each.not_after,
                "issues": each.issues,
                "certificate": each.pem,
                "advice": each.advice,
            }
            for each in one.authorities
        ],
        "rotation": None if one.rotation is None else rotation(one.rotation),
    }


def rotation(one: RotationView) -> shapes.Rotation:
    return {
        "id": one.id,
        "created": one.created,
        "who": one.who,
        "state": one.state,
        "entered": one.entered,
        "soaked": one.soaked,
        "soak": one.soak,
        "byItself": one.by_itself,
        "old": one.old,
        "new": one.new,
        "text": one.text,
        "computers": dict(one.stands),
        "behind": [member(each) for each in one.behind],
        "oldTokens": one.old_tokens,
        "reasons": dict(one.reasons),
        "ended": one.ended,
        "log": [
            {"time": each.time, "stage": each.stage, "what": each.what, "text": each.text, "who": each.who}
            for each in one.log
        ],
    }


def member(one: MemberView) -> shapes.Member:
    return {
        "computer": one.computer,
        "name": one.name,
        "kind": one.kind,
        "state": one.stand,
        "online": one.online,
        "lastSeen": one.last_seen,
        "trusts": list(one.trusts),
        "shown": one.shown,
    }

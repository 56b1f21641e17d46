"""/api/administrators/…/secondfactor: codes of an authenticator, one's own; others' are taken away."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body
from plimsoll.manager.api.shapes import access as shapes
from plimsoll.manager.api.shapes.base import Empty

router = APIRouter(prefix="/api/administrators", tags=["access"])

_Password = Annotated[str, Field(max_length=1024)]
_Code = Annotated[str, Field(max_length=100, description="six digits, or a recovery code")]


class EnrolmentBody(Body):
    password: _Password


class ConfirmBody(Body):
    code: Annotated[str, Field(max_length=100, description="six digits")]


class FactorBody(Body):
    """What shows that it is really the person, and not somebody at an open page."""

    password: _Password
    code: _Code


@router.get("/current/secondfactor")
def show_own_factor(asks: Asks, back: Back) -> shapes.SecondFactor:
    """Of whoever is signed in."""
    view = back.services.second_factor.own(asks)
    return {"since": view.since, "waiting": view.waiting, "recoveryCodes": view.recovery_codes}


@router.post("/current/secondfactor")
def begin_factor(asks: Asks, back: Back, body: EnrolmentBody) -> shapes.Enrolment:
    """A secret for an authenticator, in this answer and no other. It counts once a code of it is confirmed."""
    made = back.services.second_factor.begin(asks, body.password)
    return {"secret": made.secret, "uri": made.uri}


@router.post("/current/secondfactor/confirm")
def confirm_factor(asks: Asks, back: Back, body: ConfirmBody) -> shapes.RecoveryCodes:
    """From now on sign-in asks for a code. The recovery codes are in this answer and no other."""
    return {"recoveryCodes": list(back.services.second_factor.confirm(asks, body.code))}


@router.post("/current/secondfactor/recoverycodes")
def renew_recovery_codes(asks: Asks, back: Back, body: FactorBody) -> shapes.RecoveryCodes:
    """Ten new ones; those of before count no more."""
    return {"recoveryCodes": list(back.services.second_factor.renew_recovery_codes(asks, body.password, body.code))}


@router.post("/current/secondfactor/remove")
def remove_factor(asks: Asks, back: Back, body: FactorBody) -> Empty:
    """Sign-in asks for the password alone again."""
    back.services.second_factor.remove(asks, body.password, body.code)
    return {}


@router.delete("/{username}/secondfactor")
def reset_factor(asks: Asks, back: Back, username: Annotated[str, Path(min_length=1, max_length=255)]) -> Empty:
    """For who lost device and recovery codes: takes a person's second factor away."""
    back.services.second_factor.reset(asks, username)
    return {}

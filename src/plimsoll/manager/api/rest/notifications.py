"""/api/notifications: syslog receivers and webhooks that are told of events."""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter
from pydantic import Field

from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body, Number
from plimsoll.manager.api.shapes import manager as shapes
from plimsoll.manager.services.notifications import TargetView

router = APIRouter(prefix="/api/notifications", tags=["notifications"])


class NewTargetBody(Body):
    name: str
    kind: str = Field(description="syslog or webhook")
    settings: dict[str, Any] = Field(
        description="syslog: host, port, transport (tls, tcp, udp), form (cef, text), facility, ca; webhook: url, ca"
    )
    level: str = Field(default="info", description="the least level that is told: info, warning, error")
    numbers: list[Number] = Field(default=[], description="only these event numbers; none: all")


class TargetBody(Body):
    """What is left out stays."""

    name: str | None = None
    settings: dict[str, Any] | None = None
    level: str | None = None
    numbers: list[Number] | None = None
    active: bool | None = None
    skip: bool = Field(default=False, description="leave out what has not arrived yet")


@router.get("")
def list_targets(asks: Asks, back: Back) -> shapes.Targets:
    """Who is told, up to where, and what stands in the way."""
    return {"notifications": [_target(view) for view in back.services.notifications.list(asks)]}


@router.post("", status_code=201)
def add(asks: Asks, back: Back, body: NewTargetBody) -> shapes.NewTarget:
    """Tells of events from the next one on. A webhook's secret is in this answer and in no other."""
    made = back.services.notifications.add(
        asks, name=body.name, kind=body.kind, settings=body.settings, level=body.level, numbers=body.numbers
    )
    secret = {} if made.secret is None else {"secret": made.secret}
    return cast(shapes.NewTarget, {**_target(made.target), **secret})


@router.post("/{target}")
def change(asks: Asks, back: Back, target: Number, body: TargetBody) -> shapes.Target:
    """Changes a target."""
    return _target(back.services.notifications.change(asks, target, **body.model_dump()))


@router.delete("/{target}", status_code=204)
def remove(asks: Asks, back: Back, target: Number) -> None:
    """Tells it no more."""
    back.services.notifications.remove(asks, target)


@router.post("/{target}/test")
def trial(asks: Asks, back: Back, target: Number) -> shapes.Tried:
    """Sends one made-up event now, and says what came of it."""
    return {"result": back.services.notifications.trial(asks, target)}


def _target(view: TargetView) -> shapes.Target:
    return {
        "ID": view.id,
        "name": view.name,
        "kind": view.kind,
        "settings": view.settings,
        "level": view.level,
        "numbers": list(view.numbers),
        "active": view.active,
        "created": view.created,
        "who": view.who,
        "delivered": view.delivered,
        "failingSince": view.failing_since,
        "problem": view.problem,
        "waiting": view.waiting,
    }

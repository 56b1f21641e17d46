"""/api/upgrades: upgrades of the fleet in waves."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Query
from pydantic import Field

from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body, Number
from plimsoll.manager.api.shapes import software as shapes
from plimsoll.manager.api.shapes.changes import Figure
from plimsoll.manager.services.upgrade_start import AT_ONCE, FAILED, PATIENCE, SOAK, WATCH, WAVES
from plimsoll.manager.services.upgrade_views import HostView, PlanView, UpgradeView, WaveView
from plimsoll.manager.services.upgrades import StartRequest

router = APIRouter(prefix="/api/upgrades", tags=["upgrades"])


class StartBody(Body):
    """Everybody, or those of the relay groups, policies and computers named. `failures` is a share of a wave, 0 to 1;
    times are in seconds.
    """

    to: str
    groups: list[str] = Field(default_factory=list)
    policies: list[str] = Field(default_factory=list)
    computers: list[str] = Field(default_factory=list)
    wave: str = WAVES
    soak: float = SOAK
    failures: float = FAILED
    watch: float = WATCH
    patience: float = PATIENCE
    at_once: Number = Field(default=AT_ONCE, alias="atOnce")

    def request(self) -> StartRequest:
        return StartRequest(
            to=self.to,
            groups=self.groups,
            policies=self.policies,
            computers=self.computers,
            wave=self.wave,
            soak=self.soak,
            failed=self.failures,
            watch=self.watch,
            patience=self.patience,
            at_once=self.at_once,
        )


@router.get("")
def list_upgrades(asks: Asks, back: Back, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> shapes.Upgrades:
    """Upgrades, the newest first."""
    return {"upgrades": [upgrade(one) for one in back.services.upgrades.list(asks, limit)]}


@router.post("")
def start(asks: Asks, back: Back, body: StartBody) -> shapes.Upgrade:
    """Starts an upgrade in waves."""
    return upgrade(back.services.upgrades.start(asks, body.request()))


@router.post("/plan")
def plan(asks: Asks, back: Back, body: StartBody) -> shapes.UpgradePlan:
    """What would be done; nothing is."""
    return planned(back.services.upgrades.plan(asks, body.request()))


@router.get("/current")
def current(asks: Asks, back: Back) -> shapes.Upgrade:
    """The one under way, else the last one."""
    return upgrade(back.services.upgrades.get(asks))


@router.get("/{number}")
def get(asks: Asks, back: Back, number: Number) -> shapes.Upgrade:
    """One upgrade as it stands."""
    return upgrade(back.services.upgrades.get(asks, number))


@router.get("/{number}/computers")
def computers(
    asks: Asks,
    back: Back,
    number: Number,
    state: str | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> shapes.UpgradeHosts:
    """Its computers, or those in that state; `after` an id makes pages."""
    found = back.services.upgrades.hosts(asks, number, state=state, after=after, limit=limit)
    return {"computers": [host(one) for one in found]}


@router.post("/{number}/pause")
def pause(asks: Asks, back: Back, number: Number) -> shapes.Upgrade:
    """No computer is ordered any more until it is resumed."""
    return upgrade(back.services.upgrades.pause(asks, number))


@router.post("/{number}/resume")
def resume(asks: Asks, back: Back, number: Number) -> shapes.Upgrade:
    """Goes on with one that is paused or halted."""
    return upgrade(back.services.upgrades.resume(asks, number))


@router.post("/{number}/abort")
def abort(asks: Asks, back: Back, number: Number) -> shapes.Upgrade:
    """Ends it; who was ordered and has not begun is left as it is."""
    return upgrade(back.services.upgrades.abort(asks, number))


@router.post("/{number}/back")
def take_back(asks: Asks, back: Back, number: Number) -> shapes.Upgrade:
    """Begins the way back of one that is over: an upgrade of its own."""
    return upgrade(back.services.upgrades.back(asks, number))


# -- shapes


def upgrade(one: UpgradeView) -> shapes.Upgrade:
    options = one.options
    return {
        "id": one.id,
        "created": one.created,
        "who": one.who,
        "to": one.target,
        "state": one.state,
        "wave": one.wave,
        "entered": one.entered,
        "soaked": one.soaked,
        "soak": one.soak,
        "text": one.text,
        "waves": [wave(each) for each in one.waves],
        "figures": cast(list[Figure], list(one.figures)),
        "failing": [host(each) for each in one.failing],
        "left": {why: list(names) for why, names in one.left.items()},
        "backOf": one.back_of,
        "failures": options["failed"],
        "watch": options["watch"],
        "patience": options["patience"],
        "atOnce": options["at_once"],
        "ended": one.ended,
        "log": [
            {"time": each.time, "stage": each.stage, "what": each.what, "text": each.text, "who": each.who}
            for each in one.log
        ],
    }


def planned(one: PlanView) -> shapes.UpgradePlan:
    return {
        "to": one.target,
        "waves": [wave(each) for each in one.waves],
        "there": one.there,
        "left": {why: list(names) for why, names in one.left.items()},
    }


def wave(one: WaveView) -> shapes.Wave:
    return {"number": one.number, "what": one.label, "size": one.size, "states": dict(one.states)}


def host(one: HostView) -> shapes.UpgradeHost:
    return {
        "computer": one.computer,
        "name": one.name,
        "wave": one.wave,
        "state": one.state,
        "former": one.former,
        "goal": one.goal,
        "since": one.since,
        "detail": one.detail,
        "code": one.code,
    }

"""Settings by name, of computers, policies and the base policy; and the policies' search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Body, Path

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.rest.policies import shown as shown_policies
from plimsoll.manager.api.rest.reference import Item, Lenient, Overrides, SearchFilter, Settings, SettingText, search_of
from plimsoll.manager.api.shapes import computers as shapes
from plimsoll.manager.ports import Principal
from plimsoll.manager.search import Field, Kind, page
from plimsoll.manager.services.policies import PolicyView
from plimsoll.manager.services.setting_values import unset
from plimsoll.manager.services.settings import check_name

router = APIRouter(prefix="/api", tags=["policies"])
computer_router = APIRouter(prefix="/api", tags=["computers"])

Name = Annotated[str, Path(min_length=1, max_length=200)]

_STRING = Field(Kind.STRING)
_SWITCH = Field(Kind.CHOICE, ("on", "off"))
FIELDS: Mapping[str, Field] = {
    "ID": Field(Kind.ID),
    "name": _STRING,
    "description": _STRING,
    "parentID": Field(Kind.ID),
    "parent": _STRING,
    "autoRequiresUpdate": _SWITCH,
    "recommendationScanMode": Field(Kind.CHOICE, ("off", "ongoing")),
    "computers": Field(Kind.NUMERIC),
    "pending": Field(Kind.NUMERIC),
    "generation": Field(Kind.NUMERIC),
}


class ValueBody(Lenient):
    """``{"value": "text"}``."""

    value: SettingText = ""


def _one(settings: Mapping[str, str], name: str) -> shapes.SettingValue:
    """What nobody has set has an empty value; with `overrides` everything else too."""
    check_name(name)
    return {"value": settings.get(name, unset(name))}


@router.post("/policies/search")
def search_policies(
    asks: Asks, back: Back, body: SearchFilter | None = None, overrides: Overrides = False
) -> shapes.Policies:
    """Those that pass, in the order of their IDs."""
    known = shown_policies(asks, back, back.services.policies.list(asks), overrides)
    return {"policies": page(known, FIELDS, search_of(body))}


def _base(asks: Principal, back: Backend) -> PolicyView:
    return next(view for view in back.services.policies.list(asks) if view.parent_id is None)


@router.get("/policies/default")
def default_settings(asks: Asks, back: Back) -> shapes.Settings:
    """What holds where no policy says otherwise: the base policy's."""
    base = _base(asks, back)
    return views.settings(back.services.settings.of_policies(asks, [base])[base.id])


@router.post("/policies/default")
def change_default_settings(
    asks: Asks, back: Back, body: Annotated[Settings, Body(default_factory=dict)]
) -> shapes.Settings:
    """Sets those that are named."""
    back.services.settings.set_policy(asks, _base(asks, back).id, body, whole=True)
    return default_settings(asks, back)


@router.get("/policies/default/settings/{name}")
def default_setting(asks: Asks, back: Back, name: Name) -> shapes.SettingValue:
    """What it is where no policy says otherwise."""
    return _of_policy(asks, back, _base(asks, back), name)


@router.post("/policies/default/settings/{name}")
def change_default_setting(asks: Asks, back: Back, name: Name, body: ValueBody) -> shapes.SettingValue:
    """The base policy's value from now on."""
    view = back.services.settings.set_policy(asks, _base(asks, back).id, {name: body.value})
    return _of_policy(asks, back, view, name)


@router.delete("/policies/default/settings/{name}")
def reset_default_setting(asks: Asks, back: Back, name: Name) -> shapes.SettingValue:
    """It is what it was in a new installation."""
    return _of_policy(asks, back, back.services.settings.reset_policy(asks, _base(asks, back).id, name), name)


@router.get("/policies/{policy}/settings/{name}")
def policy_setting(
    asks: Asks, back: Back, policy: Item, name: Name, overrides: Overrides = False
) -> shapes.SettingValue:
    """Its value, inherited or its own."""
    return _of_policy(asks, back, back.services.policies.get(asks, policy), name, overrides)


@router.post("/policies/{policy}/settings/{name}")
def change_policy_setting(asks: Asks, back: Back, policy: Item, name: Name, body: ValueBody) -> shapes.SettingValue:
    """Its own value from now on, also where it is the parent's."""
    return _of_policy(asks, back, back.services.settings.set_policy(asks, policy, {name: body.value}), name)


@router.delete("/policies/{policy}/settings/{name}")
def reset_policy_setting(asks: Asks, back: Back, policy: Item, name: Name) -> shapes.SettingValue:
    """The parent decides it again; the answer is what holds then."""
    return _of_policy(asks, back, back.services.settings.reset_policy(asks, policy, name), name)


def _of_policy(asks: Principal, back: Backend, view: PolicyView, name: str, own: bool = False) -> shapes.SettingValue:
    return _one(back.services.settings.of_policies(asks, [view], own)[view.id], name)


@computer_router.get("/computers/{computer}/settings/{name}")
def computer_setting(
    asks: Asks, back: Back, computer: str, name: Name, overrides: Overrides = False
) -> shapes.SettingValue:
    """Its value, from its policy or its own."""
    view = back.services.computers.get(asks, computer)
    return _one(back.services.settings.of_computers(asks, [view], overrides)[view.number], name)


@computer_router.post("/computers/{computer}/settings/{name}")
def change_computer_setting(asks: Asks, back: Back, computer: str, name: Name, body: ValueBody) -> shapes.SettingValue:
    """For this computer alone, whatever its policy says."""
    back.services.settings.set_computer(asks, computer, {name: body.value})
    return computer_setting(asks, back, computer, name)


@computer_router.delete("/computers/{computer}/settings/{name}")
def reset_computer_setting(asks: Asks, back: Back, computer: str, name: Name) -> shapes.SettingValue:
    """Its policy decides it again; the answer is what holds then."""
    back.services.settings.reset_computer(asks, computer, name)
    return computer_setting(asks, back, computer, name)

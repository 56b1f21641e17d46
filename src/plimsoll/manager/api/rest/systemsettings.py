"""/api/systemsettings: settings of the manager by the reference's names."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.reference import Settings
from plimsoll.manager.api.rest.settings import ValueBody
from plimsoll.manager.api.shapes import computers as shapes
from plimsoll.manager.services.setting_values import may_be_kept, no_setting, unset

router = APIRouter(prefix="/api/systemsettings", tags=["manager"])

Name = Annotated[str, Path(min_length=1, max_length=200)]


@router.get("")
def list_settings(asks: Asks, back: Back) -> shapes.Settings:
    """What is so here, and what was set."""
    return views.settings(back.services.system_settings.list(asks))


@router.post("")
def change_settings(asks: Asks, back: Back, body: Annotated[Settings, Body(default_factory=dict)]) -> shapes.Settings:
    """All or nothing."""
    back.services.system_settings.set(asks, body)
    return list_settings(asks, back)


@router.get("/{name}")
def get_setting(asks: Asks, back: Back, name: Name) -> shapes.SettingValue:
    """One of them; empty where nobody has set it."""
    known = back.services.system_settings.list(asks)
    if name not in known and not may_be_kept(name):
        raise no_setting(name)
    return {"value": known.get(name, unset(name))}


@router.post("/{name}")
def change_setting(asks: Asks, back: Back, name: Name, body: ValueBody) -> shapes.SettingValue:
    """One of them. What no program decides is refused, with who decides it."""
    back.services.system_settings.set(asks, {name: body.value})
    return get_setting(asks, back, name)


@router.delete("/{name}")
def reset_setting(asks: Asks, back: Back, name: Name) -> shapes.SettingValue:
    """The answer is what holds then."""
    back.services.system_settings.reset(asks, name)
    return get_setting(asks, back, name)

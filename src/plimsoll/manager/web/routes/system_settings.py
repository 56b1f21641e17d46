"""Administration > System settings: settings of the manager by the reference's names."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from plimsoll.manager.services.setting_values import IDLE_TIMEOUT
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page

router = console_router()

PATH = "/administration/system-settings"

Name = Annotated[str, Form(min_length=1, max_length=200)]


@router.get(PATH)
def settings(request: Request, asks: Asks, back: Back) -> Response:
    service = back.services.system_settings
    known = service.list(asks)
    decided = service.decided(asks)
    return page(
        request,
        "settings/page.html",
        asks,
        idle=known[IDLE_TIMEOUT],
        decided=[(name, known[name], who) for name, who in decided.items()],
        kept=sorted((name, value) for name, value in known.items() if name not in decided and name != IDLE_TIMEOUT),
    )


@router.post(PATH)
def change(
    request: Request, asks: Signed, back: Back, name: Name, value: Annotated[str, Form(max_length=4000)] = ""
) -> Response:
    back.services.system_settings.set(asks, {name: value})
    return done(request, PATH, f"{name} was set.")


@router.post(f"{PATH}/reset")
def reset(request: Request, asks: Signed, back: Back, name: Name) -> Response:
    back.services.system_settings.reset(asks, name)
    return done(request, PATH, f"{name} is what it was at first.")

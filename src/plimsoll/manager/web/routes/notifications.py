"""Administration > Notifications: syslog receivers and webhooks that are told of events."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Form, Path, Request
from starlette.responses import Response

from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.notifications import FORMS, TRANSPORTS, WEBHOOK
from plimsoll.manager.web import fields
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page

router = console_router()

PATH = "/administration/notifications"

Word = Annotated[str, Form(max_length=2000)]
Target = Annotated[int, Path(ge=0, le=2**53)]


@router.get(PATH)
def targets(request: Request, asks: Asks, back: Back) -> Response:
    return page(
        request,
        "notifications/page.html",
        asks,
        targets=back.services.notifications.list(asks),
        transports=TRANSPORTS,
        forms=FORMS,
    )


@router.post(PATH)
def add(
    request: Request,
    asks: Signed,
    back: Back,
    name: Word,
    kind: Word,
    level: Word = "warning",
    numbers: Word = "",
    host: Word = "",
    port: Word = "",
    transport: Word = "tls",
    form: Word = "cef",
    url: Word = "",
    ca: Annotated[str, Form(max_length=1 << 20)] = "",
) -> Response:
    """A webhook's secret stands on the page that answers, and on no other."""
    settings: dict[str, Any]
    if kind == WEBHOOK:
        settings = {"url": url}
    else:
        settings = {"host": host, "transport": transport, "form": form}
        if port.strip():
            settings["port"] = fields.number(port, "the port")
    if ca.strip():
        settings["ca"] = ca
    made = back.services.notifications.add(
        asks, name=name, kind=kind, settings=settings, level=level, numbers=_numbers(numbers)
    )
    if made.secret is None:
        return done(request, PATH, f"{made.target.name} is told from the next event on. Try it.")
    return page(request, "notifications/made.html", asks, made=made)


def _numbers(text: str) -> list[int]:
    found = [fields.number(one, "an event number") for one in fields.lines(text)]
    if len(found) > 1000:
        raise BadInput("that are more event numbers than there are; nothing was changed")
    return [one for one in found if one is not None]


@router.post(f"{PATH}/{{target}}/trial")
def trial(request: Request, asks: Signed, back: Back, target: Target) -> Response:
    said = back.services.notifications.trial(asks, target)
    return done(request, PATH, f"The trial arrived: {said}")


@router.post(f"{PATH}/{{target}}/active")
def active(
    request: Request, asks: Signed, back: Back, target: Target, on: Annotated[str, Form(max_length=1)] = ""
) -> Response:
    changed = back.services.notifications.change(asks, target, active=bool(on))
    said = "is told what it missed, and what happens" if on else "is told nothing more"
    return done(request, PATH, f"{changed.name} {said}.")


@router.post(f"{PATH}/{{target}}/remove")
def remove(request: Request, asks: Signed, back: Back, target: Target) -> Response:
    back.services.notifications.remove(asks, target)
    return done(request, PATH, "The target was removed.")

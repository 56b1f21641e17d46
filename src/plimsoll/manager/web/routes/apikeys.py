"""Administration > API keys: with the TLS that each was seen with, so that an old script shows by name."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Form, Path, Request
from starlette.responses import Response

from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.api_keys import KeyChange
from plimsoll.manager.web import fields
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page
from plimsoll.manager.web.routes.users import role_choices

router = console_router()

PATH = "/administration/api-keys"

Word = Annotated[str, Form(max_length=255)]
Description = Annotated[str, Form(max_length=2000)]
Key = Annotated[int, Path(ge=0, le=2**53)]


@router.get(PATH)
def keys(request: Request, asks: Asks, back: Back) -> Response:
    return page(request, "apikeys/list.html", asks, keys=back.services.api_keys.list(asks), now=time.time())


@router.get(f"{PATH}/new")
def new(request: Request, asks: Asks) -> Response:
    return page(request, "apikeys/new.html", asks, roles=role_choices())


@router.post(PATH)
def create(
    request: Request,
    asks: Signed,
    back: Back,
    name: Word,
    role: Word,
    description: Description = "",
    expires: Word = "",
) -> Response:
    """The answer is the one page that ever shows the key."""
    until = fields.moment(request, expires, "the expiry")
    seconds = None if until is None else until - time.time()
    made = back.services.api_keys.create(asks, name, role, seconds, KeyChange(description=description or None))
    return page(request, "apikeys/made.html", asks, made=made, renewed=False)


@router.get(f"{PATH}/{{key}}")
def key(request: Request, asks: Asks, back: Back, key: Key) -> Response:
    found = back.services.api_keys.get(asks, key)
    return page(
        request,
        "apikeys/key.html",
        asks,
        key=found,
        roles=role_choices(),
        expires=fields.local(request, found.expires),
        now=time.time(),
    )


@router.post(f"{PATH}/{{key}}")
def change(
    request: Request,
    asks: Signed,
    back: Back,
    key: Key,
    name: Word,
    role: Word,
    description: Description = "",
    expires: Word = "",
    active: Annotated[str, Form(max_length=1)] = "",
) -> Response:
    before = back.services.api_keys.get(asks, key)
    until = fields.moment(request, expires, "the expiry")
    # The field shows minutes: what was not touched is not moved to the minute.
    if expires == fields.local(request, before.expires):
        until = None
    elif until is None:
        until = 0
    elif until <= time.time():
        raise BadInput("the expiry is in the past; nothing was changed. Switch the key off to end it now")
    back.services.api_keys.update(
        asks,
        key,
        KeyChange(name=name, role=role, description=description, active=bool(active), expires=until),
    )
    return done(request, f"{PATH}/{key}", "The key was changed; that counts from its next request on.")


@router.post(f"{PATH}/{{key}}/renew")
def renew(request: Request, asks: Signed, back: Back, key: Key) -> Response:
    """Another secret for the same key, shown on this page alone."""
    made = back.services.api_keys.renew(asks, key)
    return page(request, "apikeys/made.html", asks, made=made, renewed=True)


@router.post(f"{PATH}/{{key}}/delete")
def delete(request: Request, asks: Signed, back: Back, key: Key) -> Response:
    back.services.api_keys.delete(asks, key)
    return done(request, PATH, "The key was deleted; whoever brings it is refused.")

"""One's own account: password, second factor, sessions."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Path, Request
from markupsafe import Markup
from starlette.responses import Response

from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.second_factor import qr_svg
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page

router = console_router()

PATH = "/account"

Password = Annotated[str, Form(min_length=1, max_length=1024)]
Code = Annotated[str, Form(min_length=1, max_length=100)]


@router.get(PATH)
def account(request: Request, asks: Asks, back: Back) -> Response:
    if asks.kind != "user":
        return page(request, "account/page.html", asks, user=None)
    services = back.services
    return page(
        request,
        "account/page.html",
        asks,
        user=services.access.user(asks, asks.name),
        factor=services.second_factor.own(asks),
        sessions=services.sessions.own(asks),
    )


@router.post(f"{PATH}/password")
def password(
    request: Request,
    asks: Signed,
    back: Back,
    old: Password,
    password: Password,
    again: Annotated[str, Form(max_length=1024)],
) -> Response:
    if password != again:
        raise BadInput("the two passwords differ; nothing was changed")
    back.services.access.change_own_password(asks, old, password)
    return done(request, "/sign-in", "You have a new password. Sign in with it; all your sessions have ended.")


@router.post(f"{PATH}/second-factor")
def begin(request: Request, asks: Signed, back: Back, password: Password) -> Response:
    """The answer is the one page that ever shows the secret."""
    made = back.services.second_factor.begin(asks, password)
    spaced = " ".join(made.secret[at : at + 4] for at in range(0, len(made.secret), 4))
    # Made by us of an address in which everything else is escaped: no markup of anybody's comes in.
    return page(request, "account/enrol.html", asks, uri=made.uri, secret=spaced, qr=Markup(qr_svg(made.uri)))


@router.post(f"{PATH}/second-factor/confirm")
def confirm(request: Request, asks: Signed, back: Back, code: Code) -> Response:
    """The answer is the one page that ever shows these recovery codes."""
    codes = back.services.second_factor.confirm(asks, code)
    return page(request, "account/codes.html", asks, codes=codes, new=True)


@router.post(f"{PATH}/second-factor/codes")
def renew(request: Request, asks: Signed, back: Back, password: Password, code: Code) -> Response:
    codes = back.services.second_factor.renew_recovery_codes(asks, password, code)
    return page(request, "account/codes.html", asks, codes=codes, new=False)


@router.post(f"{PATH}/second-factor/remove")
def remove(request: Request, asks: Signed, back: Back, password: Password, code: Code) -> Response:
    back.services.second_factor.remove(asks, password, code)
    return done(request, PATH, "The second factor is removed. Your password alone is enough now.")


@router.post(f"{PATH}/sessions/end-others")
def end_others(request: Request, asks: Signed, back: Back) -> Response:
    ended = back.services.sessions.end_own_others(asks)
    return done(request, PATH, f"{ended} other sessions ended.")


@router.post(f"{PATH}/sessions/{{session}}/end")
def end(
    request: Request, asks: Signed, back: Back, session: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
) -> Response:
    back.services.sessions.end_own(asks, session)
    return done(request, PATH, "The session has ended.")

"""Administration > System settings > Sign-in: the OpenID provider that people sign in through."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.oidc import CLAIM, LABEL, NAME_CLAIM, SCOPES, ProviderSettings
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page

router = console_router()

PATH = "/administration/system-settings/sign-in"
CALLBACK = "/sign-in/oidc/callback"

Line = Annotated[str, Form(max_length=2000)]


@router.get(PATH)
def provider(request: Request, asks: Asks, back: Back) -> Response:
    known = back.services.oidc.settings(asks)
    return page(
        request,
        "identity_provider/page.html",
        asks,
        known=known,
        shown=known or ProviderSettings("", ""),
        roles="\n".join(f"{value} = {role}" for value, role in (known.roles if known else {}).items()),
        callback=f"https://{request.headers.get('host', '')}{CALLBACK}",
    )


@router.post(PATH)
def save(
    request: Request,
    asks: Signed,
    back: Back,
    issuer: Line,
    client_id: Line,
    roles: Annotated[str, Form(max_length=50_000)],
    secret: Line = "",
    no_secret: Annotated[str, Form(max_length=1)] = "",
    claim: Line = CLAIM,
    name_claim: Line = NAME_CLAIM,
    scopes: Line = SCOPES,
    label: Line = LABEL,
    ca: Annotated[str, Form(max_length=1 << 19)] = "",
) -> Response:
    wanted = ProviderSettings(
        issuer=issuer.strip(),
        client_id=client_id.strip(),
        claim=claim.strip(),
        roles=parse_roles(roles),
        name_claim=name_claim.strip(),
        scopes=scopes.strip(),
        label=label.strip(),
        ca=ca.strip(),
    )
    # An empty field keeps the secret that there is: a browser never has it to send back.
    given = "" if no_secret else (secret or None)
    back.services.oidc.set(asks, wanted, given)
    return done(request, PATH, "The identity provider is set. Ask it now, to see whether it answers.")


@router.post(f"{PATH}/check")
def check(request: Request, asks: Signed, back: Back) -> Response:
    found = back.services.oidc.check(asks)
    text = f"It answers: people are sent to {found.authorization}, and its keys are at {found.keys}."
    return done(request, PATH, text)


@router.post(f"{PATH}/remove")
def remove(request: Request, asks: Signed, back: Back) -> Response:
    back.services.oidc.remove(asks)
    return done(request, PATH, "Nobody signs in through it any more.")


def parse_roles(text: str) -> dict[str, str]:
    """``value = role`` a line. Raises BadInput, which names the line."""
    roles: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        value, equals, role = line.rpartition("=")
        if not equals or not value.strip() or not role.strip():
            raise BadInput(f"line {number} of the roles is not VALUE = ROLE: {line.strip()!r}; nothing was changed")
        roles[value.strip()] = role.strip()
    return roles

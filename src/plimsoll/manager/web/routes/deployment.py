"""Administration > Updates > Deployment scripts, and activation tokens (R20-R22)."""

from __future__ import annotations

import urllib.parse
from typing import Annotated, Literal

from fastapi import Form, Path, Request
from starlette.responses import Response

from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.deployable import Deployable
from plimsoll.manager.services.deployment import WORKAROUNDS, ScriptRequest
from plimsoll.manager.web import fields
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page
from plimsoll.messages import Kind

router = console_router()

PATH = "/administration/updates/deployment-scripts"
TOKENS = f"{PATH}/tokens"
#: Policies and groups that the form lists; more are typed by name.
CHOICES = 500

Word = Annotated[str, Form(max_length=255)]
Trust = Literal["ca", "system", "none"]
TRUSTS: tuple[Trust, ...] = ("ca", "system", "none")


@router.get(PATH)
def scripts(request: Request, asks: Asks, back: Back) -> Response:
    services = back.services
    packages = services.deployment.preflight(asks)
    relays = {one.package.id: one for one in services.deployment.preflight(asks, relay=True)}
    return page(
        request,
        "deployment/page.html",
        asks,
        packages=[(one, relays.get(one.package.id, one)) for one in packages],
        refused=sum(bool(one.obstacles) for one in packages),
        versions=_versions(packages),
        platforms=sorted({one.package.platform for one in packages}),
        architectures=sorted({one.package.architecture for one in packages}),
        policies=list(services.policies.names(asks).items())[:CHOICES],
        groups=services.groups.list(asks)[:CHOICES],
        relay_groups=services.policies.relay_groups(asks)[:CHOICES],
        workarounds=WORKAROUNDS,
        host=services.deployment.host(asks),
    )


def _versions(packages: tuple[Deployable, ...]) -> list[str]:
    found = {one.package.version: one.package.component for one in packages}
    return sorted(found, key=found.__getitem__, reverse=True)


@router.post(PATH)
def make(
    request: Request,
    asks: Signed,
    back: Back,
    system: Word = "linux",
    workaround: Word = "",
    base_url: Annotated[str, Form(max_length=2000)] = "",
    file: Word = "",
    platform: Word = "",
    architecture: Word = "",
    version: Word = "",
    unchecked: Word = "",
    activate: Word = "",
    relay: Word = "",
    policy: Word = "",
    group: Word = "",
    relay_group: Word = "",
    display_name: Word = "",
    manager: Word = "",
    trust: Word = "",
    ca: Annotated[str, Form(max_length=256 * 1024)] = "",
    token: Annotated[str, Form(max_length=2000)] = "",
    token_life: Word = "1 d",
    token_uses: Word = "",
) -> Response:
    """The script stands on the page that answers, with its token, and on no other."""
    if system not in ("linux", "windows"):
        raise BadInput(f"there is no agent for {system!r}; no script was made")
    verify = next((one for one in TRUSTS if one == trust), None)
    script = back.services.deployment.make(
        asks,
        ScriptRequest(
            system="windows" if system == "windows" else "linux",
            workaround=workaround,
            base_url=base_url.strip(),
            file=file.strip(),
            platform=platform,
            architecture=architecture,
            version=version,
            unchecked=bool(unchecked),
            activate=bool(activate),
            relay=bool(relay),
            policy=policy,
            group=group,
            relay_group=relay_group,
            display_name=display_name.strip(),
            manager=manager.strip(),
            verify=verify,
            ca=ca.strip(),
            token=token.strip(),
            token_seconds=fields.length(token_life, "the token's life", "h"),
            token_uses=fields.number(token_uses, "how many computers"),
        ),
    )
    return page(request, "deployment/script.html", asks, script=script, activate=bool(activate))


@router.get(TOKENS)
def tokens(request: Request, asks: Asks, back: Back) -> Response:
    found = sorted(back.services.activation.tokens(asks), key=lambda one: -one.created)
    return page(request, "deployment/tokens.html", asks, tokens=found, kinds=list(Kind))


@router.post(TOKENS)
def create_token(
    request: Request, asks: Signed, back: Back, uses: Word = "1", life: Word = "1 d", kind: Word = ""
) -> Response:
    """Shown on the page that answers, and never again."""
    try:
        chosen = Kind(kind) if kind else None
    except ValueError:
        raise BadInput(f"there is no kind {kind!r}; no token was made") from None
    made = back.services.activation.create_token(
        asks,
        fields.number(uses, "how many computers"),
        fields.length(life, "the token's life", "h"),
        chosen,
    )
    return page(request, "deployment/token.html", asks, made=made)


@router.post(f"{TOKENS}/{{token}}/delete")
def delete_token(request: Request, asks: Signed, back: Back, token: Annotated[str, Path(max_length=200)]) -> Response:
    back.services.activation.delete_token(asks, urllib.parse.unquote(token))
    return done(request, TOKENS, "The token was deleted: nobody is activated by it any more.")

"""/api/identityprovider: the OpenID provider that people sign in through."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body
from plimsoll.manager.api.shapes import access as shapes
from plimsoll.manager.api.shapes.base import Empty
from plimsoll.manager.services.oidc import CLAIM, LABEL, NAME_CLAIM, SCOPES, ProviderSettings

router = APIRouter(prefix="/api/identityprovider", tags=["access"])

_Text = Annotated[str, Field(min_length=1, max_length=500)]


class ProviderBody(Body):
    """All of its settings; what is left out is as in a new one, but for the secret."""

    issuer: Annotated[str, Field(max_length=2000, description="an https address, exactly as the provider writes it")]
    client_id: _Text = Field(alias="clientId")
    client_secret: Annotated[str, Field(max_length=1000)] | None = Field(
        default=None,
        alias="clientSecret",
        description="left out: the one that there is; empty: none",
    )
    claim: _Text = Field(default=CLAIM, description="a claim of the ID token, or a path with dots")
    roles: dict[_Text, _Text] = Field(description="role by value of the claim", max_length=200)
    name_claim: _Text = Field(default=NAME_CLAIM, alias="nameClaim", description="names a user at the first sign-in")
    scopes: _Text = SCOPES
    label: _Text = Field(default=LABEL, description="what the button of the sign-in page says")
    ca: Annotated[str, Field(max_length=1 << 20)] = Field(default="", description="PEM; empty: the system's")


@router.get("")
def show_provider(asks: Asks, back: Back) -> shapes.ProviderAnswer:
    """Who people sign in through, without the client's secret."""
    view = back.services.oidc.settings(asks)
    return {"provider": None if view is None else _provider(view)}


@router.post("")
def set_provider(asks: Asks, back: Back, body: ProviderBody) -> shapes.Provider:
    """Sets it. The provider is not asked; `check` does that."""
    values = body.model_dump(exclude={"client_secret"})
    return _provider(back.services.oidc.set(asks, ProviderSettings(**values), body.client_secret))


@router.delete("")
def remove_provider(asks: Asks, back: Back) -> Empty:
    """Nobody signs in through it any more; sessions of its people end."""
    back.services.oidc.remove(asks)
    return {}


@router.post("/check")
def check_provider(asks: Asks, back: Back) -> shapes.ProviderCheck:
    """Asks the provider for its description."""
    found = back.services.oidc.check(asks)
    view = back.services.oidc.settings(asks)
    return {
        "issuer": "" if view is None else view.issuer,
        "authorizationEndpoint": found.authorization,
        "tokenEndpoint": found.token,
        "keys": found.keys,
    }


def _provider(view: ProviderSettings) -> shapes.Provider:
    return {
        "issuer": view.issuer,
        "clientId": view.client_id,
        "hasSecret": view.has_secret,
        "claim": view.claim,
        "roles": dict(view.roles),
        "nameClaim": view.name_claim,
        "scopes": view.scopes,
        "label": view.label,
        "ca": view.ca,
    }

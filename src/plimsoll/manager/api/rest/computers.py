"""/api/computers and /api/activationtokens: the machines of the fleet and how they join it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body
from plimsoll.manager.api.shapes import computers as shapes
from plimsoll.manager.api.shapes.base import Empty
from plimsoll.manager.ports import BadInput, Permission, require
from plimsoll.manager.services.computers import ComputerChange
from plimsoll.messages import Kind

router = APIRouter(prefix="/api", tags=["computers"])


class ComputerBody(Body):
    display_name: str | None = Field(default=None, alias="displayName", max_length=255)
    group_id: int | None = Field(default=None, alias="groupID")
    policy: str | None = None
    relay_group: str | None = Field(default=None, alias="relayGroup")
    guards: list[str] | None = None


class RevokeBody(Body):
    reason: str = Field(default="", max_length=1000)


class VisitBody(Body):
    """Where the agent waits. Without a code the agent must have been told whom to trust."""

    address: str = Field(min_length=1, max_length=255)
    port: int = Field(default=4118, ge=1, le=65535)
    code: str | None = None


class TokenBody(Body):
    """`uses` 0 means any number; `expiresIn` is in seconds."""

    uses: int = Field(default=1, ge=0, le=1_000_000)
    expires_in: float = Field(default=86400.0, alias="expiresIn", gt=0, le=366 * 86400)
    kind: str | None = None


def _kind(text: str | None) -> Kind | None:
    if text is None:
        return None
    try:
        return Kind(text)
    except ValueError:
        raise BadInput(f"unknown kind {text!r}; valid are {', '.join(kind.value for kind in Kind)}") from None


@router.get("/computers")
def list_computers(
    asks: Asks,
    back: Back,
    kind: str | None = None,
    relay_group: Annotated[str | None, Query(alias="relayGroup")] = None,
    after: str | None = None,
    limit: Annotated[int | None, Query(ge=1)] = None,
) -> shapes.Computers:
    found = back.services.computers.list(asks, kind=_kind(kind), relay_group=relay_group, after=after, limit=limit)
    problems = back.live.problems()
    return {"computers": [views.computer(view, problems) for view in found]}


@router.post("/computers/activate")
def visit(asks: Asks, back: Back, body: VisitBody) -> shapes.Computer:
    """Manager-initiated activation: the manager calls the agent that waits on its 4118."""
    require(asks, Permission.COMPUTERS_CHANGE)
    computer = back.live.visit(asks, body.address, body.port, body.code)
    return views.computer(back.services.computers.get(asks, computer), back.live.problems())


@router.get("/computers/{computer}")
def get_computer(asks: Asks, back: Back, computer: str) -> shapes.Computer:
    return views.computer(back.services.computers.get(asks, computer), back.live.problems())


@router.post("/computers/{computer}")
def change_computer(asks: Asks, back: Back, computer: str, body: ComputerBody) -> shapes.Computer:
    change = ComputerChange(
        display_name=body.display_name,
        group_id=body.group_id,
        policy=body.policy,
        relay_group=body.relay_group,
        guards=None if body.guards is None else tuple(body.guards),
    )
    return views.computer(back.services.computers.update(asks, computer, change), back.live.problems())


@router.delete("/computers/{computer}")
def delete_computer(asks: Asks, back: Back, computer: str) -> Empty:
    back.services.computers.delete(asks, computer)
    return {}


@router.post("/computers/{computer}/revoke")
def revoke_computer(asks: Asks, back: Back, computer: str, body: RevokeBody | None = None) -> shapes.Computer:
    return views.computer(
        back.services.computers.revoke(asks, computer, body.reason if body else ""), back.live.problems()
    )


@router.post("/computers/{computer}/approve")
def approve_computer(asks: Asks, back: Back, computer: str) -> shapes.Computer:
    return views.computer(back.services.computers.approve(asks, computer), back.live.problems())


@router.get("/activationtokens")
def list_tokens(asks: Asks, back: Back) -> shapes.Tokens:
    return {"activationTokens": [views.token(view) for view in back.services.activation.tokens(asks)]}


@router.post("/activationtokens")
def create_token(asks: Asks, back: Back, body: TokenBody) -> shapes.NewToken:
    """The token is in this answer and nowhere else."""
    made = back.services.activation.create_token(asks, body.uses or None, body.expires_in, _kind(body.kind))
    return {"ID": made.id, "token": made.token, "uses": made.uses, "expires": made.expires}


@router.delete("/activationtokens/{token}")
def delete_token(asks: Asks, back: Back, token: str) -> Empty:
    back.services.activation.delete_token(asks, token)
    return {}

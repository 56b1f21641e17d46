"""/api/computers and /api/activationtokens: the machines of the fleet and how they join it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body
from plimsoll.manager.api.rest.computer_details import page, shown
from plimsoll.manager.api.rest.reference import (
    Expand,
    Number,
    Overrides,
    SearchFilter,
    Settings,
    Text,
    expanded,
    passed_over,
    search_of,
)
from plimsoll.manager.api.shapes import computers as shapes
from plimsoll.manager.api.shapes.base import Empty
from plimsoll.manager.ports import BadInput, Permission, require
from plimsoll.manager.services.computers import ComputerChange, ComputerView
from plimsoll.manager.services.settings import read_settings, relay_state
from plimsoll.messages import Kind

router = APIRouter(prefix="/api", tags=["computers"])


class ComputerBody(Body):
    """A field that is missing stays as it is; 0 takes a computer out of its group. A computer as a GET gave it is
    taken back: what is read only in it is passed over, and what it holds anyway is left as it is.
    """

    _drop = passed_over(shapes.Computer, "biosUUID", "ESXSummary", "ec2VirtualMachineSummary", "relayID")
    number: Any = Field(default=None, alias="ID")
    display_name: Annotated[Text, Field(max_length=255)] | None = Field(default=None, alias="displayName")
    description: Text | None = None
    group_id: Number | None = Field(default=None, alias="groupID")
    policy: Text | None = None
    policy_id: Number | None = Field(default=None, alias="policyID")
    relay_group: Text | None = Field(default=None, alias="relayGroup")
    relay_list_id: Number | None = Field(default=None, alias="relayListID")
    guards: list[Text] | None = None
    settings: Settings = Field(default_factory=dict, alias="computerSettings")

    def change(self, now: ComputerView) -> ComputerChange:
        """Of two fields that say the same thing, the one counts that says something new."""
        whole = self.number is not None
        policy, policy_id = self.policy, self.policy_id
        if policy is not None and policy_id is not None:
            policy, policy_id = (None, policy_id) if policy == now.policy else (policy, None)
        group, group_id = self.relay_group, self.relay_list_id
        if group is not None and group_id is not None:
            group, group_id = (None, group_id) if group == now.relay_group else (group, None)
        guards = None if self.guards is None else tuple(self.guards)
        return ComputerChange(
            display_name=self.display_name,
            description=self.description,
            group_id=self.group_id,
            policy=policy,
            policy_id=policy_id,
            relay_group=group,
            relay_group_id=group_id,
            guards=None if whole and guards == now.guards else guards,
        )


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
    limit: Annotated[Number | None, Query(ge=1)] = None,
    expand: Expand = None,
    overrides: Overrides = False,
) -> shapes.Computers:
    """Computers in the order of their hostGUIDs; `after` one and a `limit` make pages."""
    found = back.services.computers.list(asks, kind=_kind(kind), relay_group=relay_group, after=after, limit=limit)
    return page(shown(asks, back, found, expanded(expand, "none"), overrides))


@router.post("/computers")
def create_computer(asks: Asks, back: Back) -> shapes.Computer:
    """Refused: here a computer comes to be by its activation."""
    require(asks, Permission.COMPUTERS_CHANGE)
    raise BadInput(
        "a computer comes to be by its activation: make a token (POST /api/activationtokens) for its agent, or call"
        " the agent that waits (POST /api/computers/activate); nothing was made"
    )


@router.post("/computers/search")
def search_computers(
    asks: Asks, back: Back, body: SearchFilter | None = None, expand: Expand = None, overrides: Overrides = False
) -> shapes.Computers:
    """In the order of their IDs."""
    found = back.services.computers.search(asks, search_of(body))
    return page(shown(asks, back, found, expanded(expand, "none"), overrides))


@router.post("/computers/activate")
def visit(asks: Asks, back: Back, body: VisitBody) -> shapes.Computer:
    """Manager-initiated activation: the manager calls the agent that waits on its 4118."""
    require(asks, Permission.COMPUTERS_CHANGE)
    computer = back.live.visit(asks, body.address, body.port, body.code)
    return views.computer(back.services.computers.get(asks, computer), back.live.problems())


@router.get("/computers/{computer}")
def get_computer(
    asks: Asks, back: Back, computer: str, expand: Expand = None, overrides: Overrides = False
) -> shapes.Computer:
    """One computer, by ID or hostGUID."""
    found = back.services.computers.get(asks, computer)
    return shown(asks, back, [found], expanded(expand, "all"), overrides)[0]


@router.post("/computers/{computer}")
def change_computer(
    asks: Asks,
    back: Back,
    computer: str,
    body: ComputerBody | None = None,
    expand: Expand = None,
    overrides: Overrides = False,
) -> shapes.Computer:
    """Changes what is said; the rest stays."""
    require(asks, Permission.COMPUTERS_CHANGE)
    given = body or ComputerBody()
    now = back.services.computers.get(asks, computer)
    read_settings(given.settings, relay_state(now))
    changed = back.services.computers.update(asks, computer, given.change(now))
    if given.settings:
        changed = back.services.settings.set_computer(asks, computer, given.settings, whole=True)
    return shown(asks, back, [changed], expanded(expand, "all"), overrides)[0]


@router.delete("/computers/{computer}")
def delete_computer(asks: Asks, back: Back, computer: str) -> Empty:
    """Deletes it; its certificate is good for nothing from then on."""
    back.services.computers.delete(asks, computer)
    return {}


@router.post("/computers/{computer}/revoke")
def revoke_computer(asks: Asks, back: Back, computer: str, body: RevokeBody | None = None) -> shapes.Computer:
    """Refuses its certificate from now on; the computer stays listed."""
    return views.computer(
        back.services.computers.revoke(asks, computer, body.reason if body else ""), back.live.problems()
    )


@router.post("/computers/{computer}/approve")
def approve_computer(asks: Asks, back: Back, computer: str) -> shapes.Computer:
    """Lets one in that waits for an administrator."""
    return views.computer(back.services.computers.approve(asks, computer), back.live.problems())


@router.get("/activationtokens")
def list_tokens(asks: Asks, back: Back) -> shapes.Tokens:
    """Activation tokens, without their secrets."""
    return {"activationTokens": [views.token(view) for view in back.services.activation.tokens(asks)]}


@router.post("/activationtokens")
def create_token(asks: Asks, back: Back, body: TokenBody) -> shapes.NewToken:
    """The token is in this answer and nowhere else."""
    made = back.services.activation.create_token(asks, body.uses or None, body.expires_in, _kind(body.kind))
    return {"ID": made.id, "token": made.token, "uses": made.uses, "expires": made.expires}


@router.delete("/activationtokens/{token}")
def delete_token(asks: Asks, back: Back, token: str) -> Empty:
    """Nobody joins with it any more."""
    back.services.activation.delete_token(asks, token)
    return {}

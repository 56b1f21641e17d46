"""/api/roles and /api/tenants: what is fixed here, in the reference's shape."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter

from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.rest.reference import Item, SearchFilter, search_of
from plimsoll.manager.api.shapes import access as shapes
from plimsoll.manager.ports import NotFound, Permission, Role, require
from plimsoll.manager.search import Field, Kind, page
from plimsoll.manager.services.roles import RoleView

router = APIRouter(prefix="/api", tags=["access"])

#: The one tenant's. Not 0: a program that pages by ID begins above that.
TENANT_ID = 1


def role_urn(installation: str, role: Role) -> str:
    return f"urn:plimsoll:{installation}:role/{role.value}"


_STRING = Field(Kind.STRING)
ROLE_FIELDS: Mapping[str, Field] = {
    "ID": Field(Kind.ID),
    "name": _STRING,
    "description": _STRING,
    "urn": _STRING,
    "allRights": Field(Kind.BOOLEAN),
}
TENANT_FIELDS: Mapping[str, Field] = {
    "ID": Field(Kind.ID),
    "name": _STRING,
    "description": _STRING,
    "guid": _STRING,
    "tenantState": Field(Kind.CHOICE, ("active",)),
}


def _role(back: Backend, view: RoleView) -> shapes.RoleAnswer:
    return {
        "ID": view.id,
        "name": view.role.value,
        "description": view.description,
        "urn": role_urn(back.installation, view.role),
        "allRights": view.role is Role.ADMINISTRATOR,
        "permissions": [permission.value for permission in view.permissions],
    }


@router.get("/roles")
def list_roles(asks: Asks, back: Back) -> shapes.Roles:
    """The three that there are; they are fixed."""
    return {"roles": [_role(back, view) for view in back.services.roles.list(asks)]}


@router.post("/roles/search")
def search_roles(asks: Asks, back: Back, body: SearchFilter | None = None) -> shapes.Roles:
    """Those that pass."""
    known = [_role(back, view) for view in back.services.roles.list(asks)]
    return {"roles": page(known, ROLE_FIELDS, search_of(body))}


@router.get("/roles/{role}")
def get_role(asks: Asks, back: Back, role: Item) -> shapes.RoleAnswer:
    """One role."""
    return _role(back, back.services.roles.get(asks, role))


def _tenant(back: Backend) -> shapes.Tenant:
    return {
        "ID": TENANT_ID,
        "name": "primary",
        "description": "the one tenant that there is: the whole of this installation",
        "guid": back.installation,
        "tenantState": "active",
    }


@router.get("/tenants")
def list_tenants(asks: Asks, back: Back) -> shapes.Tenants:
    """The one that there is: primary."""
    require(asks, Permission.MANAGER_READ)
    return {"tenants": [_tenant(back)]}


@router.post("/tenants/search")
def search_tenants(asks: Asks, back: Back, body: SearchFilter | None = None) -> shapes.Tenants:
    """Those that pass."""
    require(asks, Permission.MANAGER_READ)
    return {"tenants": page([_tenant(back)], TENANT_FIELDS, search_of(body))}


@router.get("/tenants/{tenant}")
def get_tenant(asks: Asks, back: Back, tenant: Item) -> shapes.Tenant:
    """The one that there is."""
    require(asks, Permission.MANAGER_READ)
    if tenant != TENANT_ID:
        raise NotFound(f"there is no tenant {tenant}, only {TENANT_ID}, the primary one")
    return _tenant(back)

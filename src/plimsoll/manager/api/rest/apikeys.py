"""/api/apikeys: keys for programs, as the reference has them, and what each was last seen with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import AliasChoices, Field

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.rest.reference import Item, Lenient, Name, Number, SearchFilter, Text, search_of, seconds
from plimsoll.manager.api.rest.roles import TENANT_ID, role_urn
from plimsoll.manager.api.shapes import access as shapes
from plimsoll.manager.api.shapes.base import Empty
from plimsoll.manager.ports import BadInput
from plimsoll.manager.search import Field as SearchField
from plimsoll.manager.search import Kind, page
from plimsoll.manager.services.api_keys import ApiKeyView, KeyChange
from plimsoll.manager.services.roles import NUMBERS, role_numbered
from plimsoll.tls.versions import Version

router = APIRouter(prefix="/api/apikeys", tags=["access"])

Locale = Literal["en-US", "ja-JP"]


class KeyBody(Lenient):
    """The reference's fields; `name`, `role` and `expiresIn` (in seconds) are ours. What is missing stays."""

    key_name: Name | None = Field(default=None, validation_alias=AliasChoices("keyName", "name", "key_name"))
    description: Text | None = None
    locale: Locale | None = None
    role_id: Number | None = None
    role: Text | None = None
    time_zone: Annotated[Text, Field(max_length=64)] | None = None
    active: bool | None = None
    expiry_date: Number | None = Field(default=None, description="in milliseconds since 1970; 0 for never")
    expires_in: float | None = Field(default=None, gt=0, le=100 * 366 * 86400.0)

    def change(self) -> KeyChange:
        return KeyChange(
            name=self.key_name,
            description=self.description,
            role=self.role_name(),
            locale=self.locale,
            time_zone=self.time_zone,
            active=self.active,
            expires=seconds(self.expiry_date),
        )

    def role_name(self) -> str | None:
        if self.role is not None or self.role_id is None:
            return self.role
        return role_numbered(self.role_id).value


def _current(back: Backend, view: ApiKeyView) -> shapes.CurrentApiKey:
    urn = role_urn(back.installation, view.role)
    return {**views.api_key(view), "roleURN": urn, "tenantID": TENANT_ID, "tenantGUID": back.installation}


_STRING, _DATE = SearchField(Kind.STRING), SearchField(Kind.DATE)
FIELDS: Mapping[str, SearchField] = {
    "ID": SearchField(Kind.ID),
    "keyName": _STRING,
    "description": _STRING,
    "locale": SearchField(Kind.CHOICE, ("en-US", "ja-JP")),
    "roleID": SearchField(Kind.ID),
    "timeZone": _STRING,
    "active": SearchField(Kind.BOOLEAN),
    "created": _DATE,
    "lastSignIn": _DATE,
    "unlockTime": _DATE,
    "expiryDate": _DATE,
    "serviceAccount": SearchField(Kind.BOOLEAN),
    "unsuccessfulSignInAttempts": SearchField(Kind.NUMERIC),
    "name": _STRING,
    "role": SearchField(Kind.CHOICE, tuple(role.value for role in NUMBERS)),
    "createdBy": _STRING,
    "lastTLS": SearchField(Kind.CHOICE, tuple(version.value for version in Version)),
    "lastJA4": _STRING,
}


@router.get("")
def list_keys(asks: Asks, back: Back) -> shapes.ApiKeys:
    """API keys, without their secrets."""
    return {"apiKeys": [views.api_key(view) for view in back.services.api_keys.list(asks)]}


@router.post("")
def create_key(asks: Asks, back: Back, body: KeyBody) -> shapes.NewApiKey:
    """The secret key is in this answer and nowhere else."""
    role = body.role_name()
    if body.key_name is None or role is None:
        raise BadInput("an API key needs keyName and roleID (or name and role); nothing was made")
    made = back.services.api_keys.create(asks, body.key_name, role, body.expires_in, body.change())
    return {**views.api_key(made.view), "secretKey": made.key}


@router.post("/search")
def search_keys(asks: Asks, back: Back, body: SearchFilter | None = None) -> shapes.ApiKeys:
    """Those that pass, in the order of their IDs."""
    known = [views.api_key(view) for view in back.services.api_keys.list(asks)]
    return {"apiKeys": page(known, FIELDS, search_of(body))}


@router.get("/current")
def current_key(asks: Asks, back: Back) -> shapes.CurrentApiKey:
    """The key that asks."""
    return _current(back, back.services.api_keys.own(asks))


@router.post("/current")
def change_current_key(asks: Asks, back: Back, body: KeyBody | None = None) -> shapes.CurrentApiKey:
    """Name, description, locale and time zone; the rest is an administrator's to change."""
    return _current(back, back.services.api_keys.update_own(asks, (body or KeyBody()).change()))


@router.post("/current/secretkey")
def renew_current_key(asks: Asks, back: Back) -> shapes.RenewedApiKey:
    """A new secret for the key that asks; the one that it asked with is refused from now on."""
    made = back.services.api_keys.renew_own(asks)
    return {**_current(back, made.view), "secretKey": made.key}


@router.get("/{key}")
def get_key(asks: Asks, back: Back, key: Item) -> shapes.ApiKey:
    """One key, without its secret."""
    return views.api_key(back.services.api_keys.get(asks, key))


@router.post("/{key}")
def change_key(asks: Asks, back: Back, key: Item, body: KeyBody | None = None) -> shapes.ApiKey:
    """Changes what is said; the rest stays."""
    return views.api_key(back.services.api_keys.update(asks, key, (body or KeyBody()).change()))


@router.delete("/{key}")
def delete_key(asks: Asks, back: Back, key: Item) -> Empty:
    """The key is good for nothing from now on."""
    back.services.api_keys.delete(asks, key)
    return {}


@router.post("/{key}/secretkey")
def renew_key(asks: Asks, back: Back, key: Item) -> shapes.NewApiKey:
    """A new secret for the same key; the former one is refused from now on."""
    made = back.services.api_keys.renew(asks, key)
    return {**views.api_key(made.view), "secretKey": made.key}

"""The fields of a computer that a search may name, and a page of computers that pass one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, case, null, type_coerce

from plimsoll.manager.search import Field, Kind, Search, check
from plimsoll.manager.store.computers import ListedComputer, read_listed
from plimsoll.manager.store.search import conditions
from plimsoll.manager.store.tables import computers
from plimsoll.tls.versions import Version

_C = computers.c

#: The five words that the reference knows: `api.views` says the same of one computer.
STATUSES = ("inactive", "active", "warning", "error", "not-supported")
_STATUS = case(
    (_C.state == "revoked", "error"),
    (_C.state != "active", "warning"),
    (_C.last_seen.is_(None), "inactive"),
    (_C.online, "active"),
    else_="error",
)
#: As it is shown: who never said one has the lowest there is.
_VERSION = case((_C.version == "", "0.0.0.0"), else_=_C.version)

_STRING, _ID, _DATE, _BOOLEAN = Field(Kind.STRING), Field(Kind.ID), Field(Kind.DATE), Field(Kind.BOOLEAN)
_NUMERIC = Field(Kind.NUMERIC)
_STATUS_FIELD = Field(Kind.CHOICE, STATUSES)
_TLS = Field(Kind.CHOICE, tuple(version.value for version in Version))

_FIELDS: Mapping[str, tuple[Field, ColumnElement[Any]]] = {
    "ID": (_ID, _C.number),
    "hostGUID": (_STRING, _C.id),
    "hostName": (_STRING, _C.hostname),
    "displayName": (_STRING, _C.display_name),
    "description": (_STRING, _C.description),
    "platform": (_STRING, _C.platform),
    "architecture": (_STRING, _C.architecture),
    "lastIPUsed": (_STRING, _C.address),
    "agentVersion": (Field(Kind.VERSION), _VERSION),
    "groupID": (_ID, _C.group_id),
    "policyID": (_ID, _C.policy_id),
    "relayListID": (_ID, _C.relay_group_id),
    "lastAgentCommunication": (_DATE, _C.last_seen),
    "lastSendPolicyRequest": (_DATE, _C.policy_given_at),
    "lastSendPolicySuccess": (_DATE, _C.policy_acked_at),
    "activated": (_DATE, _C.activated),
    "certificateExpires": (_DATE, _C.certificate_expires),
    "listenPort": (_NUMERIC, _C.listen_port),
    "relayPort": (_NUMERIC, _C.relay_port),
    "online": (_BOOLEAN, _C.online),
    "agentStatus": (_STATUS_FIELD, _STATUS),
    "computerStatus/agentStatus": (_STATUS_FIELD, _STATUS),
    "computerStatus.agentStatus": (_STATUS_FIELD, _STATUS),
    "state": (Field(Kind.CHOICE, ("active", "approval", "revoked")), _C.state),
    "kind": (Field(Kind.CHOICE, ("agent", "relay", "appliance")), _C.kind),
    "tls.offered": (_TLS, type_coerce(_C.offered, Text)),
    "tls.negotiated": (_TLS, type_coerce(_C.negotiated, Text)),
    # What the reference has and no computer here: always null.
    "assetImportanceID": (_ID, null()),
}

FIELDS: Mapping[str, Field] = {name: field for name, (field, _) in _FIELDS.items()}
_COLUMNS = {name: column for name, (_, column) in _FIELDS.items()}


def find(connection: Connection, search: Search) -> list[ListedComputer]:
    """Those that pass, in the order of their numbers. Raises BadInput for criteria that do not fit."""
    check(search.criteria, FIELDS)
    tests = conditions(connection, _COLUMNS, search.criteria)
    return read_listed(connection, lambda query: query.where(*tests).order_by(_C.number).limit(search.limit))

"""Resources of the reference that are only looked at here: agent versions, certificates, usage, and what is always
empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from fastapi import APIRouter

from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.rest.reference import Item, SearchFilter, search_of
from plimsoll.manager.api.shapes import reference as shapes
from plimsoll.manager.ports import NotFound, Permission, Principal, require
from plimsoll.manager.search import Field, Kind, page

router = APIRouter(prefix="/api", tags=["reference"])

PROFILE = 1

_STRING = Field(Kind.STRING)
PROFILE_FIELDS: Mapping[str, Field] = {"ID": Field(Kind.ID), "name": _STRING, "description": _STRING}
CONTROL_FIELDS: Mapping[str, Field] = {
    "ID": Field(Kind.ID),
    "os": Field(Kind.CHOICE, ("linux", "windows")),
    "distro": _STRING,
    "platform": _STRING,
    "architecture": _STRING,
    "type": Field(Kind.CHOICE, ("latest", "latest-lts", "specified", "unknown")),
    "version": Field(Kind.VERSION),
}
CERTIFICATE_FIELDS: Mapping[str, Field] = {
    "ID": Field(Kind.ID),
    "purpose": _STRING,
    "trusted": Field(Kind.BOOLEAN),
    "certificateDetails/subject": _STRING,
    "certificateDetails/issuer": _STRING,
    "certificateDetails/validTo": Field(Kind.DATE),
}

USAGE_FIELDS: Mapping[str, Field] = {
    "ID": Field(Kind.ID),
    "who": _STRING,
    "requests": Field(Kind.NUMERIC),
    "limited": Field(Kind.NUMERIC),
    "first": Field(Kind.DATE),
    "last": Field(Kind.DATE),
}


def _profile() -> shapes.AgentVersionControlProfile:
    return {
        "ID": PROFILE,
        "name": "Default",
        "description": "the newest package that was imported for each system",
    }


def _known_profile(asks: Principal, profile: int) -> None:
    require(asks, Permission.SOFTWARE_READ)
    if profile != PROFILE:
        raise NotFound(f"there is no agent version control profile {profile}, only {PROFILE}")


def _controls(asks: Principal, back: Backend) -> list[shapes.AgentVersionControl]:
    """One for each system that there are packages for, in the order of their names."""
    found = [one for one in back.services.software.list(asks, product="agent") if one.held]
    controls: list[shapes.AgentVersionControl] = []
    found.sort(key=lambda one: (one.platform, one.architecture))
    for (platform, architecture), some in groupby(found, key=lambda one: (one.platform, one.architecture)):
        versions = [*dict.fromkeys(one.version for one in some)]
        available: list[shapes.AvailableVersion] = [
            {"version": version, "isLatest": version == versions[0], "isLatestLTS": False} for version in versions
        ]
        controls.append(
            {
                "ID": len(controls) + 1,
                "os": "windows" if platform.lower().startswith("windows") else "linux",
                "distro": platform.split("_")[0],
                "platform": platform,
                "architecture": architecture,
                "type": "latest",
                "version": versions[0],
                "availableVersions": available,
            }
        )
    return controls


@router.get("/agentversioncontrolprofiles")
def list_profiles(asks: Asks) -> shapes.AgentVersionControlProfiles:
    """The one that there is."""
    require(asks, Permission.SOFTWARE_READ)
    return {"agentVersionControlProfiles": [_profile()]}


@router.post("/agentversioncontrolprofiles/search")
def search_profiles(asks: Asks, body: SearchFilter | None = None) -> shapes.AgentVersionControlProfiles:
    """The one that there is, if it passes."""
    require(asks, Permission.SOFTWARE_READ)
    return {"agentVersionControlProfiles": page([_profile()], PROFILE_FIELDS, search_of(body))}


@router.get("/agentversioncontrolprofiles/{profile}")
def get_profile(asks: Asks, profile: Item) -> shapes.AgentVersionControlProfile:
    """The one that there is."""
    _known_profile(asks, profile)
    return _profile()


@router.get("/agentversioncontrolprofiles/{profile}/agentversioncontrols")
def list_controls(asks: Asks, back: Back, profile: Item) -> shapes.AgentVersionControls:
    """What a deployment script installs, by system."""
    _known_profile(asks, profile)
    return {"agentVersionControls": _controls(asks, back)}


@router.post("/agentversioncontrolprofiles/{profile}/agentversioncontrols/search")
def search_controls(
    asks: Asks, back: Back, profile: Item, body: SearchFilter | None = None
) -> shapes.AgentVersionControls:
    """Those that pass, in the order of their IDs."""
    _known_profile(asks, profile)
    return {"agentVersionControls": page(_controls(asks, back), CONTROL_FIELDS, search_of(body))}


@router.get("/agentversioncontrolprofiles/{profile}/agentversioncontrols/{control}")
def get_control(asks: Asks, back: Back, profile: Item, control: Item) -> shapes.AgentVersionControl:
    """One system."""
    _known_profile(asks, profile)
    found = next((one for one in _controls(asks, back) if one["ID"] == control), None)
    if found is None:
        raise NotFound(f"there is no agent version control {control}")
    return found


def _certificates(asks: Principal, back: Backend) -> list[shapes.ReferenceCertificate]:
    return [
        {
            "ID": number,
            "purpose": "gui",
            "trusted": True,
            "certificateDetails": {
                "subject": view.subject,
                "issuer": view.issuer,
                "names": list(view.names),
                "validFrom": int(view.not_before * 1000),
                "validTo": int(view.not_after * 1000),
                "fingerprint": view.fingerprint,
                "key": view.key,
            },
        }
        for number, view in enumerate(back.services.certificates.show(asks), 1)
    ]


@router.get("/certificates")
def list_certificates(asks: Asks, back: Back) -> shapes.Certificates:
    """Those that 4119 shows; `/api/manager/certificate` sets one."""
    return {"certificates": _certificates(asks, back)}


@router.post("/certificates/search")
def search_certificates(asks: Asks, back: Back, body: SearchFilter | None = None) -> shapes.Certificates:
    """Those that pass, in the order of their IDs."""
    return {"certificates": page(_certificates(asks, back), CERTIFICATE_FIELDS, search_of(body))}


@router.get("/certificates/{certificate}")
def get_certificate(asks: Asks, back: Back, certificate: Item) -> shapes.ReferenceCertificate:
    """One of them."""
    found = next((one for one in _certificates(asks, back) if one["ID"] == certificate), None)
    if found is None:
        raise NotFound(f"there is no certificate {certificate}")
    return found


@router.get("/eventbasedtasks")
def list_event_based_tasks(asks: Asks) -> shapes.EventBasedTasks:
    """There are none here."""
    require(asks, Permission.TASKS_READ)
    return {"eventBasedTasks": []}


@router.post("/eventbasedtasks/search")
def search_event_based_tasks(asks: Asks, body: SearchFilter | None = None) -> shapes.EventBasedTasks:
    """There are none here."""
    require(asks, Permission.TASKS_READ)
    return {"eventBasedTasks": []}


@router.get("/scripts")
def list_scripts(asks: Asks) -> shapes.Scripts:
    """There are none here."""
    require(asks, Permission.TASKS_READ)
    return {"scripts": []}


@router.post("/scripts/search")
def search_scripts(asks: Asks, body: SearchFilter | None = None) -> shapes.Scripts:
    """There are none here."""
    require(asks, Permission.TASKS_READ)
    return {"scripts": []}


def _usage(asks: Principal, back: Backend) -> list[shapes.ApiUsageMetric]:
    return [
        {
            "ID": number,
            "who": one.who,
            "requests": one.requests,
            "limited": one.limited,
            "first": int(one.first * 1000),
            "last": int(one.last * 1000),
        }
        for number, one in enumerate(back.services.api_usage.all(asks, back.limits.usage()), 1)
    ]


@router.get("/apiusagemetrics")
def list_usage(asks: Asks, back: Back) -> shapes.ApiUsageMetrics:
    """Who asked how often since the managers' processes began, and how often it was too often."""
    return {"apiUsageMetrics": _usage(asks, back)}


@router.post("/apiusagemetrics/search")
def search_usage(asks: Asks, back: Back, body: SearchFilter | None = None) -> shapes.ApiUsageMetrics:
    """Those that pass, in the order of their IDs."""
    return {"apiUsageMetrics": page(_usage(asks, back), USAGE_FIELDS, search_of(body))}

"""/api/agentdeploymentscripts, in the reference's shape with fields of our own, and what can be deployed at all."""

from __future__ import annotations

from typing import Any, Literal, cast

from fastapi import APIRouter
from pydantic import Field

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body, Number, known_query
from plimsoll.manager.api.rest.software import package
from plimsoll.manager.api.shapes import software as shapes
from plimsoll.manager.api.shapes.base import Refusal
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.deployable import Deployable
from plimsoll.manager.services.deployment import TOKEN_SECONDS, Script, ScriptRequest

router = APIRouter(prefix="/api/agentdeploymentscripts", tags=["deployment"])


class ScriptBody(Body):
    """The reference's fields, then ours. What is not said is its default; a number of 0 is none."""

    platform: Literal["linux", "windows", "solaris", "aix"]
    validate_certificate_required: bool = Field(default=True, alias="validateCertificateRequired")
    validate_digital_signature_required: bool = Field(default=True, alias="validateDigitalSignatureRequired")
    activation_required: bool = Field(default=False, alias="activationRequired")
    dsm_proxy: Number | None = Field(default=None, alias="dsmProxyID")
    relay_proxy: Number | None = Field(default=None, alias="relayProxyID")
    policy: Number | None = Field(default=None, alias="policyID", ge=0)
    relay_group: Number | None = Field(default=None, alias="relayGroupID", ge=0)
    computer_group: Number | None = Field(default=None, alias="computerGroupID", ge=0)
    xbc_deployment_required: bool = Field(default=False, alias="xbcDeploymentRequired")

    relay: bool = Field(default=False, description="the computers carry the relay role too")
    display_name: str = Field(default="", alias="displayName", max_length=255)
    manager: str = Field(default="", max_length=255, description="the manager's name or address for these hosts")
    trust: Literal["ca", "system", "none"] | None = Field(
        default=None, description="what of 4119 is trusted: the manager's CA, what the host trusts, anything"
    )
    ca_certificate: str = Field(
        default="", alias="caCertificate", max_length=256 * 1024, description="PEM, in its place"
    )
    token: str = Field(default="", max_length=2000, description="a token that exists; else one is made")
    token_seconds: float = Field(default=TOKEN_SECONDS, alias="tokenTTL", gt=0, description="seconds")
    token_uses: Number = Field(default=0, alias="tokenUses", ge=0, description="how many computers; 0 is any number")
    agent_version: str = Field(default="", alias="agentVersion", max_length=100)
    workaround: str = Field(default="", max_length=20, description="rpm, dpkg or windows: for hosts with old programs")
    base_url: str = Field(default="", alias="baseURL", max_length=2000, description="a workaround's web server")
    package_platform: str = Field(default="", alias="packagePlatform", max_length=100)
    package_architecture: str = Field(default="", alias="packageArchitecture", max_length=100)
    package_file: str = Field(default="", alias="packageFile", max_length=200)
    unchecked: bool = Field(default=False, description="a workaround whose package is not known here, nor checked")


@router.post(
    "",
    responses={
        409: {"model": shapes.Undeployable | Refusal, "description": "No such package can be deployed, or none is here"}
    },
)
def make(asks: Asks, back: Back, body: ScriptBody) -> shapes.Script:
    """The script is in `scriptBody`; its token is shown in this answer and nowhere else."""
    wanted = _request(body)
    script = back.services.deployment.make(asks, wanted)
    asked = body.model_dump(by_alias=True, exclude={"token", "ca_certificate"})
    return cast(shapes.Script, asked | _script(script))


@router.get("/preflight", dependencies=[known_query("version", "platform", "relay")])
def preflight(
    asks: Asks, back: Back, version: str | None = None, platform: str | None = None, relay: bool = False
) -> shapes.Deployables:
    """Which packages can be deployed under the floors of now, and what stands in the way of the others (R20)."""
    found = back.services.deployment.preflight(asks, version=version, platform=platform, relay=relay)
    return {"packages": [_deployable(one) for one in found]}


def _request(body: ScriptBody) -> ScriptRequest:
    if body.platform not in ("linux", "windows"):
        raise BadInput(f"there is no agent for {body.platform}; no script was made")
    if body.dsm_proxy or body.relay_proxy:
        raise BadInput("proxies have no numbers here: scripts use the host's own https_proxy; no script was made")
    if body.xbc_deployment_required:
        raise BadInput("there is no such sensor here (xbcDeploymentRequired); no script was made")
    verify = body.trust
    if not body.validate_certificate_required:
        if verify not in (None, "none") or body.ca_certificate:
            raise BadInput("validateCertificateRequired is false, and yet it says what to trust; no script was made")
        verify = "none"
    return ScriptRequest(
        system="windows" if body.platform == "windows" else "linux",
        workaround=body.workaround,
        base_url=body.base_url,
        file=body.package_file,
        platform=body.package_platform,
        architecture=body.package_architecture,
        version=body.agent_version,
        unchecked=body.unchecked,
        activate=body.activation_required,
        relay=body.relay,
        policy=str(body.policy or ""),
        group=str(body.computer_group or ""),
        relay_group=str(body.relay_group or ""),
        display_name=body.display_name,
        manager=body.manager,
        verify=verify,
        ca=body.ca_certificate,
        token=body.token,
        token_seconds=body.token_seconds,
        token_uses=body.token_uses or None,
    )


def _script(script: Script) -> dict[str, Any]:
    return {
        "scriptBody": script.text,
        "fileName": script.name,
        "packages": [package(one) for one in script.packages],
        "notes": list(script.notes),
        "tokenID": script.token_id or None,
        "tokenExpires": script.token_expires,
    }


def _deployable(one: Deployable) -> shapes.Deployable:
    return {
        "package": package(one.package),
        "speaks": one.speaks.value,
        "deployable": not one.obstacles,
        "obstacles": views.obstacles(one.obstacles),
    }

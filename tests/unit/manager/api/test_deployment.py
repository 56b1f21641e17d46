"""/api/agentdeploymentscripts in the reference's shape, and /software for hosts that belong to nobody yet."""

from __future__ import annotations

import asyncio
import base64
import hashlib

import httpx
import pytest
from tests.support.homes import ROOT
from tests.support.releases import Publisher
from tests.unit.manager.api.conftest import Made

from plimsoll.manager.api import downloads
from plimsoll.manager.api.serve import App, Message, Receive, Scope, Send

CONTENT = bytes(range(256)) * 3000
OLD = b"an old package"


@pytest.fixture(scope="module", autouse=True)
def publisher(made: Made) -> Publisher:
    publisher = Publisher().trusted_by(made.backend.services)
    publisher.import_into(made.backend.services, CONTENT, version="12.1.0", platform="Debian_12", file="a-12.1.0.deb")
    publisher.import_into(made.backend.services, OLD, version="9.6.2", platform="RedHat_EL6", file="a-9.6.2.rpm")
    return publisher


@pytest.mark.rule("R21")
def test_the_references_body_gives_a_script_body(made: Made) -> None:
    body = {
        "platform": "linux", "validateCertificateRequired": True, "validateDigitalSignatureRequired": True,
        "activationRequired": True, "dsmProxyID": 0, "relayProxyID": 0, "policyID": 1, "relayGroupID": 1,
        "computerGroupID": 0, "xbcDeploymentRequired": False,
    }  # fmt: skip
    answer = made.remote(made.init.api_key).post("/api/agentdeploymentscripts", body)
    assert {name: answer[name] for name in body} == body
    assert answer["scriptBody"].startswith("#!/bin/sh\n")
    assert "POLICY='1'" in answer["scriptBody"]
    assert answer["packages"][0]["version"] == "12.1.0"
    assert answer["tokenID"] in answer["scriptBody"]
    plain = made.local().post("/api/agentdeploymentscripts", {"platform": "linux"})
    assert "TOKEN=''" in plain["scriptBody"]
    assert plain["tokenID"] is None
    insecure = made.local().post(
        "/api/agentdeploymentscripts", {"platform": "linux", "validateCertificateRequired": False}
    )
    assert "VERIFY='none'" in insecure["scriptBody"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "platform"),
        ({"platform": "aix"}, 400, "there is no agent for aix"),
        ({"platform": "linux", "dsmProxyID": 3}, 400, "proxies have no numbers here"),
        ({"platform": "linux", "xbcDeploymentRequired": True}, 400, "no such sensor"),
        ({"platform": "linux", "colour": "red"}, 400, "colour"),
        ({"platform": "linux", "validateCertificateRequired": False, "trust": "ca"}, 400, "and yet"),
        ({"platform": "linux", "policyID": 99}, 404, "there is no policy"),
        ({"platform": "windows"}, 404, "no agent package"),
    ],
)
def test_a_wrong_body_says_what_is_wrong(made: Made, body: dict[str, object], status: int, said: str) -> None:
    answer = made.local().post("/api/agentdeploymentscripts", body, expect=status)
    assert said in answer["message"]


def test_who_may_make_scripts(made: Made) -> None:
    made.remote().post("/api/agentdeploymentscripts", {"platform": "linux"}, expect=401)
    key = made.backend.services.api_keys.create(ROOT, "auditor", "auditor").key
    made.remote(key).post("/api/agentdeploymentscripts", {"platform": "linux"}, expect=403)
    assert made.remote(key).get("/api/agentdeploymentscripts/preflight")["packages"]


@pytest.mark.rule("R20")
def test_an_old_agent_is_named_with_the_floors_that_it_cannot_come_over(made: Made) -> None:
    answer = made.local().post(
        "/api/agentdeploymentscripts", {"platform": "linux", "agentVersion": "9.6.2"}, expect=409
    )
    assert "agent 9.6.2 for RedHat_EL6 x86_64 speaks TLSv1 at most" in answer["message"]
    assert answer["obstacles"][0] == {
        "package": "agent 9.6.2 for RedHat_EL6 x86_64", "point": "heartbeat", "port": 4120, "floor": "TLSv1.2",
        "speaks": "TLSv1",
    }  # fmt: skip
    listed = made.local().get("/api/agentdeploymentscripts/preflight", version="9.6.2")["packages"]
    assert [(one["package"]["version"], one["deployable"], len(one["obstacles"])) for one in listed] == [
        ("9.6.2", False, 3)
    ]
    refused = made.remote().request("GET", "/software/agent/RedHat_EL6/x86_64/9.6.2/agent.rpm")
    assert refused.status_code == 409
    assert refused.headers["content-type"].startswith("text/plain")
    assert refused.text.startswith("agent 9.6.2 for RedHat_EL6 x86_64")
    assert OLD not in refused.content


@pytest.mark.rule("R21")
@pytest.mark.parametrize(
    "path",
    [
        "/software/agent/Debian_12/x86_64/12.1.0/agent.deb?tenantID=",
        "/software/agent/Debian_12/x86_64/12.1.0/a-12.1.0.deb",
        "/software/agent/Debian_12/x86_64/latest/agent.deb",
        "/software/agent/Debian_12/x86_64/agent.deb?tenantID=1&windowsVersion=6",
        "/software/agent/Debian_12/x86_64/",
        "/software/agent/Debian_12/x86_64",
    ],
)
def test_a_host_without_credentials_downloads_with_the_digest_at_hand(made: Made, path: str) -> None:
    got = made.remote().request("GET", path, headers={"Agent-Version-Control": "on"})
    assert got.status_code == 200, got.text
    assert got.content == CONTENT
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    assert got.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert got.headers["etag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert got.headers["agent-version"] == "12.1.0"


def test_a_download_goes_on_where_it_was_broken_off(made: Made) -> None:
    path = "/software/agent/Debian_12/x86_64/12.1.0/agent.deb"
    head = made.remote().request("HEAD", path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(CONTENT)))
    part = made.remote().request("GET", path, headers={"range": "bytes=1000-", "if-range": head.headers["etag"]})
    assert (part.status_code, part.content) == (206, CONTENT[1000:])
    other = made.remote().request("GET", path, headers={"range": "bytes=1000-", "if-range": '"another"'})
    assert (other.status_code, other.content) == (200, CONTENT)
    beyond = made.remote().request("GET", path, headers={"range": f"bytes={len(CONTENT)}-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/software/agent/Debian_12/x86_64/12.1.0/agent.exe", 400),
        ("/software/agent/Debian_12/x86_64/..%2f..%2fca.key", 404),
        ("/software/agent/Plan9_4/x86_64/agent.deb", 404),
        ("/software/agent/Debian_12/sparc/agent.deb", 404),
        ("/software/agent/Debian_12/x86_64/new/agent.deb", 400),
        ("/software/other", 404),
    ],
)
def test_what_is_not_there_is_said_in_plain_text(made: Made, path: str, status: int) -> None:
    got = made.remote().request("GET", path)
    assert got.status_code == status
    assert b"PRIVATE" not in got.content


def test_the_platform_detection_is_a_script(made: Made) -> None:
    got = made.remote().request("GET", "/software/deploymentscript/platform/linuxdetectscriptv1/")
    assert got.status_code == 200
    assert "platform_detect() {" in got.text


def test_one_address_takes_no_more_than_its_share(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MOST_OF_ONE", 2)
    path = "/software/agent/Debian_12/x86_64/12.1.0/agent.deb"
    made.backend.downloads["127.0.0.1"] = 2
    made.backend.downloads[made.remote().connection.address] = 2  # type: ignore[union-attr]  # it has one
    busy = made.remote().request("GET", path)
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "10")
    assert made.local().request("GET", path).status_code == 200
    made.backend.downloads.clear()
    assert made.remote().request("GET", path).status_code == 200
    assert made.backend.downloads == {}


def test_a_download_that_breaks_off_counts_no_longer(made: Made) -> None:
    async def leave() -> None:
        transport = httpx.ASGITransport(_breaking(made.app))
        async with httpx.AsyncClient(transport=transport, base_url="https://manager") as client:
            with pytest.raises(ConnectionError):
                await client.get("/software/agent/Debian_12/x86_64/12.1.0/agent.deb")

    asyncio.run(leave())
    assert made.backend.downloads == {}


def _breaking(app: App) -> App:
    """An application whose peer goes away in the middle of an answer."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def broken(message: Message) -> None:
            if message["type"] == "http.response.body":
                raise ConnectionError
            await send(message)

        scope["state"] = {"peer_uid": 1000}
        await app(scope, receive, broken)

    return run

"""/software on 4119: packages and the platform detection, for hosts that belong to nobody yet.

Whoever reaches 4119 may download, as in the reference: a host that is being deployed has no credential, and a package
holds no secret (a script does). What an unknown client can cost is bounded: files are streamed, so many at once for one
address and for all, and the rest is told when to come again. Errors are plain text, which a script prints as it is.
"""

from __future__ import annotations

import base64
from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from plimsoll.manager.api.auth import Back, connection_of
from plimsoll.manager.ports import ServiceError
from plimsoll.manager.services.software import SoftwareView

router = APIRouter(prefix="/software", include_in_schema=False)

#: Downloads at once: of one address (a site behind NAT has one), and of all.
MOST_OF_ONE = 32
MOST = 256
#: Seconds that a download may go on when a floor is raised above its connection.
DOWNLOAD_GRACE = 60.0
#: Seconds after which a client that was one too many may come again.
RETRY_AFTER = 10


class Download(FileResponse):
    """A package; it counts as a download for as long as it is sent."""

    chunk_size = 256 * 1024

    def __init__(self, path: str, one: SoftwareView, running: Counter[str], address: str) -> None:
        digest = base64.b64encode(bytes.fromhex(one.sha256)).decode()
        headers = {
            # RFC 9530: of the whole file, also where a part of it is sent.
            "repr-digest": f"sha-256=:{digest}:",
            "etag": f'"{one.sha256}"',
            "agent-version": one.version,
            "cache-control": "no-cache",
        }
        super().__init__(path, media_type="application/octet-stream", filename=one.file, headers=headers)
        self._running = running
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._running[self._address] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._running[self._address] -= 1
            if not self._running[self._address]:
                del self._running[self._address]


@router.get("/deploymentscript/platform/linuxdetectscriptv1")
@router.get("/deploymentscript/platform/linuxdetectscriptv1/")
def detection(back: Back) -> Response:
    """What the reference's scripts source before they download: defines `platform_detect`."""
    return PlainTextResponse(back.services.deployment.detection(), headers={"cache-control": "no-cache"})


@router.api_route("/agent/{platform}/{architecture}", methods=["GET", "HEAD"])
@router.api_route("/agent/{platform}/{architecture}/", methods=["GET", "HEAD"])
async def older_form(request: Request, back: Back, platform: str, architecture: str) -> Response:
    """The newest package for a system, as scripts before 11.1 asked for it."""
    return await _package(request, back, platform, architecture, "", "", controlled=True)


@router.api_route("/agent/{platform}/{architecture}/{file}", methods=["GET", "HEAD"])
async def newest(
    request: Request,
    back: Back,
    platform: str,
    architecture: str,
    file: str,
    control: Annotated[str, Header(alias="agent-version-control")] = "",
) -> Response:
    """The newest package for a system: with `Agent-Version-Control: on` the newest that can be deployed."""
    return await _package(request, back, platform, architecture, "", file, controlled=control.lower() == "on")


@router.api_route("/agent/{platform}/{architecture}/{version}/{file}", methods=["GET", "HEAD"])
async def one_version(
    request: Request, back: Back, platform: str, architecture: str, version: str, file: str
) -> Response:
    """The package of that version; of the file's name only the ending counts. The query is not used."""
    return await _package(request, back, platform, architecture, version, file, controlled=False)


async def _package(
    request: Request, back: Back, platform: str, architecture: str, version: str, file: str, *, controlled: bool
) -> Response:
    connection = connection_of(request)
    address = "" if connection is None else connection.address
    running = back.downloads
    if running[address] >= MOST_OF_ONE or running.total() >= MOST:
        return _busy()
    try:
        one, path = await run_in_threadpool(
            lambda: back.services.deployment.find(platform, architecture, version, file, address, controlled=controlled)
        )
    except ServiceError as error:
        return PlainTextResponse(f"{error.message}\n", status_code=error.status)
    if connection is not None:
        # A raised floor lets a download that it would no longer admit come to its end.
        connection.grace = DOWNLOAD_GRACE
    return Download(str(path), one, running, address)


def _busy() -> Response:
    text = f"too many downloads at once; come again in {RETRY_AFTER} s\n"
    return PlainTextResponse(text, status_code=503, headers={"retry-after": str(RETRY_AFTER)})

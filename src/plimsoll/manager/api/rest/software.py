"""/api/software: packages and the release keys that vouch for them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import os
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import FileResponse, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body, Number, known_query
from plimsoll.manager.api.shapes import software as shapes
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.release_keys import ReleaseKeyView
from plimsoll.manager.services.software import PIECE, Import, Imported, SoftwareView
from plimsoll.manager.software.roots import RootView

router = APIRouter(prefix="/api/software", tags=["software"])

#: The release signature of the file in the body, in base64: the text beside the file as it is.
SIGNATURE = "release-signature"
#: A body that is a file, for the description.
_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class TrustBody(Body):
    text: str = Field(max_length=64 * 1024, description="a public key in PEM, or a statement signed by a trusted key")
    name: str = Field(default="", max_length=100)


class NextRootBody(Body):
    add: list[str] = Field(default_factory=list, max_length=16, description="public keys in PEM")
    remove: list[str] = Field(default_factory=list, max_length=16)
    threshold: Number | None = None
    days: Number = 365
    rotate: list[str] = Field(default_factory=list)


class RootBody(Body):
    text: str = Field(max_length=512 * 1024)


class CheckBody(Body):
    signature: str = Field(max_length=64 * 1024, description="the text of FILE.sig")


@router.get("", dependencies=[known_query("product", "platform", "architecture", "version")])
def list_software(
    asks: Asks,
    back: Back,
    product: str | None = None,
    platform: str | None = None,
    architecture: str | None = None,
    version: str | None = None,
) -> shapes.Software:
    """Packages, by any of these."""
    found = back.services.software.list(
        asks, product=product, platform=platform, architecture=architecture, version=version
    )
    return {"software": [package(one) for one in found]}


@router.post("/check")
def check(asks: Asks, back: Back, body: CheckBody) -> shapes.Checked:
    """Would the file of this signature be taken? Answered before its bytes are sent."""
    known = back.services.software.check(asks, body.signature)
    return {"known": None if known is None else package(known)}


@router.post("", openapi_extra=_FILE)
async def import_software(
    request: Request,
    asks: Asks,
    back: Back,
    signature: Annotated[str, Header(alias=SIGNATURE)] = "",
) -> shapes.Imported:
    """The file is the body, as ``application/octet-stream``; it is never whole in memory."""
    made = await run_in_threadpool(back.services.software.begin, asks, _decoded(signature))
    if made.known is not None:
        return _imported(Imported(made.known, new=False))
    try:
        await _pour(request, made)
        return _imported(await run_in_threadpool(made.finish))
    finally:
        await run_in_threadpool(made.abandon)


async def _pour(request: Request, made: Import) -> None:
    """The body into the import, in pieces that are worth a thread's while."""
    waiting = bytearray()
    async for chunk in request.stream():
        waiting += chunk
        if len(waiting) >= PIECE:
            await run_in_threadpool(made.write, bytes(waiting))
            waiting.clear()
    await run_in_threadpool(made.write, bytes(waiting))


@router.post("/bundles", openapi_extra=_FILE)
async def import_bundle(request: Request, asks: Asks, back: Back) -> shapes.ImportedBundle:
    """Every package of the bundle in the body that is not here yet; it carries its own signatures."""
    reading, writing = os.pipe()

    def take() -> tuple[Imported, ...]:
        with os.fdopen(reading, "rb") as stream:
            return back.services.software_bundles.take(asks, stream, origin="upload of a bundle")

    async def pour() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as out:
            async for chunk in request.stream():
                await run_in_threadpool(out.write, chunk)

    # Not one of the threads that write: all of them could come to wait for one that reads.
    taking = asyncio.create_task(asyncio.to_thread(take))
    try:
        # Its end closes the pipe: a sender who leaves is a bundle that was cut off.
        await pour()
    finally:
        found = await taking
    return {"software": [_imported(one) for one in found]}


@router.get("/newest", dependencies=[known_query("platform", "architecture", "product", "version", "atMost")])
def newest(
    asks: Asks,
    back: Back,
    platform: str,
    architecture: str,
    product: str = "agent",
    version: str | None = None,
    atMost: str | None = None,  # noqa: N803 - the query's own spelling
) -> shapes.Package:
    """The newest package for a system."""
    found = back.services.software.newest(
        asks, platform, architecture, product=product, version=version, at_most=atMost
    )
    return package(found)


@router.get("/keys")
def keys(asks: Asks, back: Back) -> shapes.ReleaseKeys:
    """Release keys that are trusted."""
    service = back.services.release_keys
    return {"keys": [_key(one) for one in service.list(asks)], "statement": service.statement(asks)}


@router.post("/keys")
def trust(asks: Asks, back: Back, body: TrustBody) -> shapes.ReleaseKeys:
    """Trusts a release key: the first by hand, others by a statement of one that is trusted."""
    back.services.release_keys.trust(asks, body.text, body.name)
    return keys(asks, back)


@router.get("/metadata")
def metadata(asks: Asks, back: Back) -> shapes.Metadata:
    """The signed metadata's roles, and when they expire."""
    view = back.services.software_metadata.show(asks)
    return {
        "roles": [
            {
                "role": one.role,
                "version": one.version,
                "expires": one.expires,
                "keys": list(one.keys),
                "threshold": one.threshold,
                "here": one.here,
            }
            for one in view.roles
        ],
        "packages": view.packages,
        "problem": view.problem,
    }


@router.get("/root")
def root(asks: Asks, back: Back) -> shapes.RootText:
    """The root metadata as it is signed."""
    return {"text": back.services.software_metadata.root_text(asks).decode()}


@router.post("/root/next")
def next_root(asks: Asks, back: Back, body: NextRootBody) -> shapes.NextRoot:
    """What is to be signed by the root keys; nothing changes until it comes back."""
    text, view = back.services.software_metadata.next_root(
        asks, add=body.add, remove=body.remove, threshold=body.threshold, days=body.days, rotate=body.rotate
    )
    return {"text": text.decode(), **_root(view)}


@router.post("/root")
def take_root(asks: Asks, back: Back, body: RootBody) -> shapes.Root:
    """Takes a root that was signed by the root keys."""
    return _root(back.services.software_metadata.take_root(asks, body.text.encode()))


@router.get("/{software}")
def get_software(asks: Asks, back: Back, software: Number) -> shapes.Package:
    """One package."""
    return package(back.services.software.get(asks, software))


@router.get(
    "/{software}/file",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
def get_file(asks: Asks, back: Back, software: Number) -> Response:
    """Its file."""
    one = back.services.software.get(asks, software)
    path = back.services.software.path(asks, software)
    return FileResponse(path, media_type="application/octet-stream", filename=one.file)


@router.delete("/{software}")
def delete_software(asks: Asks, back: Back, software: Number) -> shapes.Package:
    """Forgets a package, and deletes its file."""
    return package(back.services.software.delete(asks, software))


def package(one: SoftwareView) -> shapes.Package:
    return {
        "id": one.id,
        "product": one.product,
        "version": one.version,
        "platform": one.platform,
        "architecture": one.architecture,
        "file": one.file,
        "length": one.length,
        "sha256": one.sha256,
        "target": one.target,
        "key": one.key,
        "signature": one.signature,
        "imported": one.imported,
        "who": one.who,
        "origin": one.origin,
        "held": one.held,
    }


def _imported(imported: Imported) -> shapes.Imported:
    return {**package(imported.package), "new": imported.new}


def _key(one: ReleaseKeyView) -> shapes.ReleaseKey:
    return {"id": one.id, "name": one.name, "pem": one.pem, "number": one.number, "since": one.since, "who": one.who}


def _root(view: RootView) -> shapes.Root:
    return {
        "version": view.version,
        "expires": view.expires,
        "threshold": view.threshold,
        "keys": {role: list(keys) for role, keys in view.keys.items()},
        "signed": list(view.signed),
        "missing": list(view.missing),
    }


def _decoded(signature: str) -> str:
    try:
        return base64.b64decode(signature, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise BadInput(f"the header {SIGNATURE} is the text of FILE.sig in base64; nothing was kept") from None

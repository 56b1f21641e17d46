"""Administration > Certificates: what 4119 shows, and the manager's CA with its rotation."""

from __future__ import annotations

import urllib.parse
from typing import Annotated

from fastapi import Form, Query, Request, UploadFile
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from plimsoll.fleet.ca_rotation import Stand
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.ca import RotateRequest
from plimsoll.manager.web import fields
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page

router = console_router()

PATH = "/administration/certificates"
CA = f"{PATH}/ca"
ROWS = 200

Text = Annotated[str, Form(max_length=256 * 1024)]
Word = Annotated[str, Form(max_length=1000)]
Reason = Annotated[str, Form(max_length=500)]


@router.get(PATH)
def certificates(request: Request, asks: Asks, back: Back) -> Response:
    return page(request, "certificates/page.html", asks, certificates=back.services.certificates.show(asks))


@router.post(f"{PATH}/request")
def csr(
    request: Request, asks: Signed, back: Back, subject: Word = "", names: Word = "", key_type: Word = "ecdsa"
) -> Response:
    """A new key stays in the home; its request stands on the page that answers."""
    pem = back.services.certificates.csr(asks, subject, fields.lines(names), key_type)
    return page(request, "certificates/request.html", asks, pem=pem.decode())


@router.post(PATH)
async def set_certificate(
    request: Request,
    asks: Signed,
    back: Back,
    certificate: Text = "",
    key: Text = "",
    passphrase: Word = "",
    certificate_file: UploadFile | str = "",
    key_file: UploadFile | str = "",
) -> Response:
    """Pasted or uploaded. What does not fit is refused, and the one in use stays."""
    chain = await _given(certificate, certificate_file, "the certificate")
    own_key = await _given(key, key_file, "the key")
    if not chain:
        raise BadInput("paste a certificate in PEM, or choose its file; nothing was changed")
    shown = await run_in_threadpool(back.services.certificates.set, asks, chain, own_key or None, passphrase or None)
    await run_in_threadpool(back.live.reload_certificates)
    return done(request, PATH, f"4119 shows {shown[0].subject} from the next connection on.")


async def _given(text: str, file: UploadFile | str, what: str) -> bytes:
    sent = b"" if isinstance(file, str) else await file.read(256 * 1024 + 1)
    if text.strip() and sent:
        raise BadInput(f"{what} was pasted and uploaded: one of the two; nothing was changed")
    if len(sent) > 256 * 1024:
        raise BadInput(f"{what} is larger than 256 KiB; nothing was changed")
    return sent or text.strip().encode()


# -- the CA


@router.get(CA)
def ca(
    request: Request,
    asks: Asks,
    back: Back,
    state: Annotated[str, Query(max_length=20)] = "",
    after: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """The rotation and how far each computer is with it."""
    found = back.services.ca.show(asks)
    open_ = found.rotation is not None and found.rotation.ended is None
    members = (
        back.services.ca.computers(asks, stand=state or None, after=after or None, limit=ROWS + 1) if open_ else ()
    )
    query = {"state": state, "after": members[ROWS - 1].computer} if len(members) > ROWS else {}
    return page(
        request,
        "certificates/ca.html",
        asks,
        ca=found,
        open=open_,
        members=members[:ROWS],
        stands=[one.value for one in Stand],
        state=state,
        after=after,
        older=f"{CA}?{urllib.parse.urlencode(query)}" if query else "",
        here=CA + (f"?{urllib.parse.urlencode({'state': state, 'after': after})}" if state or after else ""),
    )


@router.post(f"{CA}/rotate")
def rotate(
    request: Request,
    asks: Signed,
    back: Back,
    by_itself: Annotated[str, Form(max_length=1)] = "",
    soak: Word = "10 min",
    leave_behind: Reason = "",
) -> Response:
    wanted = RotateRequest(bool(by_itself), fields.length(soak, "the soak time", "min"), leave_behind)
    back.services.ca.rotate(asks, wanted)
    return done(request, CA, "A new CA was made and is announced; it issues once all computers trust it.")


@router.post(f"{CA}/switch")
def switch(request: Request, asks: Signed, back: Back, leave_behind: Reason = "") -> Response:
    back.services.ca.switch(asks, leave_behind)
    return done(request, CA, "The new CA issues from now on; both are trusted.")


@router.post(f"{CA}/retire")
def retire(request: Request, asks: Signed, back: Back, leave_behind: Reason = "") -> Response:
    back.services.ca.retire(asks, leave_behind)
    return done(request, CA, "The old CA is trusted no more.")


@router.post(f"{CA}/back")
def go_back(request: Request, asks: Signed, back: Back, leave_behind: Reason = "") -> Response:
    back.services.ca.back(asks, leave_behind)
    return done(request, CA, "The old CA issues again.")

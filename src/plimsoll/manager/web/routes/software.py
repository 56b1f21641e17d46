"""Administration > Updates > Software: packages, release keys, and the state of the signed metadata."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Path, Query, Request
from starlette.responses import Response

from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page

router = console_router()

PATH = "/administration/updates/software"

Word = Annotated[str, Query(max_length=100)]


@router.get(PATH)
def software(request: Request, asks: Asks, back: Back, product: Word = "", platform: Word = "") -> Response:
    service = back.services.software
    everything = service.list(asks)
    found = [one for one in everything if product in ("", one.product) and platform in ("", one.platform)]
    return page(
        request,
        "software/page.html",
        asks,
        packages=found,
        everything=len(everything),
        products=sorted({one.product for one in everything}),
        platforms=sorted({one.platform for one in everything}),
        product=product,
        platform=platform,
        size=sum(one.length for one in found),
        keys=back.services.release_keys.list(asks),
        metadata=back.services.software_metadata.show(asks),
    )


@router.post(f"{PATH}/keys")
def trust(
    request: Request,
    asks: Signed,
    back: Back,
    text: Annotated[str, Form(max_length=64 * 1024)],
    name: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """A first key, or the next statement signed by one that is trusted."""
    back.services.release_keys.trust(asks, text, name)
    return done(request, PATH, "That release key is trusted from now on.")


@router.post(f"{PATH}/{{software}}/delete")
def delete(request: Request, asks: Signed, back: Back, software: Annotated[int, Path(ge=0, le=2**53)]) -> Response:
    gone = back.services.software.delete(asks, software)
    return done(request, PATH, f"{gone.file} is no longer offered.")

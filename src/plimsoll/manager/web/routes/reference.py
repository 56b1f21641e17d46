"""The description of REST for people, and the console's own files."""

from __future__ import annotations

from typing import cast

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from plimsoll.manager.api.description import ABOUT
from plimsoll.manager.api.reference import sections
from plimsoll.manager.ports import NotFound
from plimsoll.manager.web.frame import HERE, console_router, static_path, templates

router = console_router()

#: What may be asked for: names and types. Nothing else of the folder is served.
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOLDER = HERE / "static"


@router.get("/api/docs")
async def rest_reference(request: Request) -> Response:
    """It says nothing of this fleet, and so asks nobody who he is."""
    return HTMLResponse(await run_in_threadpool(_reference, cast(FastAPI, request.app)))


def _reference(app: FastAPI) -> str:
    state = app.state
    if not hasattr(state, "reference"):
        state.reference = (
            templates().get_template("reference.html").render(sections=sections(app.openapi()), about=ABOUT)
        )
    return str(state.reference)


@router.get("/static/{name:path}")
def file(name: str) -> Response:
    path = _FOLDER / name
    kind = _TYPES.get(path.suffix)
    if kind is None or ".." in path.parts or not path.is_file():
        raise NotFound("there is no such file")
    # The address carries a digest of the content (`static_path`).
    return FileResponse(path, media_type=kind, headers={"cache-control": "public, max-age=31536000, immutable"})


@router.get("/favicon.ico")
async def icon() -> Response:
    return RedirectResponse(static_path("mark.svg"), status_code=307)

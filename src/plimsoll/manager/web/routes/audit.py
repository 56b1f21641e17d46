"""Administration > Audit trail: every change with who, from where, what, before and after."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from plimsoll.manager.web.frame import Asks, Back, console_router, page

router = console_router()

ROWS = 100
PATH = "/administration/audit"


@router.get(PATH)
def audit(
    request: Request, asks: Asks, back: Back, before: Annotated[int | None, Query(ge=0, le=2**62)] = None
) -> Response:
    found = back.services.access.audit(asks, limit=ROWS + 1, before=before)
    return page(
        request,
        "audit/list.html",
        asks,
        entries=[(one, _differences(one.before, one.after)) for one in found[:ROWS]],
        older=f"{PATH}?before={found[ROWS - 1].id}" if len(found) > ROWS else "",
        older_than=before,
    )


def _differences(before: Any, after: Any) -> list[tuple[str, str, str]]:
    """What changed: name, before, after. A value that is no object has no name."""
    if isinstance(before, dict) or isinstance(after, dict):
        earlier, later = _fields(before), _fields(after)
        return [
            (name, _text(earlier.get(name)), _text(later.get(name)))
            for name in dict.fromkeys([*earlier, *later])
            if earlier.get(name) != later.get(name)
        ]
    return [] if before is None and after is None else [("", _text(before), _text(after))]


def _fields(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    return {} if value is None else {"": value}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

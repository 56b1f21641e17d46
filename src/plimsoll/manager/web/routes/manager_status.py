"""Administration > Manager: release, ports, connections, the database and what encrypts the way there (R4), and the
managers that share it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page
from plimsoll.tls.floors import Point

router = console_router()

PATH = "/administration/manager"

Address = Annotated[str, Form(min_length=1, max_length=1000)]


@router.get(PATH)
def manager(request: Request, asks: Asks, back: Back) -> Response:
    status = back.live.status()
    ports, connections = status.get("ports", {}), status.get("connections", {})
    return page(
        request,
        "manager/page.html",
        asks,
        running=status,
        installation=back.installation,
        points=[(point, ports[point.value], connections.get(point.value)) for point in Point if point.value in ports],
        serves={point: list(served) for point, served in back.live.serves().items()},
        database=back.services.database.show(asks),
        checks=back.services.database.checks(asks),
        nodes=back.services.nodes.list(asks),
        file=back.services.floors.file(asks),
        metadata=back.services.software_metadata.show(asks),
    )


@router.post(f"{PATH}/nodes/{{node}}/forget")
def forget_node(request: Request, asks: Signed, back: Back, node: str) -> Response:
    back.services.nodes.forget(asks, node)
    return done(request, PATH, "That manager is off the list.")


@router.post(f"{PATH}/database-checks")
def check(request: Request, asks: Signed, back: Back, address: Address) -> Response:
    found = back.services.database.check(asks, address)
    return done(request, PATH, f"{found.address}: {found.text}")


@router.post(f"{PATH}/database-checks/forget")
def forget(request: Request, asks: Signed, back: Back, address: Address) -> Response:
    back.services.database.forget(asks, address)
    return done(request, PATH, f"{address} is not asked for any more.")

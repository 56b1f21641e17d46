"""What the first request after a start would otherwise wait for: routes, which the framework builds when they are first
asked, all of them and in the loop's own thread, and the templates of screens, which are compiled then.

Compiled templates are not kept on disk: whoever could write there could run code in the manager.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from jinja2 import Environment, TemplateError
from starlette.routing import BaseRoute

from plimsoll.manager.web.frame import templates

log = logging.getLogger(__name__)

#: What the first screens after a start are made of.
FIRST = ("base.html", "console.html", "sign_in.html", "dashboard/", "parts/")
#: Seconds between two pieces, so that heartbeats do not notice.
_REST = 0.01
#: Seconds before the first piece, which together take two seconds of a core: the first after a start belong to the
#: agents that waited for it.
_AFTER = 30.0


async def warm_up(routes: Sequence[BaseRoute], after: float = _AFTER) -> None:
    """Both, piece by piece in a thread, from `after` seconds on. `routes` are those of the application."""
    await asyncio.sleep(after)
    await build_routes(routes)
    await compile_all(await asyncio.to_thread(templates))


async def build_routes(routes: Sequence[BaseRoute], rest: float = _REST) -> None:
    """Asks each for a path that none of them has, with `rest` seconds after it."""
    for route in routes:
        scope = {"type": "http", "method": "GET", "path": "/\0", "root_path": "", "headers": []}
        await asyncio.to_thread(route.matches, scope)
        await asyncio.sleep(rest)


async def compile_all(environment: Environment, rest: float = _REST) -> None:
    """Each template once, with `rest` seconds after it. One that is broken is told and left out."""
    for name in sorted(environment.list_templates(), key=lambda one: not one.startswith(FIRST)):
        try:
            await asyncio.to_thread(environment.get_template, name)
        except TemplateError as error:
            log.error("the screen %s cannot be shown: %s", name, error)
        await asyncio.sleep(rest)

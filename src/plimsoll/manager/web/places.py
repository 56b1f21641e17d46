"""Which screens there are: a link leads to the best of several that is there, or nowhere is a link."""

from __future__ import annotations

from fastapi import Request
from starlette.routing import Match


class Places:
    """Asked for one request. The answer is the same for all of an application, and kept there."""

    def __init__(self, request: Request) -> None:
        self._app = request.app
        if not hasattr(request.app.state, "places"):
            request.app.state.places = {}
        self._known: dict[str, bool] = request.app.state.places

    def first(self, *paths: str) -> str:
        """The first of these addresses that is a screen, with its query; empty where none is."""
        return next((path for path in paths if self._there(path.partition("?")[0])), "")

    def _there(self, path: str) -> bool:
        # Numbers of things must not fill it.
        key = "/".join("1" if step.isdecimal() else step for step in path.split("/"))
        if key not in self._known:
            scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
            self._known[key] = any(route.matches(scope)[0] is Match.FULL for route in self._app.routes)
        return self._known[key]

"""An HTTP client of the manager's application without sockets: as the local socket, or as a peer of the gate."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from tests.unit.manager.fakes import FakeConnection

from plimsoll.manager.api.serve import App, Receive, Scope, Send


class GateConnection(FakeConnection):
    """What routes may do with a connection that came through the gate."""

    grace: float = 10.0


class Client:
    """Synchronous; each request runs a loop of its own. `connection` None means the local socket of uid 1000."""

    def __init__(self, app: App, connection: GateConnection | None = None, headers: dict[str, str] | None = None):
        self._app = app
        self.connection = connection
        self.headers = headers or {}
        self.cookies: dict[str, str] = {}

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._with_state, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="https://manager", headers=self.headers, cookies=self.cookies
            ) as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path: str, expect: int = 200, **query: Any) -> Any:
        answer = self.request("GET", path, params=query)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, expect: int = 200) -> Any:
        answer = self.request("POST", path, json=body)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def delete(self, path: str, expect: int = 200) -> Any:
        response = self.request("DELETE", path)
        assert response.status_code == expect, response.text
        return response.json()

    async def _with_state(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["state"] = {"peer_uid": 1000} if self.connection is None else {"connection": self.connection}
        await self._app(scope, receive, send)

"""What every request on 4119 passes first: a bound on its body, and headers that every answer carries."""

from __future__ import annotations

import contextlib
import json

from plimsoll.manager.api.serve import App, Message, Receive, Scope, Send

#: The largest body that a request may bring. Certificates and lists of computers are far below.
MAX_BODY = 1 << 20

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
]


class TooLarge(Exception):  # noqa: N818 - names a condition
    """The body grew beyond the bound while it was read."""


class Bounds:
    """ASGI middleware. It buffers nothing: streams pass as they come."""

    def __init__(self, app: App, max_body: int = MAX_BODY) -> None:
        self._app = app
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._declared(scope) > self._max_body:
            await self._refuse(send)
            return
        read = 0
        refused = False

        async def bounded() -> Message:
            nonlocal read, refused
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._max_body:
                refused = True
                raise TooLarge
            return message

        async def with_headers(message: Message) -> None:
            if refused:
                return  # the framework's own idea of what a body that broke off means
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        with contextlib.suppress(TooLarge):
            await self._app(scope, bounded, with_headers)
        if refused:
            await self._refuse(send)

    def _declared(self, scope: Scope) -> int:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit():
                return int(value)
        return 0

    async def _refuse(self, send: Send) -> None:
        body = json.dumps(
            {"message": f"the request's body is larger than {self._max_body} bytes; nothing of it was used"}
        ).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})

"""What every request on 4119 passes first: bounds on its body, in bytes and seconds, and headers for every answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable

from plimsoll.manager.api.serve import App, Message, Receive, Scope, Send
from plimsoll.messages.bundle import MAX_BUNDLE
from plimsoll.messages.release import MAX_LENGTH

#: The largest body that a request may bring. Certificates and lists of computers are far below.
MAX_BODY = 1 << 20

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not no-referrer: with that a browser sends our own forms with ``Origin: null``, and they would be refused.
    (b"referrer-policy", b"same-origin"),
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
            b" form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        ),
    ),
]

#: Sent once an administrator has set a certificate of his own for 4119: before that a browser has been told to trust
#: one by hand, and would have no way back (RFC 6797 §8.4). A year, as browsers' makers ask for.
_HSTS = (b"strict-transport-security", b"max-age=31536000")

#: Seconds that a body may take to arrive.
BODY_SECONDS = 30.0

#: Where a whole file may be posted: the bound of its body in bytes. Whoever takes it counts for itself what was signed.
UPLOAD = {"/api/software": MAX_LENGTH, "/api/software/bundles": MAX_BUNDLE}
#: Seconds that an upload may pause.
PAUSE_SECONDS = 30.0


class _BrokenOff(Exception):  # noqa: N818 - names a condition
    """The body grew beyond a bound while it was read."""


class Bounds:
    """ASGI middleware. It buffers nothing: streams pass as they come."""

    def __init__(self, app: App, max_body: int = MAX_BODY, own_certificate: Callable[[], bool] = lambda: False) -> None:
        self._app = app
        self._max_body = max_body
        self._own_certificate = own_certificate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        upload = UPLOAD.get(scope["path"]) if scope["method"] == "POST" else None
        largest = self._max_body if upload is None else upload
        if self._declared(scope) > largest:
            await self._refuse(send, 413, largest)
            return
        read = 0
        whole = False
        refused = 0
        ends = asyncio.get_running_loop().time() + BODY_SECONDS

        async def bounded() -> Message:
            nonlocal read, whole, refused, ends
            if whole:
                return await receive()  # waits for the peer to leave, for as long as an answer takes
            if upload is not None:
                ends = asyncio.get_running_loop().time() + PAUSE_SECONDS
            try:
                async with asyncio.timeout_at(ends):
                    message = await receive()
            except TimeoutError:
                refused = 408
                raise _BrokenOff from None
            read += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if read > largest:
                refused = 413
                raise _BrokenOff
            return message

        async def with_headers(message: Message) -> None:
            if refused:
                return  # the framework's own idea of what a body that broke off means
            if message["type"] == "http.response.start":
                more = [*_HEADERS, _HSTS] if self._own_certificate() else _HEADERS
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        with contextlib.suppress(_BrokenOff):
            await self._app(scope, bounded, with_headers)
        if refused:
            await self._refuse(send, refused, largest)

    def _declared(self, scope: Scope) -> int:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit():
                return int(value)
        return 0

    async def _refuse(self, send: Send, status: int, largest: int) -> None:
        why = f"is larger than {largest} bytes" if status == 413 else f"did not arrive in {BODY_SECONDS:.0f} s"
        body = json.dumps({"message": f"the request's body {why}; nothing of it was used"}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

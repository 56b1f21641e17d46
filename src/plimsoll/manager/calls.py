"""The manager as a client: short calls to agents on 4118 and to relays on 4122.

Synchronous, for a thread. Where a role is expected, the peer must show a certificate of this installation with it;
where none is (the first visit), nothing is verified here and the one-time code has to prove who is there.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from plimsoll.messages import MAX_BODY, Message, Problem
from plimsoll.net.contexts import NEGOTIATED, ServerIdentity, client_context
from plimsoll.net.identity import Identity, identity_of
from plimsoll.tls.versions import Version

M = TypeVar("M", bound=Message)


class CallError(Exception):
    """The call failed; the message says where and why. `tls` where the handshake did."""

    def __init__(self, message: str, *, tls: bool = False, status: int | None = None) -> None:
        super().__init__(message)
        self.tls = tls
        self.status = status


class Call:
    """One connection to an agent or relay, for a few requests one after the other."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        identity: ServerIdentity,
        ca: str | None,
        minimum: Version,
        roles: tuple[str, ...] = (),
        installation: str = "",
        timeout: float = 10.0,
    ) -> None:
        self.where = f"{host} port {port}"
        context = client_context(ca=ca, cert=identity.cert_path, key=identity.key_path, minimum=minimum)
        try:
            plain = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise CallError(f"{self.where} was not reached: {error.strerror or error}") from None
        try:
            self._tls = context.wrap_socket(plain, server_hostname=None)
        except ssl.SSLError as error:
            plain.close()
            reason = (error.reason or str(error)).lower().replace("_", " ")
            raise CallError(f"TLS with {self.where} failed: {reason}", tls=True) from None
        except OSError as error:
            plain.close()
            raise CallError(f"TLS with {self.where} failed: {error.strerror or error}", tls=True) from None
        self._http = http.client.HTTPConnection(host, port, timeout=timeout)
        self._http.sock = self._tls
        self.identity: Identity | None = None
        try:
            if roles:
                self._check(roles, installation)
        except CallError:
            self.close()
            raise

    @property
    def version(self) -> Version | None:
        return NEGOTIATED.get(self._tls.version() or "")

    @property
    def local_address(self) -> str:
        """The address of this host that the peer sees."""
        return str(self._tls.getsockname()[0])

    @property
    def certificate(self) -> bytes:
        """The peer's certificate in DER."""
        return self._tls.getpeercert(True) or b""

    @property
    def certificate_expires(self) -> float | None:
        """When the peer's verified certificate ends."""
        said: Any = (self._tls.getpeercert() or {}).get("notAfter")
        return float(ssl.cert_time_to_seconds(said)) if said else None

    def ask(self, method: str, path: str, message: Message | None, kind: type[M]) -> M:
        """Sends the message and reads the answer as that kind. Raises CallError."""
        body = self._exchange(method, path, message)
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            raise CallError(f"{self.where} answered what cannot be read: {error}") from None

    def tell(self, method: str, path: str, message: Message | None = None) -> None:
        """Sends the message; what the peer answers does not matter, only that it is no refusal."""
        self._exchange(method, path, message)

    def close(self) -> None:
        self._http.close()
        self._tls.close()

    def __enter__(self) -> Call:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, roles: tuple[str, ...], installation: str) -> None:
        identity = identity_of(self._tls)
        if identity is None or identity.role not in roles or identity.installation != installation:
            shown = "no identity" if identity is None else f"{identity.role} {identity.id} of {identity.installation}"
            raise CallError(
                f"{self.where} shows {shown}; expected a {' or '.join(roles)} of this installation", tls=True
            )
        self.identity = identity

    def _exchange(self, method: str, path: str, message: Message | None) -> bytes:
        body = None if message is None else msgspec.json.encode(message)
        headers = {} if body is None else {"content-type": "application/json"}
        try:
            self._http.request(method, path, body=body, headers=headers)
            answer = self._http.getresponse()
            received = answer.read(MAX_BODY + 1)
        except (OSError, http.client.HTTPException) as error:
            raise CallError(f"{self.where} did not answer {path}: {error or type(error).__name__}") from None
        if len(received) > MAX_BODY:
            raise CallError(f"{self.where} answered more than {MAX_BODY} bytes")
        if answer.status >= 300:
            raise CallError(f"{self.where} refused: {_said(received, answer.status)}", status=answer.status)
        return received


def _said(body: bytes, status: int) -> str:
    try:
        return msgspec.json.decode(body, type=Problem).message
    except msgspec.DecodeError:
        return f"HTTP status {status}"

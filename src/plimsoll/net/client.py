"""The client side of our own ports: one connection, mutual TLS, kept alive and resumed. Blocking: use it in a thread.

Rules of this file: nothing is sent before the peer's certificate, its role and its installation were checked; never
below TLS 1.2 unless a caller asks for it; only LinkError escapes.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from plimsoll.net.contexts import client_context
from plimsoll.net.download import SLOWEST, Download
from plimsoll.net.errors import NetError
from plimsoll.net.handshake_errors import about_certificates, alert_in
from plimsoll.net.identity import Identity, certificates_in, identity_of, presented_chain, public_key_hash
from plimsoll.tls.alerts import Alert
from plimsoll.tls.versions import Version

T = TypeVar("T")

_MAX_HEAD = 64 * 1024
_MAX_BODY = 64 << 20
_MAX_STREAM = 1 << 40
_READ = 64 * 1024
#: OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED.
_HAS_EXPIRED = 10


class LinkError(NetError):
    """The peer could not be talked to. `reason` is for programs, the text for people."""

    reason = "protocol"

    def __init__(self, host: str, port: int, text: str) -> None:
        self.host = host
        self.port = port
        super().__init__(f"{host}:{port}: {text}")


class RefusedByFloor(LinkError):  # noqa: N818 - named as what happened
    """The peer's floor is above what this client can speak (alert 70)."""

    reason = "refused-by-floor"


class CertificateError(LinkError):
    """One side does not accept the other's certificate."""

    reason = "certificate"


class CertificateEnded(CertificateError):  # noqa: N818 - named as what happened
    """A certificate of the peer's chain has ended by our clock: its own, or that of the CA which we trust."""

    reason = "certificate-ended"


class UnreachableError(LinkError):
    """No connection, or it broke."""

    reason = "unreachable"


class LinkTimeoutError(LinkError):
    """The peer did not answer in time."""

    reason = "timeout"


class ProtocolError(LinkError):
    """The peer said something that is no answer."""

    reason = "protocol"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the peer answered. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Link:
    """A connection to one of our own programs, opened by the first request and again when it broke.

    `ca` is a path or PEM text. With `pin` and no `ca`, the peer presents its CA, and only one whose key has that hash
    is taken (an activation's first contact); `ca_pem` then holds it. `expect_role` None accepts any role.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        ca: str | None,
        cert: str | None = None,
        key: str | None = None,
        minimum: Version = Version.TLS1_2,
        local_address: str | None = None,
        timeout: float = 30,
        expect_role: str | None = "manager",
        installation: str | None = None,
        pin: str | None = None,
    ) -> None:
        if ca is None and pin is None:
            raise ValueError("a link needs a CA, or the hash of a CA's key")
        self.host = host
        self.port = port
        self.timeout = timeout
        self.ca_pem: str | None = None
        #: What was agreed and who answered, since the last handshake.
        self.version: Version | None = None
        self.suite = ""
        self.peer: Identity | None = None
        self.resumed = False
        self._ca = ca
        self._pin = pin
        self._identity = (cert, key)
        self._minimum = minimum
        self._local = local_address
        self._role = expect_role
        self._installation = installation
        self._context: ssl.SSLContext | None = None
        self._session: ssl.SSLSession | None = None
        self._sock: ssl.SSLSocket | None = None
        self._rest = b""
        self._answering = False
        self._deadline = 0.0
        self._unread = False  # the body of a download

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request and wait for its answer. Raises LinkError, and nothing else."""
        data = self._head(method, path, {"Content-Length": str(len(body)), **(headers or {})}) + body
        return self._once_more(lambda: self._exchange(method, data))

    def stream(self, path: str, headers: Mapping[str, str] | None = None, *, slowest: float = SLOWEST) -> Download:
        """A GET whose body is read as it comes; until then there is no other request. Raises LinkError.

        `slowest` is the pace in bytes a second below which the peer is given up.
        """
        data = self._head("GET", path, headers or {})
        return self._once_more(lambda: self._stream(data, slowest))

    def connect(self) -> None:
        """Open the connection now, if it is not open. Raises LinkError."""
        if self._sock is None:
            self._sock = self._open()

    def shown(self) -> list[bytes]:
        """The chain that the peer presents, DER, unverified. Nothing is shown or sent to it. Raises LinkError."""
        with self._dial(client_context(ca=None, minimum=self._minimum), None) as sock:
            return presented_chain(sock)

    def close(self) -> None:
        """Close the connection; a later request opens a new one and resumes its session."""
        sock, self._sock = self._sock, None
        self._rest, self._unread = b"", False
        if sock is not None:
            with contextlib.suppress(OSError, ValueError):
                sock.settimeout(0)
                sock.unwrap()
            sock.close()

    def __del__(self) -> None:
        sock = getattr(self, "_sock", None)
        if sock is not None:
            sock.close()

    # -- asking

    def _head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _once_more(self, ask: Callable[[], T]) -> T:
        """The peer may have closed a kept-alive connection at the moment of our request.

        Nothing of an answer was read then, and our messages carry a sequence, so that once more does no harm.
        """
        kept = self._sock is not None
        try:
            return ask()
        except UnreachableError:
            if not kept or self._answering:
                raise
        return ask()

    # -- opening

    def _open(self) -> ssl.SSLSocket:
        context = self._ready_context()
        sock = self._dial(context, self._session)
        try:
            self._check_peer(sock)
        except LinkError:
            sock.close()
            raise
        self.version = next((v for v in Version if v.value == sock.version()), None)
        cipher = sock.cipher()
        self.suite = cipher[0] if cipher else ""
        self.resumed = bool(sock.session_reused)
        return sock

    def _ready_context(self) -> ssl.SSLContext:
        if self._context is None:
            ca = self._ca
            if self._pin is not None:
                ca = self._pinned(ca)
            cert, key = self._identity
            try:
                self._context = client_context(ca=ca, cert=cert, key=key, minimum=self._minimum)
            except (OSError, ValueError) as error:
                text = f"our own certificate, key or CA file cannot be used: {error}"
                raise CertificateError(self.host, self.port, text) from error
        return self._context

    def _pinned(self, ca: str | None) -> str:
        """The CA whose key has the hash: the given one, or one that the peer presents."""
        if ca is not None:
            text = ca if "-----BEGIN" in ca else Path(ca).read_text("ascii")
            chain = certificates_in(text)
        else:
            # Nothing is sent on this connection: it only shows its chain, which is verified on the next one.
            chain = self.shown()
        # The last that fits: while a CA is rotated, one with that key that another CA signed may stand before its own.
        for der in reversed(chain):
            try:
                if public_key_hash(der) == self._pin:
                    self.ca_pem = ssl.DER_cert_to_PEM_cert(der)
                    return self.ca_pem
            except ValueError:
                continue
        text = (
            "its CA is not the one that the token names; the token was not sent. Is this the right manager? If its CA"
            " was rotated since the token was made, get a new token"
        )
        raise CertificateError(self.host, self.port, text)

    def _dial(self, context: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLSocket:
        source = None if self._local is None else (self._local, 0)
        try:
            plain = socket.create_connection((self.host, self.port), self.timeout, source)
        except TimeoutError as error:
            raise LinkTimeoutError(self.host, self.port, f"no connection within {self.timeout:g} s") from error
        except OSError as error:
            raise UnreachableError(self.host, self.port, error.strerror or str(error)) from error
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return context.wrap_socket(plain, session=session)
        except (OSError, ValueError) as error:
            plain.close()
            raise self._translated(error, "in the handshake") from error

    def _check_peer(self, sock: ssl.SSLSocket) -> None:
        """The chain is verified; now who it is: else one agent's certificate could pose as the manager's."""
        self.peer = identity_of(sock)
        if self.peer is None:
            raise CertificateError(self.host, self.port, "its certificate names no member of a fleet")
        if self._role is not None and self.peer.role != self._role:
            text = f"it is {_article(self.peer.role)}, and {_article(self._role)} was expected"
            raise CertificateError(self.host, self.port, text)
        if self._installation is not None and self.peer.installation != self._installation:
            raise CertificateError(self.host, self.port, "it belongs to another installation")

    def _translated(self, error: Exception, when: str) -> LinkError:
        at = (self.host, self.port)
        alert = alert_in(error)
        if alert is Alert.PROTOCOL_VERSION:
            return RefusedByFloor(*at, "it refused our TLS version: its floor is above what this host can speak")
        if isinstance(error, ssl.SSLCertVerificationError):
            kind = CertificateEnded if error.verify_code == _HAS_EXPIRED else CertificateError
            return kind(*at, f"its certificate is not accepted: {error.verify_message}")
        if about_certificates(alert):
            return CertificateError(*at, f"it did not accept our certificate ({alert.label if alert else ''})")
        if isinstance(error, TimeoutError):
            return LinkTimeoutError(*at, f"no answer within {self.timeout:g} s {when}")
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError):
            return UnreachableError(*at, f"the connection ended {when}")
        if isinstance(error, ssl.SSLError):
            return ProtocolError(*at, f"TLS failed {when}: {(error.reason or str(error)).lower().replace('_', ' ')}")
        if isinstance(error, OSError):
            return UnreachableError(*at, f"{error.strerror or error} {when}")
        return ProtocolError(*at, f"{error} {when}")

    # -- one exchange

    def _stream(self, data: bytes, slowest: float) -> Download:
        sock = self._begin()
        try:
            sock.sendall(data)
            status, headers = self._final_head(sock)
            self._session = sock.session or self._session
            length = self._length(headers, _MAX_STREAM) if status not in (204, 304) else 0
        except LinkError:
            self.close()
            raise
        except (OSError, ValueError) as error:
            self.close()
            raise self._translated(error, "while waiting for its answer") from error
        keep = _keeps(headers)

        def ended(rest: bytes) -> None:
            self._rest, self._unread = rest, False
            if not keep:
                self.close()

        def failed(error: Exception) -> Exception:
            self.close()
            return self._translated(error, "while its answer came")

        rest, self._rest, self._unread = self._rest, b"", True
        return Download(sock, status, headers, length, rest, self.timeout, ended, failed, slowest)

    def _begin(self) -> ssl.SSLSocket:
        if self._unread:
            self.close()
        self.connect()
        assert self._sock is not None
        self._answering = False
        # No trickle extends it: an answer that is not whole by then is none.
        self._deadline = time.monotonic() + 2 * self.timeout
        self._sock.settimeout(self.timeout)
        return self._sock

    def _exchange(self, method: str, data: bytes) -> Answer:
        sock = self._begin()
        try:
            sock.sendall(data)
            answer, keep = self._read_answer(sock, method)
            # In TLS 1.3 the ticket comes after the handshake, so only now there is a session to keep.
            self._session = sock.session or self._session
        except LinkError:
            self.close()
            raise
        except (OSError, ValueError) as error:
            self.close()
            raise self._translated(error, "while waiting for its answer") from error
        if not keep:
            self.close()
        return answer

    def _read_answer(self, sock: ssl.SSLSocket, method: str) -> tuple[Answer, bool]:
        status, headers = self._final_head(sock)
        length = 0 if method == "HEAD" or status in (204, 304) else self._length(headers, _MAX_BODY)
        pieces, have = [self._rest], len(self._rest)
        while have < length:
            pieces.append(self._read(sock))
            have += len(pieces[-1])
        body = b"".join(pieces)
        self._rest = body[length:]
        return Answer(status, headers, body[:length]), _keeps(headers)

    def _final_head(self, sock: ssl.SSLSocket) -> tuple[int, dict[str, str]]:
        while True:
            status, headers = self._read_head(sock)
            if status >= 200:
                return status, headers

    def _length(self, headers: Mapping[str, str], most: int) -> int:
        text = headers.get("content-length", "")
        if not text.isascii() or not text.isdigit() or int(text) > most or "transfer-encoding" in headers:
            raise ProtocolError(self.host, self.port, "its answer has no usable length")
        return int(text)

    def _read_head(self, sock: ssl.SSLSocket) -> tuple[int, dict[str, str]]:
        data = self._rest
        while (end := data.find(b"\r\n\r\n")) < 0:
            if len(data) > _MAX_HEAD:
                raise ProtocolError(self.host, self.port, "its answer's head is too long")
            data += self._read(sock)
        self._rest = data[end + 4 :]
        first, *lines = data[:end].decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ProtocolError(self.host, self.port, "its answer is no HTTP/1.1")
        fields = (line.partition(":") for line in lines)
        return int(rest[:3]), {name.strip().lower(): value.strip() for name, _, value in fields}

    def _read(self, sock: ssl.SSLSocket) -> bytes:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("its answer came in a trickle")
        sock.settimeout(min(self.timeout, left))
        data = sock.recv(_READ)
        if not data:
            raise UnreachableError(self.host, self.port, "the connection ended before the whole answer was there")
        self._answering = True
        return data


def _keeps(headers: Mapping[str, str]) -> bool:
    return "close" not in headers.get("connection", "").lower()


def _article(role: str) -> str:
    return f"an {role}" if role[:1] in "aeiou" else f"a {role}"

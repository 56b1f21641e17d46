"""The wire of notifications: a syslog connection, a webhook's request. Blocking; each belongs to one thread.

Rules of this file: never below TLS 1.2, always with the receiver's name and chain checked; every wait is bounded; only
`DeliveryError` escapes, in words that say what to do.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import httpx

from plimsoll.manager.notify.formats import SyslogForm, cut, framed, syslog_line, webhook_body, webhook_headers

if TYPE_CHECKING:
    from plimsoll.manager.services.events import EventView
    from plimsoll.manager.store.notifications import TargetRecord

#: For one connection, and for one answer, in seconds.
SECONDS = 10.0
#: RFC 5426 §3.2: what a receiver over UDP should take.
LONGEST_DATAGRAM = 2048
#: A receiver that asks for more patience than that is asked again anyway, in seconds.
_MOST_PATIENCE = 900.0
_ANSWER = 64 * 1024


class DeliveryError(Exception):
    """It did not arrive. `retry_after` is the receiver's own wish in seconds, `gone` that it wants no more at all."""

    def __init__(self, text: str, *, retry_after: float | None = None, gone: bool = False) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        self.gone = gone


class Sender(Protocol):
    """Carries events to one target."""

    def send(self, events: Sequence[EventView]) -> str:
        """All of them, in order; what the receiver said, or how they went. Raises DeliveryError."""
        ...

    def close(self) -> None: ...


def sender_for(installation: str, target: TargetRecord) -> Sender:
    """The sender of that target as it is set now."""
    if target.kind == "webhook":
        return WebhookSender(installation, target)
    return SyslogSender(installation, target)


def _context(ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class SyslogSender:
    """Keeps its connection. Syslog has no acknowledgement: what a receiver took and lost nobody is told."""

    def __init__(self, installation: str, target: TargetRecord) -> None:
        settings = target.settings
        self._installation = installation
        self._host, self._port, self._transport = settings["host"], settings["port"], settings["transport"]
        self._form = SyslogForm(settings["form"], settings["facility"], socket.gethostname())
        self._context = _context(settings["ca"]) if self._transport == "tls" else None
        self._socket: socket.socket | None = None
        self._agreed = ""

    def send(self, events: Sequence[EventView]) -> str:
        lines = [syslog_line(event, self._form, self._installation) for event in events]
        try:
            if self._socket is not None and self._left():
                self.close()
            connection = self._socket or self._connect()
            if self._transport == "udp":
                for line in lines:
                    connection.send(cut(line, LONGEST_DATAGRAM))
            else:
                connection.sendall(b"".join(map(framed, lines)))
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise DeliveryError(
                f"the certificate of {self._where} is not accepted ({error.verify_message}): give its CA with --ca,"
                " or put its name right"
            ) from None
        except ssl.SSLError as error:
            self.close()
            raise DeliveryError(f"no TLS with {self._where}: {error.reason or error}") from None
        except OSError as error:
            self.close()
            raise DeliveryError(f"{self._where} cannot be reached: {error.strerror or error}") from None
        return f"{len(lines)} sent over {self._agreed or self._transport.upper()}"

    @property
    def _where(self) -> str:
        return f"{self._host}:{self._port}"

    def _connect(self) -> socket.socket:
        if self._transport == "udp":
            family, kind, protocol, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[0]
            plain = socket.socket(family, kind, protocol)
            plain.connect(address)
        else:
            plain = socket.create_connection((self._host, self._port), SECONDS)
        self._socket = plain
        if self._context is not None:
            wrapped = self._context.wrap_socket(plain, server_hostname=self._host)
            self._socket, self._agreed = wrapped, wrapped.version() or ""
        return self._socket

    def _left(self) -> bool:
        """Whether the receiver has hung up meanwhile: a write into such a connection would be lost without a word."""
        assert self._socket is not None
        if self._transport == "udp":
            return False
        self._socket.settimeout(0.0)
        try:
            return not self._socket.recv(1024)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            with contextlib.suppress(OSError):
                self._socket.settimeout(SECONDS)

    def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None


class WebhookSender:
    """One POST for a page of events. A repeated delivery carries the same ``webhook-id``."""

    def __init__(self, installation: str, target: TargetRecord, clock: Callable[[], float] = time.time) -> None:
        self._installation = installation
        self._url: str = target.settings["url"]
        self._secret = target.secret
        self._clock = clock
        self._client = httpx.Client(
            verify=_context(target.settings["ca"]), timeout=SECONDS, follow_redirects=False, max_redirects=0
        )

    def send(self, events: Sequence[EventView]) -> str:
        body = webhook_body(events, self._installation)
        name = f"{self._installation}.{events[0].id}.{events[-1].id}"
        delivery = f"msg_{hashlib.sha256(name.encode()).hexdigest()[:32]}"
        now = self._clock()
        headers = webhook_headers(self._secret, delivery, now, body)
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                status, wish = answer.status_code, answer.headers.get("retry-after")
                _drain(answer)
        except httpx.TimeoutException:
            raise DeliveryError(f"no answer within {SECONDS:.0f} s") from None
        except httpx.HTTPError as error:
            raise DeliveryError(_words(error)) from None
        if 200 <= status < 300:
            return f"answered {status}"
        if status == 410:
            raise DeliveryError("answered 410: this address wants no more", gone=True)
        hint = ""
        if 300 <= status < 400:
            hint = "; redirects are not followed: set the address that it leads to"
        elif status in (401, 403):
            hint = "; does it check the signature with this target's secret?"
        raise DeliveryError(f"answered {status}{hint}", retry_after=_seconds(wish, now))

    def close(self) -> None:
        self._client.close()


def _drain(answer: httpx.Response) -> None:
    """Reads a little of the answer, so that the connection can be used again; a long one is left."""
    got = 0
    for piece in answer.iter_bytes():
        got += len(piece)
        if got > _ANSWER:
            return


def _words(error: httpx.HTTPError) -> str:
    text = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"its certificate is not accepted ({text.rpartition(': ')[2]}): give its CA with --ca"
    return f"it cannot be reached: {text}"


def _seconds(wish: str | None, now: float) -> float | None:
    """A Retry-After header, in seconds or as a date (RFC 9110 §10.2.3); None where there is none."""
    if wish is None:
        return None
    with contextlib.suppress(ValueError):
        return min(max(float(wish), 0.0), _MOST_PATIENCE)
    with contextlib.suppress(ValueError, TypeError):
        moment = email.utils.parsedate_to_datetime(wish).timestamp()
        return min(max(moment - now, 0.0), _MOST_PATIENCE)
    return None

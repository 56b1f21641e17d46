"""A whole handshake of TLS 1.0 to 1.2 by the OpenSSL that Python has, as a conversation: to see a session resumed.

Only for that: whether a version, suite or feature is there is asked by hellos of our own, which OpenSSL's limits do not
touch. Where it cannot speak with the peer, `Seen12.error` has its words, and nothing was found out.
"""

from __future__ import annotations

import contextlib
import ssl
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from plimsoll.tls.versions import Version

_VERSIONS: Final = {
    Version.TLS1_0: ssl.TLSVersion.TLSv1,
    Version.TLS1_1: ssl.TLSVersion.TLSv1_1,
    Version.TLS1_2: ssl.TLSVersion.TLSv1_2,
}
#: What OpenSSL knows under the number 4: peers without RFC 5746 are spoken to all the same.
_LEGACY_PEERS: Final = 0x4
#: A handshake and a goodbye are a few kilobytes; a chain of certificates may be more.
_MAX_BYTES: Final = 512 * 1024
_MAX_SUITES: Final = 16


@dataclass(slots=True)
class Seen12:
    """What came of it. `session` can be offered again to the same endpoint."""

    finished: bool = False
    resumed: bool = False
    session: ssl.SSLSession | None = None
    error: str = ""


class Speaker:
    """Makes the talks of one endpoint and version. A session can only be offered again by the speaker that got it."""

    def __init__(self, version: Version, suites: Sequence[int]) -> None:
        names = _names()
        #: Few, so that the hello stays small.
        known = [names[code] for code in suites if code in names][:_MAX_SUITES]
        self._contexts: dict[bool, ssl.SSLContext] = {}
        if known and version in _VERSIONS:
            for tickets in (True, False):
                context = _context(version, ":".join(known), tickets)
                if context is not None:
                    self._contexts[tickets] = context

    @property
    def able(self) -> bool:
        """Whether this OpenSSL has the version and any of the suites."""
        return len(self._contexts) == 2

    def talk(self, server_name: str, *, tickets: bool, session: ssl.SSLSession | None = None) -> OpenSslTalk:
        """A new handshake, with that session if there is one."""
        return OpenSslTalk(self._contexts[tickets], server_name, session)


class OpenSslTalk:
    """One handshake, closed as a good client does: a peer forgets the session of one that just vanishes."""

    def __init__(self, context: ssl.SSLContext, server_name: str = "", session: ssl.SSLSession | None = None) -> None:
        self.result = Seen12()
        self.done = False
        self._bytes = 0
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_name or None, session=session
        )

    def start(self) -> bytes:
        """The ClientHello."""
        return self._go_on()

    def feed(self, data: bytes) -> bytes:
        """Take what arrived, give what to send. What goes wrong ends it, and is in `result`."""
        self._bytes += len(data)
        if self._bytes > _MAX_BYTES:
            self._fail(f"more than {_MAX_BYTES} bytes in one handshake")
            return b""
        self._incoming.write(data)
        return self._go_on()

    def ended(self) -> None:
        """Before its end a handshake has shown nothing."""

    def _go_on(self) -> bytes:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.read()
        except (ssl.SSLError, OSError, ValueError) as error:
            self._fail(str(getattr(error, "reason", None) or error))
            return self._outgoing.read()
        self.done = self.result.finished = True
        self.result.resumed = bool(self._tls.session_reused)
        self.result.session = self._tls.session
        # Writes the goodbye, and would wait for the peer's.
        with contextlib.suppress(ssl.SSLError, OSError):
            self._tls.unwrap()
        return self._outgoing.read()

    def _fail(self, error: str) -> None:
        self.result.error = error
        self.done = True


@lru_cache(maxsize=1)
def _names() -> dict[int, str]:
    """OpenSSL's names of the suites that it has, by code point."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return {cipher["id"] & 0xFFFF: cipher["name"] for cipher in context.get_ciphers()}


def _context(version: Version, suites: str, tickets: bool) -> ssl.SSLContext | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context.minimum_version = context.maximum_version = _VERSIONS[version]
        context.set_ciphers(f"{suites}:@SECLEVEL=0")
    except (ValueError, ssl.SSLError):
        return None
    context.options |= _LEGACY_PEERS
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
    return context

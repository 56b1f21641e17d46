"""XMPP (RFC 6120 §5.4): stream, features, starttls."""

from __future__ import annotations

import re

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.packets import PacketOpening

#: Features are short; what is longer is looked through too often.
_MOST = 16_384
_NAMESPACE = b"urn:ietf:params:xml:ns:xmpp-tls"
_STREAM = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
    b"to='%s' version='1.0'>"
)
_FEATURES = re.compile(rb"<(?:\w+:)?features\b.*?</(?:\w+:)?features\s*>", re.DOTALL)
_ERROR = re.compile(rb"<(?:\w+:)?error\b|</(?:\w+:)?stream\s*>|<(?:\w+:)?failure\b")
_PROCEED = re.compile(rb"<(?:\w+:)?proceed\b[^>]*/>|<(?:\w+:)?proceed\b[^>]*>\s*</(?:\w+:)?proceed\s*>")


class Xmpp(PacketOpening):
    """A chat client. `domain` is the service's name."""

    def __init__(self, domain: str = "") -> None:
        super().__init__()
        name = re.sub(r"[^\w.:-]", "", domain, flags=re.ASCII) or "localhost"
        self.first = _STREAM % name.encode()
        self._asked = False

    def look(self) -> bytes:
        if len(self._buffer) > _MOST:
            raise OpeningError(f"more than {_MOST} bytes came before TLS")
        if not self._buffer.endswith(b">"):
            return b"" if self._buffer.lstrip().startswith(b"<"[: len(self._buffer)]) else self._foreign()
        if _ERROR.search(self._buffer):
            raise OpeningError("the server ends the stream with an error")
        if self._asked:
            found = _PROCEED.search(self._buffer)
            if found is not None:
                self.take(found.end())
                self.ready = True
            return b""
        found = _FEATURES.search(self._buffer)
        if found is None:
            return b""
        if _NAMESPACE not in found[0]:
            raise OpeningError("the server does not offer starttls")
        self.take(found.end())
        self._asked = True
        return b"<starttls xmlns='" + _NAMESPACE + b"'/>"

    def _foreign(self) -> bytes:
        raise OpeningError("the server's answer is not XMPP's")

"""XMPP (RFC 6120 §5.4): stream, features, starttls."""

from __future__ import annotations

import re
from typing import Final

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.packets import PacketOpening
from plimsoll.tls.starttls.said import said

_NAMESPACE: Final = b"urn:ietf:params:xml:ns:xmpp-tls"
_STREAM: Final = (
    b"<?xml version='1.0'?><stream:stream xmlns='%s' xmlns:stream='http://etherx.jabber.org/streams' "
    b"to='%s' version='1.0'>"
)
#: More tags than any server needs before TLS.
_MOST_TAGS: Final = 400
# None of these can look at the same bytes twice: an enemy who sends a byte at a time costs us nothing.
_FEATURES: Final = re.compile(rb"<(?:\w+:)?features\b[^<>]*>")
_FEATURES_END: Final = re.compile(rb"</(?:\w+:)?features\s*>")
_PROCEED: Final = re.compile(rb"<(?:\w+:)?proceed\b[^<>]*(?:/>|>\s*</(?:\w+:)?proceed\s*>)")
_FAILURE: Final = re.compile(rb"<(?:\w+:)?failure\b|</(?:\w+:)?stream\s*>")
_ERROR: Final = re.compile(rb"<(?:\w+:)?error\b[^<>]*>\s*<(?:\w+:)?([\w-]+)[^<>]*>")


class Xmpp(PacketOpening):
    """A chat client. `domain` is the service's name."""

    content = b"jabber:client"

    def __init__(self, domain: str = "") -> None:
        super().__init__()
        name = re.sub(r"[^\w.:-]", "", domain, flags=re.ASCII) or "localhost"
        self.first = _STREAM % (self.content, name.encode())
        self._asked = False
        self._tags = 0

    def look(self) -> bytes:
        begun = self._buffer.lstrip()[:1]
        if begun not in (b"", b"<"):
            raise self.foreign("XMPP")
        tags = self._buffer.count(b">")
        if tags == self._tags:
            return b""
        if tags > _MOST_TAGS:
            raise OpeningError(f"more than {_MOST_TAGS} tags came before TLS")
        self._tags = tags
        self._refusals()
        return self._proceeds() if self._asked else self._features()

    def _refusals(self) -> None:
        error = _ERROR.search(self._buffer)
        if error is not None:
            raise OpeningError(f"the server ends the stream: {said(error[1])}")
        failure = _FAILURE.search(self._buffer)
        if failure is not None:
            ended = failure[0].startswith(b"</")
            raise OpeningError("the server ends the stream" if ended else "the server refuses starttls")

    def _features(self) -> bytes:
        found = _FEATURES.search(self._buffer)
        if found is None:
            return b""
        if not found[0].endswith(b"/>"):
            end = _FEATURES_END.search(self._buffer, found.end())
            if end is None:
                return b""
            if _NAMESPACE in self._buffer[found.end() : end.start()]:
                self.take(end.end())
                self._asked, self._tags = True, 0
                return b"<starttls xmlns='" + _NAMESPACE + b"'/>"
        raise OpeningError("the server does not offer starttls")

    def _proceeds(self) -> bytes:
        found = _PROCEED.search(self._buffer)
        if found is not None:
            self.take(found.end())
            self.ready = True
        return b""


class XmppServer(Xmpp):
    """A chat server that talks to another one."""

    content = b"jabber:server"

"""What the protocols of text lines share: lines are gathered, bounded, and handed to a conversation one by one."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.said import said

#: RFC 5321 §4.5.3.1.5 allows 512 octets a reply line; FTP and ManageSieve greet at more length.
MOST: Final = 16_384
MOST_LINES: Final = 200

Talk = Generator[bytes, str, None]


class LineOpening:
    """A client whose `talk` gives what to send and gets the peer's next line; when it ends, TLS may begin."""

    def __init__(self) -> None:
        self.ready = False
        self._buffer = b""
        self._lines = 0
        self._failed: OpeningError | None = None
        self._talk = self.talk()

    def talk(self) -> Talk:
        """The conversation. The first thing that it yields is sent before the peer said anything."""
        yield b""

    def start(self) -> bytes:
        return next(self._talk)

    def feed(self, data: bytes) -> bytes:
        try:
            return self._feed(data)
        except OpeningError as error:
            self.ready, self._failed = False, error
            raise

    def _feed(self, data: bytes) -> bytes:
        if self._failed is not None:
            raise OpeningError(str(self._failed))
        self._buffer += data
        out = b""
        while not self.ready:
            line, found, rest = self._buffer.partition(b"\n")
            if not found:
                break
            self._buffer = rest
            self._lines += 1
            if self._lines > MOST_LINES:
                raise OpeningError(f"more than {MOST_LINES} lines came before TLS")
            try:
                out += self._talk.send(line.rstrip(b"\r").decode("latin-1"))
            except StopIteration:
                self.ready = True
        if len(self._buffer) > MOST:
            raise OpeningError(f"a line of more than {MOST} bytes came before TLS")
        if self.ready and self._buffer:
            # RFC 3207 §5, errata 3 and CVE-2021-38371: what comes before the handshake must not count as inside it.
            raise OpeningError(f"the server went on in clear text after it agreed to begin TLS: {said(self._buffer)}")
        return out

    def wrap(self, data: bytes) -> bytes:
        return data

    def unwrap(self, data: bytes) -> bytes:
        return data


def reply(send: bytes = b"") -> Generator[bytes, str, tuple[str, list[str]]]:
    """Send, and gather a reply of three digits, which may have several lines (RFC 5321 §4.2.1, RFC 959 §4.2)."""
    line = yield send
    code, lines = line[:3], [line]
    if not (code.isdecimal() and line[3:4] in ("", " ", "-")):
        raise OpeningError(f"the server said {said(line)}, which is no reply of this protocol")
    while line[3:4] == "-" or line[:3] != code:
        line = yield b""
        lines.append(line)
    return code, lines


def expect(code: str, wanted: str, lines: list[str], what: str) -> None:
    """Raises OpeningError where the reply is another one."""
    if code != wanted:
        raise OpeningError(f"{what}: {said(lines[-1])}")

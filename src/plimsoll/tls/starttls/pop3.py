"""POP3 (RFC 2595 §4): greeting, STLS."""

from __future__ import annotations

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.lines import LineOpening, Talk
from plimsoll.tls.starttls.said import said


class Pop3(LineOpening):
    """A mail reader."""

    def talk(self) -> Talk:
        line = yield b""
        if not line.startswith("+OK"):
            raise OpeningError(f"the server does not greet: {said(line)}")
        line = yield b"STLS\r\n"
        if not line.startswith("+OK"):
            raise OpeningError(f"the server refuses STLS: {said(line)}")

"""IMAP (RFC 9051 §6.2.1): greeting, STARTTLS."""

from __future__ import annotations

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.lines import LineOpening, Talk
from plimsoll.tls.starttls.said import said


class Imap(LineOpening):
    """A mail reader."""

    def talk(self) -> Talk:
        line = yield b""
        if not line.upper().startswith(("* OK", "* PREAUTH")):
            raise OpeningError(f"the server does not greet: {said(line)}")
        line = yield b"a1 STARTTLS\r\n"
        while not line.startswith("a1 "):
            if not line.startswith("* ") or line.upper().startswith("* BYE"):
                raise OpeningError(f"the server does not answer STARTTLS: {said(line)}")
            line = yield b""
        if not line.upper().startswith("A1 OK"):
            raise OpeningError(f"the server refuses STARTTLS: {said(line)}")

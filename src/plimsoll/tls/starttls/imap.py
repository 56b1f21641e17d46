"""IMAP (RFC 9051 §6.2.1): greeting, STARTTLS."""

from __future__ import annotations

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.lines import LineOpening, Talk, said


class Imap(LineOpening):
    """A mail reader."""

    def talk(self) -> Talk:
        line = yield b""
        if not line.upper().startswith(("* OK", "* PREAUTH")):
            raise OpeningError(f"the server does not greet: {said(line)}")
        line = yield b"a1 STARTTLS\r\n"
        while not line.startswith("a1 "):
            if not line.startswith("* "):
                raise OpeningError(f"the server said {said(line)}, which is no IMAP")
            line = yield b""
        if not line.upper().startswith("A1 OK"):
            raise OpeningError(f"the server refuses STARTTLS: {said(line)}")

"""NNTP (RFC 4642): greeting, STARTTLS."""

from __future__ import annotations

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.lines import LineOpening, Talk, expect
from plimsoll.tls.starttls.said import said


class Nntp(LineOpening):
    """A news reader."""

    def talk(self) -> Talk:
        line = yield b""
        if line[:3] not in ("200", "201"):
            raise OpeningError(f"the server does not greet: {said(line)}")
        line = yield b"STARTTLS\r\n"
        expect(line[:3], "382", [line], "the server refuses STARTTLS")

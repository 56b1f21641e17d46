"""ManageSieve (RFC 5804 §2.2): capabilities, STARTTLS."""

from __future__ import annotations

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.lines import LineOpening, Talk, said


class Sieve(LineOpening):
    """An editor of mail filters."""

    def talk(self) -> Talk:
        offered = False
        line = yield b""
        while line.startswith('"'):
            offered = offered or line.upper().startswith('"STARTTLS"')
            line = yield b""
        if not line.upper().startswith("OK"):
            raise OpeningError(f"the server does not greet: {said(line)}")
        if not offered:
            raise OpeningError("the server does not offer STARTTLS")
        line = yield b"STARTTLS\r\n"
        if not line.upper().startswith("OK"):
            raise OpeningError(f"the server refuses STARTTLS: {said(line)}")

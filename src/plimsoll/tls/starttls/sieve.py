"""ManageSieve (RFC 5804 §1.7, §2.2): capabilities, STARTTLS."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.lines import LineOpening, Talk
from plimsoll.tls.starttls.said import said

_LITERAL: Final = re.compile(r"\{(\d{1,5})\+?\}$")


class Sieve(LineOpening):
    """An editor of mail filters."""

    def talk(self) -> Talk:
        offered = []
        line = yield from _answer()
        while line.startswith('"'):
            offered.append(line.partition(" ")[0].strip('"').upper())
            line = yield from _answer()
        if not line.upper().startswith("OK"):
            raise OpeningError(f"the server does not greet: {said(line)}")
        if "STARTTLS" not in offered:
            raise OpeningError(f"the server does not offer STARTTLS; it offers {said(', '.join(offered) or 'nothing')}")
        line = yield from _answer(b"STARTTLS\r\n")
        if not line.upper().startswith("OK"):
            raise OpeningError(f"the server refuses STARTTLS: {said(line)}")


def _answer(send: bytes = b"") -> Generator[bytes, str, str]:
    """Send, and gather one answer, of which a part may come as a literal: its length first, then so many octets."""
    line = yield send
    while (literal := _LITERAL.search(line)) is not None:
        head, wanted, text = line[: literal.start()], int(literal[1]), ""
        more = yield b""
        while len(text) + len(more) < wanted:
            text += more + "\r\n"
            more = yield b""
        line = f"{head}{text}{more}"
    return line

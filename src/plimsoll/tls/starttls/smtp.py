"""SMTP (RFC 3207): greeting, EHLO, STARTTLS."""

from __future__ import annotations

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.lines import LineOpening, Talk, expect, reply
from plimsoll.tls.starttls.said import said


class Smtp(LineOpening):
    """A mail client or relay."""

    hello = b"EHLO scan.invalid\r\n"

    def talk(self) -> Talk:
        code, lines = yield from reply()
        expect(code, "220", lines, "the server does not greet")
        code, lines = yield from reply(self.hello)
        expect(code, "250", lines, f"the server refuses {self.hello[:4].decode()}")
        if not any(line[4:].strip().upper() == "STARTTLS" for line in lines):
            raise OpeningError(f"the server does not offer STARTTLS; it offers {said(_offered(lines))}")
        code, lines = yield from reply(b"STARTTLS\r\n")
        expect(code, "220", lines, "the server refuses STARTTLS")


def _offered(lines: list[str]) -> str:
    return ", ".join(line[4:].strip() for line in lines[1:]) or "nothing"

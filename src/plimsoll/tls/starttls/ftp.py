"""FTP (RFC 4217): greeting, AUTH TLS."""

from __future__ import annotations

from plimsoll.tls.starttls.lines import LineOpening, Talk, expect, reply


class Ftp(LineOpening):
    """A file transfer's control connection."""

    def talk(self) -> Talk:
        code, lines = yield from reply()
        while code == "120":  # RFC 959: ready in a while
            code, lines = yield from reply()
        expect(code, "220", lines, "the server does not greet")
        code, lines = yield from reply(b"AUTH TLS\r\n")
        expect(code, "234", lines, "the server refuses AUTH TLS")

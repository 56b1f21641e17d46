"""Names for what answers where TLS was expected: the first bytes of protocols that greet or complain."""

from __future__ import annotations

from typing import Final

_GREETINGS: Final = (
    (b"HTTP/", "plain HTTP"),
    (b"<!DOCTYPE", "plain HTTP (a page without a head)"),
    (b"<html", "plain HTTP (a page without a head)"),
    (b"SSH-", "SSH"),
    (b"+OK", "POP3 (TLS only after STLS)"),
    (b"* OK", "IMAP (TLS only after STARTTLS)"),
    (b"RFB ", "VNC"),
    (b"-ERR", "Redis or POP3, without TLS"),
    (b"<?xml", "XMPP or other XML, without TLS"),
    (b"<stream", "XMPP (TLS only after STARTTLS)"),
    (b"E\x00\x00\x00", "PostgreSQL (TLS only after SSLRequest)"),
    (b"\x03\x00\x00", "RDP or another TPKT protocol (TLS only after negotiation)"),
    (b"AMQP", "AMQP, without TLS"),
)


def name_of(data: bytes) -> str:
    """What those first bytes are, or a sentence with the bytes themselves."""
    for start, name in _GREETINGS:
        if data.startswith(start):
            return f"{name}: {_shown(data)}" if data[:1].isascii() and data[:1].isalnum() else name
    if data[:3].isdigit() and data[3:4] in (b" ", b"-"):
        return f"a text protocol (SMTP, FTP or NNTP; TLS only after its own command): {_shown(data)}"
    if len(data) > 5 and data[3:5] == b"\x00\x0a":
        return "MySQL (TLS only after its greeting)"
    return f"bytes that are no TLS: {_shown(data)}"


def _shown(data: bytes) -> str:
    line = data.split(b"\r\n", 1)[0].split(b"\n", 1)[0][:48]
    text = line.decode("ascii", "backslashreplace")
    return repr(text) if text.isprintable() else data[:16].hex(" ")

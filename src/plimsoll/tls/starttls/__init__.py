"""What is said before TLS begins, protocol by protocol: one machine a file, without sockets.

`open_with(name)` makes the machine; `Opening` is what all of them can do. A machine that failed stays failed.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final, Protocol


class OpeningError(Exception):
    """The peer does not offer TLS here, or says something that the protocol does not know; the text names it."""


class Opening(Protocol):
    """The client's side of one opening. Feed what arrives; send what comes back; when `ready`, TLS may begin."""

    ready: bool

    def start(self) -> bytes:
        """What to send before the peer said anything; b"" where the peer speaks first."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Take what arrived, give what to send. Raises OpeningError. Keeps at most a few KiB."""
        ...

    def wrap(self, data: bytes) -> bytes:
        """Our TLS bytes as they go on the wire: unchanged but for TDS, which packs them (MS-TDS 2.2.6.5)."""
        ...

    def unwrap(self, data: bytes) -> bytes:
        """The peer's wire bytes as TLS bytes, as far as they are complete."""
        ...


#: Class by name of the opening; the file is named like the opening, up to its hyphen.
_CLASSES: Final = {
    "smtp": "Smtp",
    "lmtp": "Lmtp",
    "imap": "Imap",
    "pop3": "Pop3",
    "ftp": "Ftp",
    "ldap": "Ldap",
    "xmpp": "Xmpp",
    "xmpp-server": "XmppServer",
    "nntp": "Nntp",
    "sieve": "Sieve",
    "postgres": "Postgres",
    "mysql": "MySql",
    "mssql": "MsSql",
    "rdp": "Rdp",
}
OPENINGS: Final = tuple(_CLASSES)

#: What is said first on a port of IANA's registry that is not for TLS at once.
DEFAULT_OPENINGS: Final = {
    21: "ftp",
    24: "lmtp",
    25: "smtp",
    110: "pop3",
    119: "nntp",
    143: "imap",
    389: "ldap",
    587: "smtp",
    1433: "mssql",
    3268: "ldap",
    3306: "mysql",
    3389: "rdp",
    4190: "sieve",
    5222: "xmpp",
    5269: "xmpp-server",
    5432: "postgres",
}


def open_with(name: str, server_name: str = "") -> Opening:
    """A new machine for that opening. `server_name` is what XMPP asks for. Raises ValueError for an unknown name."""
    if name not in _CLASSES:
        raise ValueError(f"the opening {name!r} is not known; known are {', '.join(OPENINGS)}")
    file = name.partition("-")[0]
    made = getattr(import_module(f"plimsoll.tls.starttls.{file}"), _CLASSES[name])
    machine: Opening = made(server_name) if file == "xmpp" else made()
    return machine

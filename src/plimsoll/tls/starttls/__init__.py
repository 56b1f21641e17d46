"""What is said before TLS begins, protocol by protocol: one machine a file, without sockets.

`open_with(name)` makes the machine; `Opening` is what all of them can do.
"""

from __future__ import annotations

from typing import Protocol


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

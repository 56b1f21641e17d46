"""Remote Desktop (MS-RDPBCGR 2.2.1.1): X.224 connection request with the wish for TLS."""

from __future__ import annotations

import struct

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.packets import PacketOpening

_SSL, _HYBRID = 1, 2
_NEGOTIATION = struct.pack("<BBHI", 1, 0, 8, _SSL | _HYBRID)
_REQUEST = bytes([6 + len(_NEGOTIATION), 0xE0, 0, 0, 0, 0, 0]) + _NEGOTIATION
#: MS-RDPBCGR 2.2.1.2.2, the codes of a refusal.
_REFUSALS = {
    1: "TLS is required by the server",
    2: "TLS is not allowed by the server",
    3: "the server has no certificate",
    4: "inconsistent flags",
    5: "the server requires CredSSP",
    6: "the server requires TLS with a client certificate",
}


class Rdp(PacketOpening):
    """A remote desktop's client."""

    first = struct.pack(">BBH", 3, 0, 4 + len(_REQUEST)) + _REQUEST

    def look(self) -> bytes:
        if len(self._buffer) < 4:
            return b""
        version, _, length = struct.unpack_from(">BBH", self._buffer)
        if version != 3 or not 11 <= length <= 512:
            raise self.foreign("Remote Desktop")
        if len(self._buffer) < length:
            return b""
        packet = self.take(length)
        if packet[5] & 0xF0 != 0xD0:
            raise OpeningError(f"the server answers the connection request with TPDU {packet[5]:#04x}, no confirmation")
        if length < 19:
            raise OpeningError("the server knows only Remote Desktop's own encryption, no TLS")
        kind, _, _, value = struct.unpack_from("<BBHI", packet, 11)
        if kind == 3:
            raise OpeningError(f"the server refuses TLS: {_REFUSALS.get(value, f'code {value}')}")
        if kind != 2 or not value & (_SSL | _HYBRID | 8):
            raise OpeningError("the server chose Remote Desktop's own encryption, no TLS")
        self.ready = True
        return b""

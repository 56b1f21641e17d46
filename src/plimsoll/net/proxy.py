"""The PROXY protocol header, versions 1 and 2, as a load balancer puts it before the hello. Sans-IO.

It names the peer's real address, so it is read only from proxies that the configuration trusts.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_V1_LONGEST = 107  # with its line end, by the protocol's own count
_V2_LONGEST = 16 + 4096


#: The detail of a sighting: a header came from an address whose header is not read.
UNTRUSTED_HEADER = "PROXY header of nobody trusted"


class ProxyHeaderError(ValueError):
    """A trusted proxy sent something that begins like a header and is none."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """The peer behind the proxy, or None for the proxy's own connections (LOCAL, UNKNOWN). `length` is in bytes."""

    source: tuple[str, int] | None
    length: int


def begins_proxy_header(data: bytes) -> bool:
    """Whether this is a header, as far as one can tell without reading it."""
    return data.startswith((_V1, _V2))


def peek_proxy_header(data: bytes) -> ProxyHeader | int | None:
    """The header at the start of the data; how many bytes it needs in all; or None where there is none."""
    if data[: len(_V2)] == _V2[: len(data)]:
        return _version_2(data) if len(data) >= 16 else 16
    if data.startswith(_V1):
        return _version_1(data)
    return len(_V1) if data and _V1.startswith(data) else None


def _version_1(data: bytes) -> ProxyHeader | int:
    end = data.find(b"\r\n", 0, _V1_LONGEST)
    if end < 0:
        if len(data) >= _V1_LONGEST:
            raise ProxyHeaderError("a PROXY line without an end")
        return len(data) + 1
    fields = data[:end].decode("ascii", "replace").split(" ")
    if fields[1:2] == ["UNKNOWN"]:
        return ProxyHeader(None, end + 2)
    if len(fields) != 6 or fields[1] not in ("TCP4", "TCP6"):
        raise ProxyHeaderError("a malformed PROXY line")
    try:
        return ProxyHeader((str(ipaddress.ip_address(fields[2])), _port(fields[4])), end + 2)
    except ValueError as error:
        raise ProxyHeaderError("a malformed PROXY line") from error


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ValueError("not a port")
    return int(text)


def _version_2(data: bytes) -> ProxyHeader | int:
    command, family = data[12], data[13]
    length = 16 + int.from_bytes(data[14:16], "big")
    if command not in (0x20, 0x21) or length > _V2_LONGEST:
        raise ProxyHeaderError("a malformed PROXY header")
    if len(data) < length:
        return length
    size = {0x11: 4, 0x21: 16}.get(family)
    if command == 0x20 or size is None:
        return ProxyHeader(None, length)
    if length < 16 + 2 * size + 4:
        raise ProxyHeaderError("a PROXY header without its addresses")
    address = ipaddress.ip_address(data[16 : 16 + size])
    return ProxyHeader((str(address), int.from_bytes(data[16 + 2 * size : 18 + 2 * size], "big")), length)

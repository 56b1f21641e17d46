"""The bodies of the extensions that Plimsoll reads and writes.

A reader raises BoundsError for a body that breaks its own lengths.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from plimsoll.tls.buffer import BoundsError, Reader, Writer

Extension = tuple[int, bytes]


def read_number_list(body: bytes, width: int = 2) -> tuple[int, ...]:
    """Two-byte numbers behind one length field: groups and schemes (width 2), a client's versions (width 1)."""
    length = len(body) - width
    if length <= 0 or length % 2 or int.from_bytes(body[:width], "big") != length:
        raise BoundsError("a list of numbers whose length is wrong")
    return struct.unpack_from(f">{length // 2}H", body, width)


def read_server_name(body: bytes) -> str:
    """The host name of a client's server_name (RFC 6066 §3)."""
    reader = Reader(body)
    names = reader.window(2)
    reader.finish()
    if names.number(1) != 0:
        raise BoundsError("a server name that is no host name")
    name = names.vector(2, least=1)
    names.finish()
    # Never decoded further than one character a byte: what a stranger sent must survive to the record as it was.
    return name.decode("ascii", "backslashreplace")


def read_alpn(body: bytes) -> tuple[bytes, ...]:
    """The protocol names of an ALPN extension (RFC 7301 §3.1)."""
    reader = Reader(body)
    names = reader.window(2)
    reader.finish()
    found = []
    while names.remaining:
        found.append(names.vector(1, least=1))
    if not found:
        raise BoundsError("an empty list of protocols")
    return tuple(found)


def number_list(code: int, values: Iterable[int], width: int = 2) -> Extension:
    """What `read_number_list` reads."""
    return code, bytes(Writer().vector(bytes(Writer().numbers(values, 2)), width))


def server_name(name: str) -> Extension:
    """A server_name extension with one host name."""
    entry = Writer().number(0, 1).vector(name.encode("ascii"), 2)
    return 0, bytes(Writer().vector(bytes(entry), 2))


def alpn(names: Iterable[bytes]) -> Extension:
    """An ALPN extension."""
    entries = Writer()
    for name in names:
        entries.vector(name, 1)
    return 16, bytes(Writer().vector(bytes(entries), 2))


def read_block(reader: Reader) -> tuple[Extension, ...]:
    """A block of extensions behind its length field, or none where nothing is left. Order and repeats are kept."""
    if not reader.remaining:
        return ()
    block = reader.window(2)
    found = []
    while block.remaining:
        found.append((block.number(2), block.vector(2)))
    return tuple(found)


def write_block(writer: Writer, extensions: Iterable[Extension]) -> None:
    """What `read_block` reads, with its length field."""
    with writer.block(2) as block:
        for code, body in extensions:
            block.number(code, 2).vector(body, 2)

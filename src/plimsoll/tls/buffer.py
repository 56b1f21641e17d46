"""A bounded reader and a writer for the length-prefixed structures of TLS.

A reader sees only its own window, so a declared length is law: what is inside one vector can never be read as the
next. Both ends raise `BoundsError` and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class BoundsError(ValueError):
    """A read past the end of the window, bytes left over in it, or a value too long for its length field."""


class Reader:
    """Reads big-endian numbers and vectors from one window of bytes."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._position = start
        self._end = len(data) if end is None else end
        if not 0 <= start <= self._end <= len(data):
            raise BoundsError("the window lies outside the data")

    @property
    def remaining(self) -> int:
        """Bytes not yet read."""
        return self._end - self._position

    def number(self, width: int) -> int:
        """An unsigned big-endian number of that many bytes."""
        return int.from_bytes(self.take(width), "big")

    def take(self, length: int) -> bytes:
        """Exactly that many bytes."""
        start = self._position
        if length < 0 or length > self._end - start:
            raise BoundsError(f"{length} bytes wanted, {self._end - start} left")
        self._position = start + length
        return self._data[start : self._position]

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self.take(self.remaining)

    def vector(self, width: int, *, least: int = 0, most: int | None = None) -> bytes:
        """A vector behind a length field of that width, with bounds on its length in bytes."""
        length = self.number(width)
        if length < least or (most is not None and length > most):
            raise BoundsError(f"a vector of {length} bytes is outside its bounds")
        return self.take(length)

    def window(self, width: int) -> Reader:
        """A reader over a vector behind a length field of that width; this reader goes on after it."""
        length = self.number(width)
        start = self._position
        self.take(length)
        return Reader(self._data, start, start + length)

    def numbers(self, width: int) -> tuple[int, ...]:
        """All that is left, as numbers of that width."""
        if self.remaining % width:
            raise BoundsError(f"{self.remaining} bytes are no whole number of {width}-byte items")
        return tuple(self.number(width) for _ in range(self.remaining // width))

    def finish(self) -> None:
        """Raise BoundsError if bytes are left over."""
        if self.remaining:
            raise BoundsError(f"{self.remaining} bytes left over")


class Writer:
    """Builds what `Reader` reads."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts = bytearray()

    def number(self, value: int, width: int) -> Writer:
        """Append an unsigned big-endian number of that many bytes."""
        try:
            self._parts += value.to_bytes(width, "big")
        except OverflowError:
            raise BoundsError(f"{value} does not fit into {width} bytes") from None
        return self

    def numbers(self, values: Iterable[int], width: int) -> Writer:
        """Append each number with that width."""
        if width != 2:
            for value in values:
                self.number(value, width)
            return self
        listed = tuple(values)
        try:
            self._parts += struct.pack(f">{len(listed)}H", *listed)
        except struct.error:
            raise BoundsError("a value that does not fit into 2 bytes") from None
        return self

    def raw(self, data: bytes) -> Writer:
        """Append bytes as they are."""
        self._parts += data
        return self

    def vector(self, data: bytes, width: int) -> Writer:
        """Append a length field of that width and the bytes."""
        return self.number(len(data), width).raw(data)

    @contextmanager
    def block(self, width: int) -> Iterator[Writer]:
        """What is written inside goes behind a length field of that width."""
        inner = Writer()
        yield inner
        self.vector(bytes(inner), width)

    def __bytes__(self) -> bytes:
        return bytes(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

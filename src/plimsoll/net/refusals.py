"""What has been refused before is known again without reading it anew.

An old client that is refused tries again, and a fleet has many of the same build: their hellos differ in the 32 random
bytes alone. Known hellos save most of what a refusal costs beside its system calls.
"""

from __future__ import annotations

from typing import NamedTuple

from plimsoll.net.sightings import Kind, kind_of
from plimsoll.tls.hello import ClientHello
from plimsoll.tls.versions import Version

#: A record's header, a message's header and a version come before the random bytes.
_RANDOM = 11
_AFTER_RANDOM = _RANDOM + 32
_HANDSHAKE = 22
#: Old clients' hellos are short; new ones bring a key share, which differs each time.
_LONGEST = 1024


class Refusal(NamedTuple):
    """A hello that was refused, and what was said to it. Its random bytes are of the first one that came."""

    hello: ClientHello
    newest: Version | None
    kind: Kind
    answer: bytes


class Refusals:
    """Bounded: when it is full it begins anew, so that hellos made to be new each time cost memory once."""

    def __init__(self, capacity: int = 256) -> None:
        self._capacity = capacity
        self._known: dict[bytes, Refusal] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, data: bytes) -> Refusal | None:
        """The refusal of a hello that was the same but for its random bytes."""
        return self._known.get(data[:_RANDOM] + data[_AFTER_RANDOM:])

    def keep(self, data: bytes, hello: ClientHello, answer: bytes) -> Refusal:
        """Remember it where that is safe: a hello in one record, with nothing behind it.

        Then the lengths that say where the random bytes are belong to what must be the same.
        """
        refusal = Refusal(hello, hello.newest, kind_of(hello), answer)
        size = len(data)
        if data[0] == _HANDSHAKE and _AFTER_RANDOM < size <= _LONGEST and 5 + (data[3] << 8 | data[4]) == size:
            if len(self._known) >= self._capacity:
                self._known.clear()
            self._known[data[:_RANDOM] + data[_AFTER_RANDOM:]] = refusal
        return refusal

"""What to scan: targets from arguments, files and standard input, handed out one by one and each once.

A list is read twice: once to find every fault before the first connection (and to count), once to hand the targets
out. Between the two only eight bytes a line are kept, and networks by their bounds, so that a list of a million lines
costs 8 MiB.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from plimsoll.scan.report import Target
from plimsoll.scan.spans import Spans
from plimsoll.scan.target_words import DEFAULT_PORT, SCHEMES, Given, TargetError, address_text, understand, words_of
from plimsoll.tls.starttls import DEFAULT_OPENINGS, OPENINGS

__all__ = [
    "DEFAULT_PORT",
    "OPENING_OF_PORT",
    "SCHEMES",
    "Given",
    "Source",
    "TargetError",
    "TargetList",
    "endpoint_key",
    "understand",
]

#: What is said before TLS on a port whose opening was not given.
OPENING_OF_PORT: Final = DEFAULT_OPENINGS

#: One place that targets come from: a name for errors, and how to read its lines anew from the start.
Source = tuple[str, Callable[[], Iterable[str]]]
#: Addresses of one version at one port with one opening.
_Group = tuple[int, int, str]
_NUMBERS: Final = {name: number for number, name in enumerate(("", *OPENINGS))}


class TargetList:
    """Targets of several sources, checked and counted, without duplicates.

    `server_name` and `opening` hold for all targets where given. `skip` says whether an endpoint was done before, and
    `done` how many were. `total` counts what is left to do (a little too much where single IPv6 addresses lie in
    given networks), `duplicates` what was given again. Raises TargetError for
    the first line that is not understood: then nothing is scanned.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        server_name: str | None = None,
        opening: str | None = None,
        skip: Callable[[Target], bool] | None = None,
        done: int = 0,
    ) -> None:
        self._sources = sources
        self._server_name = server_name
        self._opening = opening
        self._skip = skip
        self._blocks: dict[_Group, Spans] = {}
        self.duplicates = 0
        self.total = 0
        self._twice = self._check()
        self.total = max(0, self.total - done)

    def _check(self) -> frozenset[int]:
        """Read all; which keys of single endpoints came more than once."""
        named, literal = array("Q"), array("Q")
        given_in_all = 0
        for given in self._all():
            given_in_all += given.count * len(given.ports)
            for port in given.ports:
                group = self._group(given, port)
                if given.count > 1:
                    spans = self._blocks.setdefault(group, Spans())
                    spans.add(given.first, given.first + given.count)
                else:
                    (literal if given.version == 4 else named).append(_key(given, group))
        twice: set[int] = set()
        for keys in (named, literal):
            self.total += _sift(keys, twice)
        self.total += sum(spans.count() for spans in self._blocks.values())
        if any(version == 4 for version, _, _ in self._blocks):
            self.total -= sum(self._in_block(key) for key in set(literal))
        self.duplicates = given_in_all - self.total
        return frozenset(twice)

    def _in_block(self, key: int) -> bool:
        """Whether a single IPv4 address, given by its key, lies in a network or range that was given too."""
        opening = ("", *OPENINGS)[key >> 48]
        block = self._blocks.get((4, key >> 32 & 0xFFFF, opening))
        return block is not None and key & 0xFFFF_FFFF in block

    def _all(self) -> Iterator[Given]:
        for name, lines in self._sources:
            number = 0
            try:
                for number, line in enumerate(lines(), 1):
                    for word in words_of(line):
                        try:
                            yield understand(word)
                        except TargetError as error:
                            raise TargetError(f"{name}, line {number}: {error}" if name else str(error)) from None
            except UnicodeDecodeError:
                # Files are decoded in pieces, so that the fault may stand some lines further on.
                raise TargetError(f"{name}, after line {number}: this is no text in UTF-8") from None

    def __iter__(self) -> Iterator[Target]:
        seen: set[int] = set()
        blocks: dict[_Group, Spans] = {}
        for given in self._all():
            for port in given.ports:
                group = self._group(given, port)
                for host in self._hosts(given, group, seen, blocks):
                    target = self._target(given, host, group)
                    if self._skip is None or not self._skip(target):
                        yield target

    def _hosts(self, given: Given, group: _Group, seen: set[int], blocks: dict[_Group, Spans]) -> Iterator[str]:
        """The hosts that were not handed out before. A single address is left to a network that has it."""
        if given.count > 1:
            spans = blocks.setdefault(group, Spans())
            for start, end in spans.add(given.first, given.first + given.count):
                for number in range(start, end):
                    yield address_text(given.version, number)
            return
        key = _key(given, group)
        if key in seen:
            return
        if key in self._twice:
            seen.add(key)
        block = self._blocks.get(group) if given.version and "%" not in given.host else None
        if block is None or given.first not in block:
            yield given.host

    def _group(self, given: Given, port: int) -> _Group:
        opening = self._opening if self._opening is not None else given.opening
        return given.version, port, DEFAULT_OPENINGS.get(port, "") if opening is None else opening

    def _target(self, given: Given, host: str, group: _Group) -> Target:
        name = self._server_name
        if name is None:
            # An address never goes into SNI (RFC 6066 §3), and neither does a name's last dot.
            name = "" if given.version else host.removesuffix(".")
        return Target(host, group[1], group[2], name)


def _sift(keys: array[int], twice: set[int]) -> int:
    """How many different keys there are; those that came more than once go into `twice`."""
    different = 0
    last = None
    for key in sorted(keys):
        if key == last:
            twice.add(key)
        else:
            different += 1
        last = key
    return different


def _key(given: Given, group: _Group) -> int:
    """Eight bytes that stand for an endpoint within this process.

    Of an IPv4 address they say all there is; else they are a keyed hash (SipHash), whose collisions nobody can make.
    """
    version, port, opening = group
    if version == 4:
        return _NUMBERS[opening] << 48 | port << 32 | given.first
    return hash((given.host.removesuffix("."), port, opening)) & 0xFFFF_FFFF_FFFF_FFFF


def endpoint_key(target: Target) -> int:
    """Eight bytes that stand for an endpoint as it was asked, the same in every process."""
    import hashlib

    text = f"{target.host}\0{target.port}\0{target.opening}\0{target.server_name}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")

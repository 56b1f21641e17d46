"""What to scan, as people write it: names, addresses, networks, ranges, from arguments, files and standard input.

A list is read twice: once to find every fault before the first connection (and to count), once to hand the targets
out. Between the two only eight bytes a line are kept, so a list of a million lines costs 8 MiB.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from plimsoll.scan.report import Target

DEFAULT_PORT: Final = 443
#: More addresses than a /8 in one line are a slip of the pen.
_MOST: Final = 1 << 24

#: Scheme, opening, and the port where none is given (IANA's registry of services).
SCHEMES: Final = {
    "tls": ("", 443),
    "https": ("", 443),
    "smtps": ("", 465),
    "imaps": ("", 993),
    "pop3s": ("", 995),
    "ldaps": ("", 636),
    "ftps": ("", 990),
    "nntps": ("", 563),
    "smtp": ("smtp", 25),
    "lmtp": ("lmtp", 24),
    "imap": ("imap", 143),
    "pop3": ("pop3", 110),
    "ftp": ("ftp", 21),
    "ldap": ("ldap", 389),
    "xmpp": ("xmpp", 5222),
    "nntp": ("nntp", 119),
    "sieve": ("sieve", 4190),
    "postgres": ("postgres", 5432),
    "postgresql": ("postgres", 5432),
    "mysql": ("mysql", 3306),
    "mssql": ("mssql", 1433),
    "rdp": ("rdp", 3389),
}
#: What is said before TLS on a port whose opening was not given.
OPENING_OF_PORT: Final = {port: opening for opening, port in SCHEMES.values() if opening} | {587: "smtp", 5269: "xmpp"}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Addresses = ipaddress.IPv4Address | ipaddress.IPv6Address
_RANGE: Final = re.compile(r"(\d+\.\d+\.\d+\.)(\d+)-(\d+)$")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)$", re.IGNORECASE)


class TargetError(ValueError):
    """A target that cannot be understood. The text says which, where it stood, and why."""


@dataclass(frozen=True, slots=True)
class Given:
    """One word as it was understood: hosts from `first` on, `count` of them, each at `ports`."""

    text: str
    host: str
    ports: tuple[int, ...]
    opening: str | None
    first: int = 0
    count: int = 1

    @property
    def several(self) -> bool:
        return self.count > 1

    def hosts(self) -> Iterator[str]:
        if not self.several:
            yield self.host
            return
        make = ipaddress.IPv6Address if ":" in self.host else ipaddress.IPv4Address
        for number in range(self.first, self.first + self.count):
            yield str(make(number))


def understand(word: str) -> Given:
    """Read one target. Raises TargetError.

    Forms: ``name``, ``name:port``, ``name:port,port``, ``address``, ``[v6]:port``, a bare IPv6 address,
    ``10.0.0.0/24`` and ``10.0.0.1-20`` with or without port, each with ``scheme://`` before it.
    """
    scheme, separator, rest = word.partition("://")
    opening: str | None = None
    default = 0
    if separator:
        if scheme.lower() not in SCHEMES:
            raise TargetError(f"{word!r}: the scheme {scheme!r} is not known; known are {', '.join(sorted(SCHEMES))}")
        opening, default = SCHEMES[scheme.lower()]
        rest = rest.rstrip("/")
    else:
        rest = word
    host, port_text = _split(rest)
    ports = _ports(word, port_text) if port_text else (default or DEFAULT_PORT,)
    return _hosts(word, host, ports, opening)


def _split(text: str) -> tuple[str, str]:
    """Host and ports, of which a bare IPv6 address has none."""
    if text.startswith("["):
        host, closed, after = text[1:].partition("]")
        network, colon, ports = after.partition(":")
        return (host + network, ports if colon else "") if closed else (text, "")
    if text.count(":") > 1:
        return text, ""
    host, _, ports = text.partition(":")
    return host, ports


def _ports(word: str, text: str) -> tuple[int, ...]:
    ports = []
    for part in text.split(","):
        if not part.isdecimal() or not 0 < int(part) < 65536:
            raise TargetError(f"{word!r}: {part!r} is not a port (1 to 65535)")
        ports.append(int(part))
    return tuple(dict.fromkeys(ports))


def _hosts(word: str, host: str, ports: tuple[int, ...], opening: str | None) -> Given:
    if not host:
        raise TargetError(f"{word!r} names no host")
    if "/" in host:
        try:
            network = ipaddress.ip_network(host, strict=False)
        except ValueError as error:
            raise TargetError(f"{word!r}: {error}") from None
        return _several(word, network, int(network[0]), network.num_addresses, ports, opening)
    matched = _RANGE.match(host)
    if matched is not None:
        first, last = int(matched[2]), int(matched[3])
        try:
            start = ipaddress.ip_address(matched[1] + str(first))
        except ValueError as error:
            raise TargetError(f"{word!r}: {error}") from None
        if not first <= last < 256:
            raise TargetError(f"{word!r}: the range {first}-{last} does not go upwards within 0 to 255")
        return Given(word, str(start), ports, opening, int(start), last - first + 1)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return Given(word, _name(word, host), ports, opening)
    return Given(word, str(address), ports, opening, int(address))


def _several(word: str, network: Network, first: int, count: int, ports: tuple[int, ...], opening: str | None) -> Given:
    """The hosts of a network: without its own and its broadcast address, where it has such."""
    if count > _MOST:
        raise TargetError(f"{word!r} has {count} addresses; at most {_MOST} in one line")
    if network.version == 4 and count > 2:
        first, count = first + 1, count - 2
    make = ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address
    return Given(word, str(make(first)), ports, opening, first, count)


def _name(word: str, host: str) -> str:
    """A name as DNS has it (RFC 1123; IDNA where it is not ASCII)."""
    try:
        ascii_name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise TargetError(f"{word!r} is no host name: {error}") from None
    labels = ascii_name.removesuffix(".").split(".")
    if len(ascii_name) > 253 or not all(_LABEL.match(label) for label in labels):
        raise TargetError(f"{word!r} is neither a host name nor an address")
    if labels[-1].isdecimal():
        raise TargetError(f"{word!r} looks like an IPv4 address and is none")
    return ascii_name.lower()


#: One place that targets come from: a name for errors, and how to read its lines anew from the start.
Source = tuple[str, Callable[[], Iterable[str]]]


class TargetList:
    """Targets of several sources, checked and counted, without duplicates.

    `server_name` and `opening` hold for all targets where given. `skip` says whether an endpoint was done before.
    Raises TargetError for the first line that is not understood: then nothing is scanned.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        server_name: str | None = None,
        opening: str | None = None,
        skip: Callable[[Target], bool] | None = None,
    ) -> None:
        self._sources = sources
        self._server_name = server_name
        self._opening = opening
        self._skip = skip
        self._blocks: list[Given] = []
        self.total = 0
        self.duplicates = 0
        self._twice = self._check()

    def _check(self) -> frozenset[int]:
        keys = array("Q")
        for given in self._all():
            if given.several:
                self._blocks.append(given)
                self.total += given.count * len(given.ports)
                continue
            self.total += len(given.ports)
            keys.extend(_key(given.host, port) for port in given.ports)
        ordered = sorted(keys)
        return frozenset(one for one, other in itertools.pairwise(ordered) if one == other)

    def _all(self) -> Iterator[Given]:
        for name, lines in self._sources:
            for number, line in enumerate(lines(), 1):
                for word in line.partition("#")[0].split():
                    try:
                        yield understand(word)
                    except TargetError as error:
                        where = f"{name}, line {number}: " if name else ""
                        raise TargetError(f"{where}{error}") from None

    def __iter__(self) -> Iterator[Target]:
        seen: set[int] = set()
        blocks: list[Given] = []
        for given in self._all():
            for host in given.hosts():
                for port in given.ports:
                    if self._again(given, host, port, seen, blocks):
                        self.duplicates += 1
                        continue
                    target = self._target(given, host, port)
                    if self._skip is None or not self._skip(target):
                        yield target
            if given.several:
                blocks.append(given)

    def _again(self, given: Given, host: str, port: int, seen: set[int], blocks: list[Given]) -> bool:
        if not given.several:
            key = _key(host, port)
            if key in self._twice:
                if key in seen:
                    return True
                seen.add(key)
            # All blocks, also later ones, cover a single address; it is left to them.
            return any(_covers(block, host, port) for block in self._blocks)
        return any(_covers(block, host, port) for block in blocks)

    def _target(self, given: Given, host: str, port: int) -> Target:
        opening = self._opening if self._opening is not None else given.opening
        if opening is None:
            opening = OPENING_OF_PORT.get(port, "")
        name = self._server_name
        if name is None:
            name = "" if _is_address(host) else host.removesuffix(".")
        return Target(host, port, opening, name)


def _covers(block: Given, host: str, port: int) -> bool:
    if port not in block.ports or not _is_address(host) or (":" in host) != (":" in block.host):
        return False
    return block.first <= int(ipaddress.ip_address(host)) < block.first + block.count


def _is_address(host: str) -> bool:
    return ":" in host or host.rpartition(".")[2].isdecimal()


def _key(host: str, port: int) -> int:
    """Eight bytes that stand for an endpoint within this process (keyed SipHash, whose collisions nobody can make)."""
    return hash((host, port)) & 0xFFFF_FFFF_FFFF_FFFF


def endpoint_key(target: Target) -> int:
    """Eight bytes that stand for an endpoint as it was asked, the same in every process."""
    import hashlib

    text = f"{target.host}\0{target.port}\0{target.opening}\0{target.server_name}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")

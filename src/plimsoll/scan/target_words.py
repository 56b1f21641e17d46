"""One target as people write it: a name, an address, a network, a range, with ports and what is said before TLS."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

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
    "submission": ("smtp", 587),
    "lmtp": ("lmtp", 24),
    "imap": ("imap", 143),
    "pop3": ("pop3", 110),
    "ftp": ("ftp", 21),
    "ldap": ("ldap", 389),
    "xmpp": ("xmpp", 5222),
    "xmpp-server": ("xmpp-server", 5269),
    "nntp": ("nntp", 119),
    "sieve": ("sieve", 4190),
    "postgres": ("postgres", 5432),
    "postgresql": ("postgres", 5432),
    "mysql": ("mysql", 3306),
    "mariadb": ("mysql", 3306),
    "mssql": ("mssql", 1433),
    "rdp": ("rdp", 3389),
}

_RANGE: Final = re.compile(r"(\d{1,3}\.\d{1,3}\.\d{1,3}\.)(\d{1,3})-(\d{1,3}\.\d{1,3}\.\d{1,3}\.)?(\d{1,3})", re.ASCII)
_DIGITS: Final = re.compile(r"[0-9.]+")
_LABEL: Final = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
#: As DNS has it (RFC 1123), with the underscore that people use all the same.
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_SCOPE: Final = re.compile(r"[\w.-]{1,15}", re.ASCII)


class TargetError(ValueError):
    """A target that cannot be understood. The text says which, where it stood, and why."""


@dataclass(frozen=True, slots=True)
class Given:
    """One word as it was understood: `count` hosts from `host` on, each at `ports`.

    `first` is the address as a number, and `version` 4 or 6; of a name both are 0. `opening` is None where the word
    said nothing about it.
    """

    host: str
    ports: tuple[int, ...]
    opening: str | None
    version: int = 0
    first: int = 0
    count: int = 1


def address_text(version: int, number: int) -> str:
    """An address as it is written."""
    return str(ipaddress.IPv6Address(number) if version == 6 else ipaddress.IPv4Address(number))


def understand(word: str) -> Given:
    """Read one target. Raises TargetError.

    Forms: ``name``, ``name:port``, ``name:port,port``, ``address``, ``[v6]:port``, a bare IPv6 address,
    ``10.0.0.0/24``, ``10.0.0.1-20`` and ``10.0.0.1-10.0.0.20`` with or without port, each with ``scheme://`` before it.
    """
    if "@" in word:  # the word is not repeated: it may hold a password
        raise TargetError("a target has a host and ports, and no user or password with @ before them")
    scheme, separator, rest = word.partition("://")
    opening: str | None = None
    default = DEFAULT_PORT
    if separator:
        if scheme.lower() not in SCHEMES:
            raise TargetError(f"{word!r}: the scheme {scheme!r} is not known; known are {', '.join(sorted(SCHEMES))}")
        opening, default = SCHEMES[scheme.lower()]
        rest = _without_path(rest)
    else:
        rest = word
    host, port_text = _split(word, rest)
    ports = (default,) if port_text is None else _ports(word, port_text)
    return _hosts(word, host, ports, opening)


def _without_path(rest: str) -> str:
    """Of an address as browsers know it, host and port; the number after a network's slash stays."""
    before, slash, after = rest.partition("/")
    if slash and after[:1].isdigit() and _DIGITS.fullmatch(before.partition(":")[0]):
        return rest.rstrip("/")
    if rest.startswith("[") and slash and "]" in after:  # [2001:db8::/120]
        return rest
    if slash and before.endswith("]") and after[:1].isdigit():  # [2001:db8::]/120
        return rest
    return before


def _split(word: str, text: str) -> tuple[str, str | None]:
    """Host and ports; a bare IPv6 address has none."""
    if text.startswith("["):
        host, closed, after = text[1:].partition("]")
        network, colon, ports = after.partition(":")
        if not closed or ":" not in host or (network and not network.startswith("/")):
            raise TargetError(f"{word!r}: brackets belong around an IPv6 address, as in [2001:db8::1]:443")
        return host + network, ports if colon else None
    if text.count(":") > 1 and "," not in text:
        return text, None
    host, colon, ports = text.partition(":")
    return host, ports if colon else None


def _ports(word: str, text: str) -> tuple[int, ...]:
    ports: dict[int, None] = {}
    for part in text.split(","):
        if not (part.isascii() and part.isdecimal()) or len(part) > 5 or not 0 < int(part) < 65536:
            raise TargetError(f"{word!r}: {part!r} is not a port (1 to 65535)")
        ports[int(part)] = None
    return tuple(ports)


def _hosts(word: str, host: str, ports: tuple[int, ...], opening: str | None) -> Given:
    if not host:
        raise TargetError(f"{word!r} names no host")
    if "/" in host:
        return _network(word, host, ports, opening)
    if "-" in host and _RANGE.fullmatch(host):
        return _range(word, host, ports, opening)
    if ":" in host or _DIGITS.fullmatch(host):
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            what = "an IPv6" if ":" in host else "an IPv4"
            raise TargetError(f"{word!r} looks like {what} address and is none") from None
        scope = address.scope_id if address.version == 6 else None
        if scope is not None and not _SCOPE.fullmatch(scope):
            raise TargetError(f"{word!r}: {scope!r} is no interface")
        return Given(str(address), ports, opening, address.version, int(address))
    return Given(_name(word, host), ports, opening)


def _network(word: str, host: str, ports: tuple[int, ...], opening: str | None) -> Given:
    """The hosts of a network: without its own and its broadcast address, where it has such."""
    try:
        network = ipaddress.ip_network(host, strict=False)
    except ValueError as error:
        raise TargetError(f"{word!r} is no network: {error}") from None
    if getattr(network.network_address, "scope_id", None) is not None:
        raise TargetError(f"{word!r}: a network has no interface after %")
    first, count = int(network.network_address), network.num_addresses
    if count > _MOST:
        raise TargetError(f"{word!r} has {count} addresses; at most {_MOST} in one line")
    if network.version == 4 and count > 2:
        first, count = first + 1, count - 2
    return Given(address_text(network.version, first), ports, opening, network.version, first, count)


def _range(word: str, host: str, ports: tuple[int, ...], opening: str | None) -> Given:
    begin, _, end = host.partition("-")
    try:
        first = ipaddress.IPv4Address(begin)
        last = ipaddress.IPv4Address(end if "." in end else begin.rpartition(".")[0] + "." + end)
    except ValueError as error:
        raise TargetError(f"{word!r}: {error}") from None
    count = int(last) - int(first) + 1
    if count < 1:
        raise TargetError(f"{word!r}: the range does not go upwards")
    if count > _MOST:
        raise TargetError(f"{word!r} has {count} addresses; at most {_MOST} in one line")
    return Given(str(first), ports, opening, 4, int(first), count)


def _name(word: str, host: str) -> str:
    """A name in the form that DNS and SNI want: lower case, IDNA where it is not ASCII."""
    name = host
    if not host.isascii():
        try:
            name = host[:1000].encode("idna").decode("ascii")
        except UnicodeError as error:
            raise TargetError(f"{word!r} is no host name: {error}") from None
    name = name.lower()
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise TargetError(f"{word!r} is neither a host name nor an address")
    if name.removesuffix(".").rpartition(".")[2].isdecimal():
        raise TargetError(f"{word!r} looks like an IPv4 address and is none")
    return name


def words_of(line: str) -> Iterator[str]:
    """The targets of a line, without its comment."""
    yield from line.partition("#")[0].split()

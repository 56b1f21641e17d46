"""What a scan may look at: the fleet's own ports, and what lies in the networks that the configuration names.

Rules of this file: an endpoint that is not the fleet's own is judged by its address after resolution, and that address
is what is scanned afterwards: a name that resolves to another one meanwhile leads nowhere. Where no network is named,
no name is resolved either, so that nothing leaves the manager.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from plimsoll.manager.config import Network
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.guard import some_of
from plimsoll.manager.services.proving import Place
from plimsoll.scan.report import Target
from plimsoll.scan.resolve import Address, Resolver, literal
from plimsoll.scan.targets import TargetError, TargetList
from plimsoll.tls.starttls import OPENINGS

#: Endpoints of one scan: a scan of so many takes half an hour, and its report has some 100 MB.
MOST_ENDPOINTS = 10_000
#: Names in one scan: each is looked up while the request waits.
MOST_NAMES = 500
PROPERTY = "scanNetworks="
_NOTHING = "nothing was scanned"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Whom to ask, and whose it is: `own` where it is a port of the fleet."""

    target: Target
    point: str = ""
    computer: str | None = None
    name: str = ""
    own: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of the fleet that has no port, or no address that is known, and why."""

    name: str
    computer: str | None
    reason: str

    def as_json(self) -> dict[str, str | None]:
        return {"name": self.name, "computer": self.computer, "reason": self.reason}


def of_places(places: Iterable[Place]) -> tuple[list[Endpoint], list[LeftOut]]:
    """The fleet's ports as endpoints, and those that have no address."""
    found, left = [], []
    for place in places:
        if place.address:
            target = Target(place.address, place.port)
            found.append(Endpoint(target, place.point.value, place.computer, place.name, own=True))
        else:
            left.append(LeftOut(place.name, place.computer, "its address is not known: it has not called yet"))
    return found, left


def of_words(
    words: Sequence[str], opening: str | None, places: Sequence[Place], networks: Collection[Network]
) -> list[Endpoint]:
    """Endpoints as people write them. Raises BadInput: for what is not understood, what does not resolve, what may not
    be scanned, and for too many.
    """
    if opening not in (None, "none", *OPENINGS):
        raise BadInput(f"the opening {opening!r} is not known; known are none, {', '.join(OPENINGS)}; {_NOTHING}")
    try:
        targets = TargetList([("", lambda: words)], opening="" if opening == "none" else opening)
    except TargetError as error:
        raise BadInput(f"{error}; {_NOTHING}") from None
    if targets.total > MOST_ENDPOINTS:
        raise BadInput(f"a scan has at most {MOST_ENDPOINTS} endpoints, and these are {targets.total}; {_NOTHING}")
    own = {(place.address, place.port): place for place in places if place.address}
    found: list[Endpoint] = []
    named: list[Target] = []
    refused: list[str] = []
    for target in targets:
        place = own.get((target.host, target.port))
        if place is not None:
            found.append(Endpoint(target, place.point.value, place.computer, place.name, own=True))
        elif literal(target.host, target.port) is None:
            named.append(target)
        elif (there := _plain(target.host)) and _covered(there, networks):
            found.append(Endpoint(Target(there, target.port, target.opening, target.server_name)))
        else:
            refused.append(str(target))
    if named and not networks:
        refused += map(str, named)
    if refused:
        raise BadInput(_not_covered(refused, networks))
    return found + list(_of_names(named, own, networks))


def _of_names(
    named: Sequence[Target], own: Mapping[tuple[str, int], Place], networks: Collection[Network]
) -> Iterator[Endpoint]:
    """Each address of a name is an endpoint of its own: they may be different servers."""
    hosts = {(target.host, target.port) for target in named}
    if len({host for host, _ in hosts}) > MOST_NAMES:
        raise BadInput(f"a scan has at most {MOST_NAMES} names; give addresses or networks; {_NOTHING}")
    known = _resolved(hosts)
    lost = [reason for _, reason in known.values() if reason]
    if lost:
        raise BadInput(f"{some_of(lost)}; {_NOTHING}")
    refused: list[str] = []
    for target in named:
        for _, where in known[target.host, target.port][0]:
            address = _plain(where[0])
            place = own.get((address, target.port))
            if place is None and not _covered(address, networks):
                refused.append(f"{target} ({address})")
                continue
            point, computer = ("", None) if place is None else (place.point.value, place.computer)
            yield Endpoint(
                Target(address, target.port, target.opening, target.server_name),
                point, computer, target.host if place is None else place.name, own=place is not None,
            )  # fmt: skip
    if refused:
        raise BadInput(_not_covered(refused, networks))


def _resolved(hosts: Collection[tuple[str, int]]) -> dict[tuple[str, int], tuple[list[Address], str]]:
    woken = threading.Event()
    resolver = Resolver(woken.set)
    found: dict[tuple[str, int], tuple[list[Address], str]] = {}

    def keep(host: str, port: int) -> None:
        def take(addresses: list[Address], reason: str) -> None:
            found[host, port] = addresses, reason

        resolver.ask(host, port, take)

    for host, port in hosts:
        keep(host, port)
    try:
        while resolver.pending:
            woken.wait(0.5)
            woken.clear()
            resolver.collect(time.monotonic())
    finally:
        resolver.close()
    return found


def _plain(host: str) -> str:
    """An address in its shortest form; an IPv4 address in IPv6's clothes is what it leads to."""
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def _covered(address: str, networks: Collection[Network]) -> bool:
    known = ipaddress.ip_address(address.partition("%")[0])
    return any(known.version == network.version and known in network for network in networks)


def _not_covered(refused: Sequence[str], networks: Collection[Network]) -> str:
    are = "is" if len(refused) == 1 else "are"
    there = f"which has {', '.join(map(str, networks))}" if networks else "which names none"
    return (
        f"{some_of(refused)} {are} not of the fleet and in no network of {PROPERTY} in configuration.properties,"
        f" {there}; {_NOTHING}. Add the network there, and plimsoll manager reload"
    )

"""What managers that share a database tell each other: what changed, so that each reads it anew. It decides nothing.

Rules of this file: news travels in the transaction whose outcome it is (`Core.write`), and so arrives once that is
committed and not otherwise. It names things, and never carries their values: a listener that missed something reads
everything, and a reader that is older than its news reads what is there. PostgreSQL bounds a message to 8,000 bytes;
what would be longer says "many".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from plimsoll.manager.services.hub import (
    AuthoritiesChanged,
    Change,
    ComputersChanged,
    EventRecorded,
    RelayGroupsChanged,
    SoftwareChanged,
)

#: Bytes of a message; NOTIFY takes less than 8,000.
LONGEST = 7_800
#: Computers that one message names: an id has 36 characters.
NAMED = 150


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """A refused hello that another manager saw, for the one that watches over the change under way."""

    point: str
    address: str
    ja4: str
    when: float
    offered: str | None = None
    negotiated: str | None = None
    computers: tuple[tuple[str, str], ...] = ()


class News(msgspec.Struct, omit_defaults=True):
    """`node` says it. `many` is for computers that are too many to be named."""

    node: str
    computers: list[str] = []
    many: bool = False
    floors: bool = False
    events: bool = False
    software: bool = False
    groups: bool = False
    authorities: bool = False
    refusals: list[Refusal] = []
    #: Addresses from which our own scans come, each with its seconds.
    probers: list[tuple[str, int]] = []


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(News)


def of_changes(node: str, changes: Iterable[Change]) -> News | None:
    """The news in what a transaction changed; None where others need not hear of it.

    4119's certificate is each node's own.
    """
    news, any_ = News(node), False
    for change in changes:
        any_ = True
        if isinstance(change, ComputersChanged):
            news.many = len(change.computers) > NAMED
            news.computers = [] if news.many else list(change.computers)
        elif isinstance(change, EventRecorded):
            news.events = True
        elif isinstance(change, SoftwareChanged):
            news.software = True
        elif isinstance(change, RelayGroupsChanged):
            news.groups = True
        elif isinstance(change, AuthoritiesChanged):
            news.authorities = True
        else:
            any_ = any_ and bool(news.computers or news.events)
    return news if any_ else None


def encode(news: News) -> str:
    text = _ENCODER.encode(news)
    if len(text) > LONGEST:
        text = _ENCODER.encode(
            News(news.node, many=True, floors=True, events=True, software=True, groups=True, authorities=True)
        )
    return text.decode()


def decode(text: str) -> News | None:
    """None for what is not ours, or of a later release in a way that cannot be read: then everything is read anew."""
    try:
        return _DECODER.decode(text)
    except msgspec.DecodeError:
        return None


def changes(news: News, everyone: Sequence[str] = ()) -> list[Change]:
    """What the hub is told of another manager's news. `everyone` are the computers that "many" means.

    Not of floors and authorities, which `node_link` looks after.
    """
    told: list[Change] = []
    computers = tuple(everyone if news.many else news.computers)
    if computers:
        told.append(ComputersChanged(computers))
    if news.software:
        told.append(SoftwareChanged())
    if news.groups:
        told.append(RelayGroupsChanged())
    return told

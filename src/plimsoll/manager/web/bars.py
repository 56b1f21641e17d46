"""A stacked chart of handshakes over time as rectangles on a sheet, so that a template only writes it down. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from plimsoll.manager.services.sightings import Bucket
from plimsoll.manager.web.picture import version_class
from plimsoll.manager.web.texts import count, plural

WIDTH, HEIGHT = 640, 150
#: Room for the axes, left and below.
_LEFT, _BELOW, _TOP = 70, 22, 10


@dataclass(frozen=True, slots=True)
class Rect:
    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One bucket: what it is stacked of from below, and all of it in a sentence."""

    x: float
    width: float
    rects: tuple[Rect, ...]
    said: str


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`kinds` are the classes that occur with their names, from below; `rows` the same as a table, the newest first:
    when, all, and the count of each kind.
    """

    width: int
    height: int
    left: int
    bottom: float
    bars: tuple[Bar, ...]
    up: tuple[Tick, ...]
    along: tuple[Tick, ...]
    kinds: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, int, tuple[int, ...]], ...]
    total: int


def chart(buckets: Sequence[Bucket], zone: datetime.tzinfo) -> Chart:
    """`zone` is that of the times. Buckets of a day are days of UTC and are called by their date there."""
    kinds = _kinds(buckets)
    most = max((bucket.count for bucket in buckets), default=0)
    top = _round_up(most)
    bottom = float(HEIGHT - _BELOW)
    step = (WIDTH - _LEFT) / max(len(buckets), 1)
    scale = (bottom - _TOP) / top
    bars, rows = [], []
    for place, bucket in enumerate(buckets):
        counts = tuple(_counted(bucket, kind) for kind, _ in kinds)
        name = _name(bucket, zone)
        y, rects = bottom, []
        for (kind, _), number in zip(kinds, counts, strict=True):
            if number:
                # At least a hair's breadth, so that one refusal among a million handshakes shows.
                high = max(number * scale, 1.5)
                y -= high
                x = _LEFT + place * step + 1
                rects.append(Rect(round(x, 2), round(y, 2), round(step - 2, 2), round(high, 2), kind))
        named = zip(kinds, counts, strict=True)
        parts = ", ".join(f"{title} {count(number)}" for (_, title), number in named if number)
        said = f"{name}: {parts or 'no handshake'}"
        bars.append(Bar(round(_LEFT + place * step, 2), round(step, 2), tuple(rects), said))
        rows.append((name, bucket.count, counts))
    return Chart(
        WIDTH,
        HEIGHT,
        _LEFT,
        bottom,
        tuple(bars),
        tuple(Tick(round(bottom - part * top * scale, 2), count(int(part * top))) for part in (0, 0.5, 1)),
        tuple(
            Tick(round(_LEFT + place * step, 2), _name(buckets[place], zone, short=True))
            for place in range(0, len(buckets), max(1, len(buckets) // 6))
        ),
        kinds,
        tuple(reversed(rows)),
        sum(bucket.count for bucket in buckets),
    )


def summary(buckets: Sequence[Bucket], what: str) -> str:
    """In one sentence, for those who do not see the bars."""
    total = sum(bucket.count for bucket in buckets)
    if not total:
        return f"No handshake in the last {what}."
    refused = sum(bucket.refused for bucket in buckets)
    early = sum(number for bucket in buckets for version, number in bucket.versions.items() if version.early)
    said = f"{plural(total, 'handshake')} in the last {what}"
    return f"{said}, {count(early)} of them with early TLS, {count(refused)} refused."


def _kinds(buckets: Sequence[Bucket]) -> tuple[tuple[str, str], ...]:
    versions = {version for bucket in buckets for version, number in bucket.versions.items() if number}
    found = [(version_class(version), version.label) for version in sorted(versions, reverse=True)]
    if any(bucket.failed for bucket in buckets):
        found.append(("failed", "failed"))
    if any(bucket.refused for bucket in buckets):
        found.append(("refused", "refused"))
    return tuple(found)


def _counted(bucket: Bucket, kind: str) -> int:
    if kind == "refused":
        return bucket.refused
    if kind == "failed":
        return bucket.failed
    return sum(number for version, number in bucket.versions.items() if version_class(version) == kind)


def _name(bucket: Bucket, zone: datetime.tzinfo, *, short: bool = False) -> str:
    if bucket.seconds >= 86400:
        day = datetime.datetime.fromtimestamp(bucket.start, datetime.UTC)
        return day.strftime("%m-%d" if short else "%Y-%m-%d UTC")
    begins = datetime.datetime.fromtimestamp(bucket.start, zone)
    return begins.strftime("%H:%M" if short else "%Y-%m-%d %H:%M %Z")


def _round_up(number: int) -> int:
    """The next of 1, 2, 5, 10 … so that the axis has round figures; an even one, for its half."""
    if number <= 2:
        return 2
    size: int = 10 ** (len(str(number)) - 1)
    return next(step * size for step in (1, 2, 4, 6, 8, 10, 20) if step * size >= number and step * size % 2 == 0)


#: What may be asked for: the name in the address, its words, hours, and hours of one bar.
SPANS: tuple[tuple[str, str, int, int], ...] = (
    ("24h", "24 hours", 24, 1),
    ("14d", "14 days", 14 * 24, 24),
    ("90d", "90 days", 90 * 24, 24),
)


def span_of(name: str) -> tuple[str, str, int, int]:
    """The one of that name, else the first."""
    return next((span for span in SPANS if span[0] == name), SPANS[0])

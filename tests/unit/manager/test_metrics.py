"""What Prometheus reads, by its own parser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.homes import ROOT, Desk, desk

from plimsoll.manager.metrics import Metrics
from plimsoll.manager.services.events import NewEvent
from plimsoll.messages import Kind
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

REFUSED = Sighting(
    Point.HEARTBEAT, "10.0.0.7", Version.TLS1_0, (Version.TLS1_0,), "t10", None, Outcome.REFUSED, None, None, 3, 1.0,
    2.0,
)  # fmt: skip


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


def read(metrics: Metrics, at: Desk) -> Samples:
    text = metrics.render(at.services.metrics.facts(ROOT), {"connections": {"gui": 2}, "generation": 9}).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def test_floors_computers_and_the_process(at: Desk) -> None:
    at.activate("db-7")
    at.activate("r-1", kind=Kind.RELAY)
    at.services.floors.set(ROOT, "TLSv1.3", "gui")
    at.services.shadow.set(ROOT, "TLSv1.3", "heartbeat")
    at.services.notifications.add(ROOT, name="siem", kind="syslog", settings={"host": "h"})
    at.services.events.record(NewEvent(730, "warning", "d"))
    found = read(Metrics(), at)
    assert value(found, "plimsoll_floor", point="gui") == 1.3
    assert value(found, "plimsoll_floor", point="heartbeat") == 1.2
    assert value(found, "plimsoll_shadow_floor", point="heartbeat") == 1.3
    assert value(found, "plimsoll_relays", observed="unknown") == 1
    computers = {labels: count for (name, labels), count in found.items() if name == "plimsoll_computers"}
    assert sum(computers.values()) == 2
    assert value(found, "plimsoll_notifications_waiting", target="siem", kind="syslog") == 1
    assert value(found, "plimsoll_notifications_failing", target="siem", kind="syslog") == 0
    assert value(found, "plimsoll_connections", point="gui") == 2
    assert value(found, "plimsoll_floor_generation") == 9
    assert value(found, "plimsoll_certificate_expiry_seconds", certificate="ca") > 1.7e9
    assert found["process_open_fds", frozenset()] > 0


def test_an_attempt_that_got_a_name_counts_once(at: Desk) -> None:
    metrics = Metrics()
    metrics.sighted([REFUSED])
    metrics.sighted([replace(REFUSED, count=-1), replace(REFUSED, who="computer:1", count=1)])
    metrics.sighted([replace(REFUSED, count=2)])
    found = read(metrics, at)
    assert value(found, "plimsoll_handshakes_total", point="heartbeat", outcome="refused", version="TLSv1") == 5


def test_events_are_counted_as_they_are_told(at: Desk) -> None:
    metrics = Metrics()
    at.services.hub.subscribe(metrics.heard)
    at.services.events.record(NewEvent(730, "warning", "d"), NewEvent(730, "warning", "d"))
    assert value(read(metrics, at), "plimsoll_events_total", level="warning", number="730") == 2


def test_strangers_make_no_new_series(at: Desk) -> None:
    metrics = Metrics()
    metrics.sighted(
        [replace(REFUSED, address=f"10.0.{n}.1", ja4=f"t{n}", sni=f"h{n}", user_agent=f"u{n}") for n in range(50)]
    )
    found = read(metrics, at)
    assert sum(name == "plimsoll_handshakes_total" for name, _ in found) == 1

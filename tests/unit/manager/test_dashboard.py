"""The dashboard for Grafana asks for metrics that exist, with labels that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.homes import ROOT, Desk, desk

from plimsoll.manager.metrics import Metrics
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.metrics import Facts
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana" / "plimsoll.json"
PROCESS = {"connections": {"gui": 1}, "generation": 1, "current": True, "queues": {"store": 0}, "missing": ()}
NAME = re.compile(r"\b((?:plimsoll|process)_[a-z_]+)\b")
LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!=|=)\s*\"")
#: What Prometheus adds to each series, and to a histogram's.
ADDED = {"instance", "job"}


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


def queries() -> Iterator[tuple[str, str]]:
    board = json.loads(DASHBOARD.read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


def exposed(at: Desk) -> dict[str, set[str]]:
    """Each sample that a manager can show, with its labels: everything there is has happened once."""
    at.activate("db-7")
    at.services.shadow.set(ROOT, "TLSv1.3", "heartbeat")
    at.services.notifications.add(ROOT, name="siem", kind="syslog", settings={"host": "h"})
    metrics = Metrics()
    at.services.hub.subscribe(metrics.heard)
    at.services.events.record(NewEvent(730, "warning", "d"))
    metrics.sighted(
        [Sighting(Point.GUI, "::1", Version.TLS1_2, (), "", None, Outcome.ADMITTED, Version.TLS1_2, None, 1, 1.0, 1.0)]
    )
    metrics.heartbeat("new", 0.1)
    metrics.turned_away("busy")
    metrics.stored(0.1, done=False)
    facts: Any = at.services.metrics.facts(ROOT)
    more = {"leases": {"changes": "a"}, "change": (1, "running", "canary"), "exceptions": {"gui": 1}}
    values = {name: getattr(facts, name) for name in Facts.__dataclass_fields__} | more
    text = metrics.render(Facts(**values), PROCESS).decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_query_asks_for_what_there_is(at: Desk) -> None:
    known = exposed(at)
    asked = set()
    for title, query in queries():
        names = set(NAME.findall(query))
        assert names, (title, query)
        assert names <= set(known), (title, names - set(known))
        labels = set(LABEL.findall(query)) - ADDED
        groups = {one.strip() for group in re.findall(r"by \(([^)]*)\)", query) for one in group.split(",")}
        for name in names:
            assert labels | groups <= known[name] | ADDED, (title, query)
        asked |= names
    # What a manager says of itself can be seen there.
    ours = {name.removesuffix("_bucket") for name in asked if name.startswith("plimsoll_")}
    budgets = {
        "heartbeat_seconds",
        "store_commit_seconds",
        "queue_length",
        "floor_current",
        "floor_generation",
        "lease",
    }
    assert {f"plimsoll_{name}" for name in budgets} <= ours


def test_the_dashboard_is_whole() -> None:
    board = json.loads(DASHBOARD.read_text())
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    places = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]}
    assert len(places) == len(numbers)
    assert all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in board["panels"])

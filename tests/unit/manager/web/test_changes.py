"""The assistant and the names of a judgement, without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.seeded import Seeded, seeded
from tests.unit.manager.web.console import ROOT, Console

from plimsoll.manager.web.judging import ROWS
from plimsoll.tls.versions import Version


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Seeded]:
    with seeded(tmp_path) as made:
        made.at.services.changes.abort(ROOT, 1)
        made.at.services.floors.set_minimum(ROOT, "TLSv1")
        for number in range(ROWS + 1):
            made.at.activate(f"old-{number:03}", version="9.6.2")
        yield made


def kept(page: str) -> str:
    found = re.search(r'name="kept" value="([0-9a-f]+)"', page)
    assert found is not None
    return found[1]


@pytest.mark.rule("R12")
def test_pages_of_one_judgement_and_its_file(world: Seeded) -> None:
    console = Console.of(world)
    first = console.get("/preflight?to=TLSv1.2&point=heartbeat&wait=1")
    assert "old-000" in first
    assert f"old-{ROWS:03}" not in first
    second = console.get(f"/preflight?to=TLSv1.2&point=heartbeat&kept={kept(first)}&page=2")
    assert f"old-{ROWS:03}" in second
    assert kept(second) == kept(first)
    assert "old-007" in console.get(f"/preflight?to=TLSv1.2&point=heartbeat&kept={kept(first)}&q=OLD-007")
    file = console.get(f"/preflight/export.csv?to=TLSv1.2&point=heartbeat&kept={kept(first)}")
    assert file.count("\r\nblocker,old-") == ROWS + 1


@pytest.mark.rule("G1")
def test_who_came_into_the_way_after_the_names_were_shown_stops_a_forced_start(world: Seeded) -> None:
    console = Console.of(world)
    step = console.get("/changes/new/start?to=TLSv1.2&point=heartbeat&wait=1")
    form: dict[str, Any] = {"to": "TLSv1.2", "point": "heartbeat", "force": "1", "reason": "a try"}
    assert "Look at the names again" in console.post("/changes", 409, **form).text, "no names were shown"
    world.at.activate("late", version="9.6.2")
    answer = console.post("/changes", 409, kept=kept(step), **form)
    assert "late would be cut off too" in answer.text
    again = console.get("/changes/new/start?to=TLSv1.2&point=heartbeat&wait=1")
    console.post("/changes", kept=kept(again), **form)
    assert world.at.services.changes.get(ROOT).options["forced"]
    assert world.at.services.floors.minimum(ROOT).heartbeat is Version.TLS1_0


def test_a_plan_that_cannot_be_read_comes_back_with_what_was_typed(world: Seeded) -> None:
    page = Console.of(world).get("/changes/new/start?to=TLSv1.2&point=gui&soak=soon&canary=7", 400)
    assert "length of time" in page
    assert 'value="soon"' in page
    assert 'value="7"' in page


def test_a_lowered_floor_is_not_raised_again_by_one_press(world: Seeded) -> None:
    """What goes back from a lowering raises: that leads over the names."""
    services = world.at.services
    services.floors.set(ROOT, "TLSv1.3", "gui")
    console = Console.of(world)
    answer = console.post("/changes", to="TLSv1.1", point="gui")
    for _ in range(20):
        services.changes.tick()
    assert services.changes.get(ROOT).state == "done"
    page = console.get(answer.headers["location"])
    assert "/back" not in page
    assert "/changes/new/preflight?to=TLSv1.3&amp;point=gui" in page

"""The picture and the chart as places on a sheet, and as screens."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import UTC

import pytest
from tests.unit.manager.api.conftest import Made
from tests.unit.manager.web.console import Console

from plimsoll.fleet.parts import Database, Fleet, Part, Program, RelayFloor
from plimsoll.fleet.picture import Link, example, links
from plimsoll.manager.services.overview_views import PictureView
from plimsoll.manager.services.sightings import Bucket
from plimsoll.manager.web import bars
from plimsoll.manager.web.picture import Drawing, draw
from plimsoll.tls.floors import DEFAULT_PORTS, Point
from plimsoll.tls.versions import Version

MEETS = frozenset({Point.HEARTBEAT, Point.RELAY, Point.AGENT})


def drawn(found: list[Link]) -> Drawing:
    return draw(PictureView(0.0, None, {}, tuple(found), DEFAULT_PORTS, {"relays": 2}))


@pytest.mark.rule("R19")
@pytest.mark.parametrize("enforced", [True, False])
def test_both_of_the_references_pictures_are_drawn_in_full(enforced: bool) -> None:
    drawing = drawn(example(enforced=enforced))
    assert {box.name for box in drawing.boxes} == {
        "manager", "database", "relays", "agents 10.0 and newer", "agents before 10.0", "appliances",
        "newer programs", "older programs",
    }  # fmt: skip
    kinds = {(one.link.from_, one.link.to): one.kind for one in drawing.strokes}
    early = "refused" if enforced else "v10"
    assert kinds["agents before 10.0", "manager"] == kinds["older programs", "manager"] == early
    assert kinds["agents before 10.0", "relays"] == early
    assert kinds["agents 10.0 and newer", "manager"] == kinds["newer programs", "manager"] == "v12"
    refused = [one for one in drawing.strokes if one.kind == "refused"]
    assert all("✗ refused" in one.label and one.notes[0] == "at most TLSv1, floor TLSv1.2" for one in refused)
    assert bool(refused) is enforced
    assert len(drawing.rows) == len(drawing.strokes) == len(example(enforced=enforced))


def large_fleet() -> list[Link]:
    """Of every kind, with relays that hold two floors, and calls to 4118."""
    parts = [
        Part("m", "manager", "manager", "12.0"),
        Part("d", "database", "database", database=Database("postgresql", encrypted=True, speaks=Version.TLS1_3)),
        Part("r1", "relay", "r1", "12.0", points=MEETS, relay=RelayFloor(sent=Version.TLS1_0)),
        Part("r2", "relay", "r2", "12.0", points=MEETS, relay=RelayFloor(sent=Version.TLS1_2)),
        Part("p", "appliance", "appliance", "10.0", points=MEETS),
    ]
    parts += [
        Part(f"{version}{number}", "agent", f"host-{number}", version, points=MEETS, number=number)
        for version in ("9.6", "10.0", "12.0", None)
        for number in range(500)
    ]
    programs = [Program(str(one), f"program {one}", offered=one) for one in (Version.TLS1_0, Version.TLS1_3, None)]
    return links(Fleet.of(parts, programs), dict.fromkeys(Point, Version.TLS1_2))


def test_no_two_lines_and_no_two_boxes_touch_and_all_is_on_the_sheet() -> None:
    drawing = drawn(large_fleet())
    assert len(drawing.strokes) > 15
    for one, other in itertools.combinations(drawing.strokes, 2):
        apart = max(min(one.x1, one.x2), min(other.x1, other.x2)) >= min(max(one.x1, one.x2), max(other.x1, other.x2))
        assert apart or abs(one.y - other.y) >= 40, (one.said, other.said)
    for box, other_box in itertools.combinations(drawing.boxes, 2):
        assert (
            box.x + box.width < other_box.x
            or other_box.x + other_box.width < box.x
            or box.y + box.height < other_box.y
            or other_box.y + other_box.height < box.y
        ), (box.name, other_box.name)
    assert all(box.x >= 0 and box.x + box.width <= drawing.width for box in drawing.boxes)
    assert all(box.y >= 0 and box.y + box.height <= drawing.height for box in drawing.boxes)
    assert all(one.y + 32 < drawing.height for one in drawing.strokes)


def test_five_and_fifty_thousand_take_the_same_room_and_thicker_lines() -> None:
    (few,) = [one for one in large_fleet() if one.from_ == "agents before 10.0" and one.point is Point.HEARTBEAT]
    small, big = drawn([few]), drawn([replace(few, count=50_000)])
    assert (small.width, small.height) == (big.width, big.height)
    assert big.strokes[0].width > small.strokes[0].width
    assert "50\u202f000" in big.strokes[0].label


def test_what_only_the_table_says_is_never_shown_as_seen() -> None:
    (line,) = drawn([Link("appliances", "manager", Point.HEARTBEAT, Version.TLS1_2, "talks")]).strokes
    assert line.tabled
    assert line.notes == ("by the table, not seen yet",)
    seen = drawn([Link("appliances", "manager", Point.HEARTBEAT, Version.TLS1_2, "talks", basis="seen")])
    assert not seen.strokes[0].tabled


def test_the_chart_stacks_versions_and_refusals_and_says_the_same_in_words() -> None:
    hour = 3600.0
    buckets = [
        Bucket(0.0, hour, {Version.TLS1_3: 90, Version.TLS1_0: 6}, 3, 0),
        Bucket(hour, hour, {}, 0, 0),
        Bucket(2 * hour, hour, {Version.TLS1_3: 1_000}, 0, 1),
    ]
    chart = bars.chart(buckets, UTC)
    assert [name for _, name in chart.kinds] == ["TLSv1.3", "TLSv1.0", "failed", "refused"]
    assert [(row[1], row[2]) for row in chart.rows] == [
        (1001, (1000, 0, 1, 0)),
        (0, (0, 0, 0, 0)),
        (99, (90, 6, 0, 3)),
    ]
    assert chart.bars[1].said.endswith("no handshake")
    assert all(rect.height >= 1.5 and rect.y >= 0 for bar in chart.bars for rect in bar.rects)
    assert bars.summary(buckets, "24 hours") == (
        "1\u202f100 handshakes in the last 24 hours, 6 of them with early TLS, 3 refused."
    )
    assert bars.chart([], UTC).total == 0


def test_the_screens_link_each_line_to_its_members(made: Made) -> None:
    console = Console.of(made)
    page = console.get("/picture?floor=TLSv1.3")
    assert "As if TLSv1.3 were the floor everywhere" in page
    for href in set(re.findall(r'href="(/picture/members\?[^"]+)"', page)):
        assert "Nobody is behind this line" not in console.get(href.replace("&amp;", "&"))
    console.get("/picture?floor=TLSv9", expect=400)
    console.get("/picture/members", expect=303)


def test_a_token_is_shown_once_with_the_command_that_takes_it(made: Made) -> None:
    console = Console.of(made)
    page = console.post("/first-steps/token", 200).text
    token = re.search(r"--token (pt1\.\S+)", page)
    assert token is not None
    assert re.search(r"--manager dsm://\S+:4120 ", page)
    assert token[1] not in console.get("/first-steps")

"""Freeze hours, by the clocks of the people whose hours they are."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from plimsoll.manager.freeze import WindowError, frozen_by, parse_window


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("window", "moment", "held"),
    [
        ("08:00-18:00", "2026-11-26T08:00", True),
        ("08:00-18:00", "2026-11-26T17:59", True),
        ("08:00-18:00", "2026-11-26T18:00", False),
        ("22:00-06:00", "2026-11-26T00:10", True),
        ("22:00-06:00", "2026-11-26T23:20", True),
        ("22:00-06:00", "2026-11-26T11:40", False),
        ("00:00-24:00", "2026-11-26T23:59", True),
        # 2026-11-28 is a Saturday.
        ("Mon-Fri 08:00-18:00", "2026-11-27T12:00", True),
        ("Mon-Fri 08:00-18:00", "2026-11-28T12:00", False),
        ("fri-mon 08:00-18:00 UTC", "2026-11-28T12:00", True),
        ("Fri 22:00-06:00", "2026-11-28T05:00", True),
        ("Fri 22:00-06:00", "2026-11-27T05:00", False),
    ],
)
def test_a_window_holds_its_hours_on_its_days(window: str, moment: str, held: bool) -> None:
    assert parse_window(window).holds(at(moment)) is held
    assert frozen_by(["01:00-01:01", window], at(moment)) == (window if held else "")


def test_a_zone_means_its_wall_clocks_in_summer_and_winter() -> None:
    window = parse_window("08:00-18:00 Europe/Berlin")
    for day in ("2026-07-01", "2026-12-01"):
        assert window.holds(at(f"{day}T08:00", "Europe/Berlin"))
        assert not window.holds(at(f"{day}T07:59", "Europe/Berlin"))
    assert window.holds(at("2026-07-01T06:30")), "06:30 UTC is 08:30 there in summer"
    assert not window.holds(at("2026-12-01T06:30")), "and 07:30 in winter"


def test_no_windows_freeze_nothing() -> None:
    assert frozen_by([], 0.0) == ""


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ("8-18", "freeze hours are"),
        ("08:00", "freeze hours are"),
        ("", "freeze hours are"),
        ("a:b-c:d", "freeze hours are"),
        ("25:00-26:00", "25:00"),
        ("08:60-09:00", "08:60"),
        ("08:00-24:01", "24:01"),
        ("08:00-08:00", "begin when they end"),
        ("Foo 08:00-18:00", "Mon, Tue"),
        ("08:00-18:00 Atlantis/Harbour", "Atlantis/Harbour"),
        ("08:00-18:00 ../../etc/passwd", "time zone"),
    ],
)
def test_what_is_no_window_is_said(window: str, words: str) -> None:
    with pytest.raises(WindowError, match=words):
        parse_window(window)

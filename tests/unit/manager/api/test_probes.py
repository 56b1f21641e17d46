"""Health and readiness: open to everybody, and silent about the fleet."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.manager.api.conftest import Made

from plimsoll.manager.api.backend import Stopped


class Running(Stopped):
    """As far as these paths ask."""

    def __init__(self, *missing: str) -> None:
        self._missing = missing

    def missing(self) -> tuple[str, ...]:
        return self._missing


@pytest.fixture
def live(made: Made, monkeypatch: pytest.MonkeyPatch) -> Any:
    def become(*missing: str) -> None:
        monkeypatch.setattr(made.backend, "live", Running(*missing))

    return become


def test_nobody_needs_a_key(made: Made, live: Any) -> None:
    live()
    assert made.remote().get("/health") == {"status": "ok"}
    assert made.remote().get("/ready") == {"status": "ready"}


def test_what_is_missing_is_named(made: Made, live: Any) -> None:
    live("store", "floors")
    assert made.remote().get("/ready", 503) == {"status": "not ready", "missing": ["store", "floors"]}
    assert made.remote().get("/health") == {"status": "ok"}


def test_a_stopped_home_is_not_ready(made: Made) -> None:
    assert made.remote().get("/ready", 503)["missing"] == ["ports"]

"""The log as JSON lines: what a record is about stands in fields of its own."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.manager import config, logs
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.events import EventView
from plimsoll.manager.services.hub import EventRecorded


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(logs.JsonLines())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler = Kept()
    root = logging.getLogger("plimsoll")
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def test_a_record_about_a_computer_has_fields(kept: Kept) -> None:
    extra = {"computer": "c-1", "reason": "tls"}
    logging.getLogger("plimsoll.x").warning("%s\nis “refused”", "db-7", extra=extra)
    (line,) = kept.lines
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("time").endswith("Z")
    assert found == {"level": "warning", "logger": "plimsoll.x", "message": "db-7\nis “refused”", **extra}


def test_an_error_has_its_trace_in_one_line(kept: Kept) -> None:
    try:
        raise RuntimeError("no")
    except RuntimeError:
        logging.getLogger("plimsoll.x").error("failed", exc_info=sys.exc_info())
    (line,) = kept.lines
    assert "RuntimeError: no" in json.loads(line)["trace"]
    assert "\n" not in line


def test_system_events_go_along(kept: Kept) -> None:
    event = EventView(
        1, 2.0, 770, "Refused", "warning", "db-7 was refused.", "c-1", "db-7", "manager", {"reason": "tls"}
    )
    logs.heard(EventRecorded(event))
    found = json.loads(kept.lines[0])
    assert found["level"] == "warning"
    assert (found["computer"], found["reason"], found["event"], found["target"]) == ("c-1", "tls", 770, "db-7")


def test_the_environment_overrides_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert logs.use("text") == "text"
    monkeypatch.setenv(logs.VARIABLE, "json")
    assert logs.use("text") == "json"
    monkeypatch.setenv(logs.VARIABLE, "xml")
    with pytest.raises(BadInput, match="valid are text and json"):
        logs.use("text")


def test_the_property_is_checked(tmp_path: Path) -> None:
    assert config.parse(tmp_path / "p", "logFormat=json\n").log_format == "json"
    assert config.parse(tmp_path / "p", "").log_format == "text"
    with pytest.raises(config.ConfigurationError, match="logFormat is text or json, not 'xml'"):
        config.parse(tmp_path / "p", "logFormat=xml\n")

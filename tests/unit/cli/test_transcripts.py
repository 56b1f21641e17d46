"""Whole command lines with what they print, as files that read like a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.cli.answers import CLEAR, MINIMUM, small_fleet
from tests.unit.cli.fake import FakeManager, Shell, play

NARROWED = {"point": "gui", "from": "intermediate", "to": "strong"}
HERE = Path(__file__).parent / "transcripts"


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("early_*.txt")))
def test_transcript_of_a_fleet_with_an_old_agent(name: str) -> None:
    play(HERE / f"{name}.txt", Shell(FakeManager(small_fleet())))


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("clear_*.txt")))
def test_transcript_of_a_fleet_without_blockers(name: str) -> None:
    raised = {"changed": [{"point": "heartbeat", "from": "TLSv1", "to": "TLSv1.2"}], "preflight": CLEAR, "warnings": []}
    answers = small_fleet() | {
        ("GET", "/api/tls/preflight"): (200, CLEAR),
        ("POST", "/api/tls/ciphers"): (200, {**raised, "changed": [NARROWED]}),
        ("POST", "/api/tls/floors"): (200, {**raised, "policies_pending": 2}),
        ("POST", "/api/tls/minimum"): (200, raised),
        ("GET", "/api/tls/minimum"): (200, {**MINIMUM, "minimum": "TLSv1.2", "heartbeat": "TLSv1.2"}),
    }
    play(HERE / f"{name}.txt", Shell(FakeManager(answers)))

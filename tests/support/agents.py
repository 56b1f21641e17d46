"""Real agents and relays as processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.support.manager import PLIMSOLL, Manager
from tests.support.process import Service, run, service


def activate(manager: Manager, home: Path, *more: str, token: str | None = None, expect: int = 0) -> str:
    """``plimsoll agent activate``; returns what it said on standard error."""
    command: list[str | Path] = [PLIMSOLL, "agent", "activate", "--home", home, "--manager", manager.url]
    result = run([*command, "--token", token or manager.token, *more])
    assert result.returncode == expect, f"exit {result.returncode}: {result.stdout}\n{result.stderr}"
    return result.stderr


def agent_command(home: Path) -> list[str | Path]:
    return [PLIMSOLL, "agent", "run", "--home", home]


@contextlib.contextmanager
def agent(home: Path) -> Iterator[Service]:
    """A real agent on an activated home, ready."""
    with service(agent_command(home)) as started:
        yield started

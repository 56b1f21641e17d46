"""How the long-running commands end: the exit code, one sentence on standard error, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.answers import small_fleet
from tests.unit.cli.fake import FakeManager, Shell

from plimsoll.agent import __main__ as resident
from plimsoll.agent.home import Home
from plimsoll.cli._errors import Code
from plimsoll.manager import app
from plimsoll.manager.config import ConfigurationError
from plimsoll.manager.home import HomeError
from plimsoll.net.errors import BadIdentity, CannotListen, PortTaken
from plimsoll.net.tasks import TaskDiedError

FILE = Path("/srv/plimsoll/configuration.properties")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (HomeError("it is in use by process 7"), Code.FAILED, "in use by process 7"),
        (PortTaken("0.0.0.0", 4119, "nginx (pid 9)"), Code.FAILED, "taken by nginx (pid 9)"),
        (CannotListen("192.0.2.1", 4120, "no such address"), Code.FAILED, "no such address"),
        (BadIdentity("tls/gui-own.pem", "not a certificate"), Code.FAILED, "not a certificate"),
        (TaskDiedError("monitor"), Code.FAILED, "the background task 'monitor' ended"),
        (ConfigurationError(FILE, 3, 9, "expected '='"), Code.USAGE, "line 3, column 9"),
    ],
)
def test_a_manager_that_cannot_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, code: Code, said: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(app, "run_manager", fail)
    ran = Shell(FakeManager(small_fleet())).run(f"plimsoll manager run --home {tmp_path}")
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_manager_without_a_home_to_run(tmp_path: Path) -> None:
    ran = Shell(FakeManager(small_fleet())).run(f"plimsoll manager run --home {tmp_path}")
    assert ran.code == Code.FAILED
    assert "is not a manager's home" in ran.err


def test_an_agent_without_a_home_to_run(tmp_path: Path) -> None:
    """The real way: the command replaces itself by the resident agent, whose exit code is the command's."""
    line = [sys.executable, "-m", "plimsoll.cli.main", "agent", "run", "--home", str(tmp_path / "none")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (Code.FAILED, "")
    assert "activate it first" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_agent_run_with_an_option_that_does_not_exist() -> None:
    assert Shell(FakeManager(small_fleet())).run("plimsoll agent run --hme x").code == Code.USAGE
    assert resident.main([]) == Code.USAGE


@pytest.mark.parametrize("error", [TaskDiedError("heartbeat"), PortTaken("0.0.0.0", 4118, None), PermissionError(13)])
def test_an_agent_that_cannot_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, error: Exception
) -> None:
    async def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("plimsoll.agent.daemon.Daemon.__init__", lambda *_, **__: None)
    monkeypatch.setattr("plimsoll.agent.daemon.Daemon.run", fail)
    monkeypatch.setattr(Home, "activated", True)
    assert resident.main([str(tmp_path)]) == Code.FAILED
    assert str(error) in capsys.readouterr().err


def test_a_new_token_is_for_one_computer_and_one_day() -> None:
    manager = FakeManager(small_fleet())
    shell = Shell(manager)
    shell.run("plimsoll token create")
    assert manager.asked[0][3] == {"uses": 1, "expiresIn": 86_400}

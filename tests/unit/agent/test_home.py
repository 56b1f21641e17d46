"""The agent's home: what a crash, a damaged file or an older release leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from plimsoll.agent.files import write_atomic
from plimsoll.agent.home import AgentState, Home, HomeError, RunState, Spool
from plimsoll.messages import Ack, Kind, Policy


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "agent")
    home.create()
    return home


def test_what_is_saved_is_read_again_and_only_its_owner_can(home: Home) -> None:
    state = AgentState(installation="i", computer="7", kind=Kind.RELAY, managers=["m:4120"])
    home.save_state(state)
    home.save_policy(Policy(name="p", generation=3))
    home.save_spool(Spool(acks=[Ack(command="c", ok=True)]))
    home.save_identity("KEY", "CERT", "CA")
    assert home.load_state() == state
    assert home.load_policy() == Policy(name="p", generation=3)
    assert home.load_spool().acks[0].command == "c"
    assert home.path.stat().st_mode & 0o777 == 0o700
    for file in home.path.iterdir():
        assert file.is_dir() or file.stat().st_mode & 0o077 == 0, file


def test_a_home_that_was_never_activated_says_how(home: Home) -> None:
    with pytest.raises(HomeError, match="plimsoll agent activate --home"):
        home.load_state()
    assert home.load_policy() is None
    assert home.load_spool() == Spool()


def test_a_damaged_file_is_named_and_left_alone(home: Home) -> None:
    (home.path / "policy.json").write_text('{"name": 5}')
    with pytest.raises(HomeError, match=r"policy\.json is damaged"):
        home.load_policy()
    assert (home.path / "policy.json").read_text() == '{"name": 5}'


def test_an_older_home_is_read_and_a_newer_one_refused(home: Home) -> None:
    old = {"installation": "i", "computer": "7", "software": "11.0.5", "managers": ["m:4120"]}
    (home.path / "agent.json").write_text(json.dumps(old))
    state = home.load_state()
    assert (state.software, state.listen_port, state.kind) == ("11.0.5", 4118, Kind.AGENT)
    (home.path / "agent.json").write_text(json.dumps({**old, "format": 99, "software": "20.1"}))
    with pytest.raises(HomeError, match=r"release 20\.1"):
        home.load_state()


@pytest.mark.parametrize("crash", ["before the certificate", "before the key moved", "between", "after"])
def test_a_crash_in_a_renewal_leaves_one_whole_identity(home: Home, crash: str) -> None:
    home.save_identity("old key", "old cert", "CA")
    if crash == "after":
        home.replace_identity("new key", "new cert", "CA")
    elif crash == "between":
        home.key.write_text("new key")
        (home.path / "cert.new.pem").write_text("new cert")
    else:
        (home.path / "key.new.pem").write_text("new key")
        if crash == "before the key moved":
            (home.path / "cert.new.pem").write_text("new cert")
    home.recover()
    which = "old" if crash == "before the certificate" else "new"
    assert (home.key.read_text(), home.cert.read_text()) == (f"{which} key", f"{which} cert")
    assert not list(home.path.glob("*.new.pem"))


def test_a_second_agent_on_one_home_is_refused_and_the_first_named(home: Home) -> None:
    code = (
        "import sys\nfrom plimsoll.agent.home import Home, HomeError\n"
        "try:\n    with Home(sys.argv[1]).lock(): pass\n"
        "except HomeError as error:\n    print(error)\n"
    )
    with home.lock():
        holder = home.locked_by()
        done = subprocess.run([sys.executable, "-c", code, str(home.path)], capture_output=True, text=True)
        assert f"process {holder}" in done.stdout
    assert home.locked_by() is None
    with home.lock():
        pass


def test_a_write_that_fails_keeps_the_old_file(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    file = home.path / "spool.json"
    write_atomic(file, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(file, b"new")
    assert file.read_bytes() == b"old"
    assert [path.name for path in home.path.glob("*.tmp")] == []


def test_a_torn_run_state_only_means_that_nothing_is_known(home: Home) -> None:
    home.save_run_state(RunState(pid=5))
    assert home.load_run_state().pid == 5
    (home.path / "run" / "state.json").write_text("{")
    assert home.load_run_state() == RunState()

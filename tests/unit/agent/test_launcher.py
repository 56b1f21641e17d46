"""The launcher by itself, with interpreters that are small scripts: what it starts, counts, leaves and finishes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest
from tests.support.process import eventually
from tests.support.trees import LAUNCHER

SHELLS = [
    "sh",
    *(pytest.param(shell, marks=pytest.mark.deep) for shell in ("dash", "bash", "busybox") if shutil.which(shell)),
]

#: Every start leaves a line; a probe answers as the file `reaches` says.
INTERPRETER = """\
#!/bin/sh
case " $* " in *probe*) [ -e "{prefix}/reaches" ]; exit $?;; esac
echo "$PLIMSOLL_VERSION" >>"{prefix}/started"
{does}
"""
RUNS = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
PROVES = 'rm -f "$PLIMSOLL_PREFIX/trial"; ' + RUNS
DEAF_TO_TERM = "trap '' TERM; while :; do sleep 0.1; done"


class Host:
    def __init__(self, prefix: Path, shell: str) -> None:
        self.prefix = prefix
        self.shell = ["busybox", "sh"] if shell == "busybox" else [shell]
        self.process: subprocess.Popen[str] | None = None

    def release(self, version: str, does: str) -> None:
        python = self.prefix / "versions" / version / "bin" / "python3"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(INTERPRETER.format(prefix=self.prefix, does=does))
        python.chmod(0o755)

    def switch(self, version: str) -> None:
        (self.prefix / "current").unlink(missing_ok=True)
        (self.prefix / "current").symlink_to(f"versions/{version}")

    def trial(self, to: str, seconds: object = 2, from_: str = "1.0") -> None:
        (self.prefix / "trial").write_text(f"to={to}\nfrom={from_}\nseconds={seconds}\n")

    def start(self) -> None:
        command = [*self.shell, str(LAUNCHER), str(self.prefix), "/home"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def run(self) -> tuple[int, str]:
        """To its end."""
        self.start()
        assert self.process is not None
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        assert self.process is not None
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said

    @property
    def started(self) -> list[str]:
        log = self.prefix / "started"
        return log.read_text().split() if log.exists() else []

    @property
    def current(self) -> str:
        return (self.prefix / "current").readlink().name

    def fallback(self) -> dict[str, str]:
        lines = (self.prefix / "fallback").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def files(self) -> set[str]:
        return {path.name for path in self.prefix.iterdir()} - {"versions", "current", "started", "reaches"}


@pytest.fixture(params=SHELLS)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    made = Host(tmp_path, request.param)
    made.release("1.0", RUNS)
    made.release("2.0", RUNS)
    made.switch("1.0")
    (tmp_path / "reaches").touch()
    return made


def test_it_starts_what_is_current_and_ends_as_it_ends(host: Host) -> None:
    host.release("1.0", "exit 3")
    assert host.run() == (3, "")
    assert (host.started, host.files()) == (["1.0"], set())


def test_a_stop_is_passed_on_and_waited_for(host: Host) -> None:
    host.release("1.0", "trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.1; done")
    host.start()
    eventually(lambda: host.started, "it starts")
    begun = time.monotonic()
    code, _ = host.stop()
    assert time.monotonic() - begun >= 0.3
    assert code in (0, 128 + signal.SIGTERM)


def test_who_asks_for_it_is_started_anew_as_what_is_current_then(host: Host) -> None:
    host.release(
        "1.0", f'ln -s versions/2.0 "{host.prefix}/n"; mv -fT "{host.prefix}/n" "{host.prefix}/current"; exit 75'
    )
    host.start()
    eventually(lambda: host.started == ["1.0", "2.0"], "the other release is started")
    host.stop()


def test_a_release_that_proves_itself_stays(host: Host) -> None:
    host.release("2.0", PROVES)
    host.switch("2.0")
    host.trial("2.0", seconds=1)
    host.start()
    eventually(lambda: not (host.prefix / "trial").exists(), "it proves itself")
    time.sleep(2.5)
    host.stop()
    assert (host.started, host.current) == (["2.0"], "2.0")
    assert "fallback" not in host.files()


def test_one_that_crashes_is_left_after_three_starts(host: Host) -> None:
    host.release("2.0", "exit 9")
    host.switch("2.0")
    host.trial("2.0", seconds=60)
    host.start()
    eventually(lambda: host.started[-1:] == ["1.0"], "it goes back")
    _, said = host.stop()
    assert host.started == ["2.0", "2.0", "2.0", "1.0"]
    assert host.current == "1.0"
    assert host.fallback()["reason"] == "2.0 ended 3 times before a heartbeat of it was accepted"
    assert host.files() == {"fallback"}
    assert "2.0 ended with status 9 on trial" in said


@pytest.mark.parametrize("does", [RUNS, DEAF_TO_TERM], ids=["silent", "hangs"])
def test_one_that_stays_silent_is_stopped_and_left(host: Host, does: str) -> None:
    host.release("2.0", does)
    host.switch("2.0")
    host.trial("2.0", seconds=1)
    host.start()
    eventually(lambda: host.started == ["2.0", "1.0"], "it goes back")
    host.stop()
    assert host.fallback() == {
        "to": "2.0", "from": "1.0", "seconds": "1", "reason": "no heartbeat of 2.0 was accepted in 1 s",
    }  # fmt: skip


def test_while_the_former_one_reaches_nobody_either_the_new_one_is_not_blamed(host: Host) -> None:
    (host.prefix / "reaches").unlink()
    host.switch("2.0")
    host.trial("2.0", seconds=1)
    host.start()
    eventually(lambda: host.started, "it starts")
    time.sleep(3.5)
    assert host.started == ["2.0"]
    (host.prefix / "reaches").touch()
    eventually(lambda: host.started == ["2.0", "1.0"], "it goes back once the former one reaches the manager")
    _, said = host.stop()
    assert "neither 2.0 nor 1.0 reaches the manager; 2.0 gets another 1 s" in said


def test_one_whose_interpreter_is_gone_is_left_at_once(host: Host) -> None:
    (host.prefix / "versions/2.0/bin/python3").unlink()
    host.switch("2.0")
    host.trial("2.0")
    host.start()
    eventually(lambda: host.started == ["1.0"], "it goes back")
    host.stop()
    assert host.fallback()["reason"] == "2.0 has no interpreter that can be started"


def _more_than(host: Host, starts: int) -> bool:
    return len(host.started) > starts


def test_a_stop_on_trial_says_nothing_about_the_release(host: Host) -> None:
    host.switch("2.0")
    host.trial("2.0", seconds=60)
    for _ in range(4):
        starts = len(host.started)
        host.start()
        eventually(partial(_more_than, host, starts), "it starts")
        host.stop()
    assert host.started == ["2.0"] * 4
    assert host.files() == {"trial", "trial.starts"}


@pytest.mark.parametrize(
    ("state", "begins"),
    [
        ("trial, not yet switched", ["1.0"]),
        ("given up, not yet switched back", ["1.0"]),
        ("given up and switched back", ["1.0"]),
        ("on trial", ["2.0"]),
        ("on trial, its former release gone", ["2.0"]),
        ("a trial with no numbers in it", ["2.0"]),
        ("a count that is none", ["2.0"]),
    ],
)
def test_after_a_power_cut_it_goes_on_from_what_it_finds(host: Host, state: str, begins: list[str]) -> None:
    host.trial("2.0", seconds="soon" if "numbers" in state else 60)
    host.switch("2.0" if begins == ["2.0"] or "not yet switched back" in state else "1.0")
    if "given up" in state:
        (host.prefix / "trial").rename(host.prefix / "fallback")
    if "gone" in state:
        shutil.rmtree(host.prefix / "versions/1.0")
    if "count" in state:
        (host.prefix / "trial.starts").write_text("many\n")
    (host.prefix / "current.new").symlink_to("versions/0.9")
    host.start()
    eventually(lambda: host.started, "it starts")
    host.stop()
    assert host.started == begins
    assert host.current == begins[0]


@pytest.mark.parametrize("wrong", ["no link", "an empty folder", "usage"])
def test_where_nothing_can_be_started_it_says_so(host: Host, wrong: str) -> None:
    if wrong == "no link":
        (host.prefix / "current").unlink()
    elif wrong == "an empty folder":
        shutil.rmtree(host.prefix / "versions/1.0")
    if wrong == "usage":
        done = subprocess.run([*host.shell, str(LAUNCHER), "/x"], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (2, f"usage: {LAUNCHER} PREFIX HOME\n")
        return
    code, said = host.run()
    assert code == 1
    assert "names no release that can be started; install the agent's package again" in said

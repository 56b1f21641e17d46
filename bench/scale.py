"""A fleet at its interval: what a manager, and its PostgreSQL, need for a steady stream of real heartbeats.

Every presence and every sighting is written, and that they were is counted in the database afterwards. The fleet's
handshakes are full ones unless it is warmed up: the worst case, as in the first interval after a restart.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import postgres

from bench.machine import cores, pin, resident_mib, wait_for
from bench.stand import BIN, HOST, free_ports

#: As a server is set up that keeps what it was given; the rest is PostgreSQL's default.
SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
}
_TICK = os.sysconf("SC_CLK_TCK")
#: The manager writes once a second; what it holds at the end is there by then.
_FLUSH = 3.0


@dataclass(frozen=True, slots=True)
class Form:
    """How large: `agents` at an interval of so many seconds, for so many seconds."""

    agents: int
    interval: int
    seconds: int
    warm_up: bool = False

    @property
    def name(self) -> str:
        how = "resumed" if self.warm_up else "full handshakes"
        return f"{self.agents:,} agents every {self.interval} s for {self.seconds} s, {how}"


#: As many heartbeats a second as a hundred thousand agents bring at ten minutes; then those themselves.
SHORT = Form(10_000, 60, 60)
LONG = Form(100_000, 600, 600)
#: The first two rows of the sizing table.
SMALL = (Form(1_000, 600, 120), Form(10_000, 600, 120))


@dataclass(frozen=True, slots=True)
class Figures:
    """`cpu` and `database` are shares of one core, `idle` of the manager's before the fleet came; memory in MiB.

    `report` is the simulator's; `present` and `sighted` are what the database holds of it.
    """

    form: Form
    report: dict[str, Any]
    cpu: float
    idle: float
    database: float
    wal: int
    written: int
    resident: float
    start_seconds: float
    present: int
    sighted: int
    size: int

    @property
    def lost(self) -> int:
        """Heartbeats without an answer, agents without one in two intervals, and what was answered but not written."""
        missing = max(0, self.report["heard"] - self.present) + max(0, self.report["handshakes"] - self.sighted)
        return int(self.report["lost"] + self.report["silent"] + missing)


def process_seconds(pid: int) -> float:
    """The CPU time of a process, of its threads that have ended too, and of its children that have."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(value) for value in fields[11:15]) / _TICK


def tree_seconds(pid: int) -> float:
    """The same of a process and all that live below it."""
    total = process_seconds(pid)
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            total += tree_seconds(int(child))
        except OSError:
            continue  # it has just ended, and counts with its parent from now on
    return total


class Scale:
    """One form, measured. Everything lies in one folder, and is gone afterwards but for that."""

    def __init__(self, folder: Path, form: Form, say: Callable[[str], None]) -> None:
        self._home = folder / "home"
        self._fleet = folder / "fleet"
        self._log = folder / "manager.out"
        self._report = folder / "report.json"
        self._form = form
        self._say = say
        self._gui, self._heartbeat = free_ports(2)

    def measure(self) -> Figures:
        with postgres.server(SETTINGS) as server:
            database = postgres.new_database(server)
            self._make(server.url(database))
            with self._log.open("wb") as out:
                begun = time.monotonic()
                command = [str(BIN / "plimsoll"), "manager", "run", "--home", str(self._home)]
                manager = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            try:
                wait_for(lambda: b"ready" in self._log.read_bytes(), "the manager's start", 300)
                started = time.monotonic() - begun
                pin(manager.pid, cores()[0])
                return self._watch(server, database, manager.pid, started)
            finally:
                manager.terminate()
                manager.wait(60)

    def _make(self, address: str) -> None:
        self._say(f"{self._form.agents:,} identities, in a new home on PostgreSQL")
        ports = ("--gui-port", str(self._gui), "--heartbeat-port", str(self._heartbeat), "--listen", HOST)
        _plimsoll("manager", "init", "--home", str(self._home), *ports, "--database", address)
        _plimsoll("policy", "set", "Base", "--heartbeat", str(self._form.interval), "--home", str(self._home))
        more = ("--agents", str(self._form.agents), "--processes", str(os.cpu_count() or 1))
        _plimsoll("simulate", "--seed-home", str(self._home), "--fleet", str(self._fleet), *more)

    def _watch(self, server: postgres.Server, database: str, manager: int, started: float) -> Figures:
        form = self._form
        idle = _share(lambda: process_seconds(manager), lambda: time.sleep(10.0))
        command = [str(BIN / "plimsoll"), "simulate", "--manager", f"dsm://{HOST}:{self._heartbeat}"]
        command += ["--fleet", str(self._fleet), "--seconds", str(form.seconds), "--json"]
        command += ["--warm-up"] if form.warm_up else ["--full-handshakes"]
        postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
        self._say(form.name)
        before = self._stored(server, database)
        if form.warm_up:
            # What the warm-up costs is not the fleet's load: it is watched from when the clock runs.
            self._say("a heartbeat of each first")
        with self._report.open("wb") as out:
            simulator = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True)
        pin(simulator.pid, cores()[1])
        figures = [(time.monotonic(), process_seconds(manager), tree_seconds(postmaster), _wal(server))]
        warm = not form.warm_up
        assert simulator.stderr is not None
        for line in simulator.stderr:
            self._say(line.strip().removeprefix("plimsoll: "))
            if not warm and "the clock runs" in line:
                warm = True
                before = self._stored(server, database)
                figures = [(time.monotonic(), process_seconds(manager), tree_seconds(postmaster), _wal(server))]
        simulator.wait()
        text = self._report.read_text()
        if not text:
            raise RuntimeError("the simulator failed; its message stands above")
        report: dict[str, Any] = json.loads(text)
        time.sleep(_FLUSH)
        figures.append((time.monotonic(), process_seconds(manager), tree_seconds(postmaster), _wal(server)))
        (t0, m0, d0, w0), (t1, m1, d1, w1) = figures
        after = self._stored(server, database)
        size = int(server.do("select pg_database_size(current_database())", database=database)[0][0])
        return Figures(
            form=form,
            report=report,
            cpu=(m1 - m0) / (t1 - t0),
            idle=idle,
            database=(d1 - d0) / (t1 - t0),
            wal=w1 - w0,
            written=report["answered"],
            resident=resident_mib(manager),
            start_seconds=started,
            present=after[0],
            sighted=after[1] - before[1],
            size=size,
        )

    def _stored(self, server: postgres.Server, database: str) -> tuple[int, int]:
        """Computers that were ever seen, and handshakes that are counted."""
        present = server.do("select count(*) from computers where last_seen is not null", database=database)
        counted = "select coalesce(sum(count), 0) from sightings where outcome = 'admitted'"
        return int(present[0][0]), int(server.do(counted, database=database)[0][0])


def _share(used: Callable[[], float], meanwhile: Callable[[], object]) -> float:
    begun, before = time.monotonic(), used()
    meanwhile()
    return (used() - before) / (time.monotonic() - begun)


def _wal(server: postgres.Server) -> int:
    """Bytes of write-ahead log since the server was made."""
    return int(server.do("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")[0][0])


def _plimsoll(*arguments: str) -> None:
    done = subprocess.run([str(BIN / "plimsoll"), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"plimsoll {' '.join(arguments[:2])} failed: {done.stderr[-400:]}")


def measure(folder: Path, form: Form, say: Callable[[str], None]) -> Figures:
    folder.mkdir(parents=True, exist_ok=True)
    return Scale(folder, form, say).measure()

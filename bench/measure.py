"""The measurements. Each takes a stand and gives figures; none judges."""

from __future__ import annotations

import signal
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.load import HOST, old_hello
from bench.machine import cpu_seconds, resident_mib, wait_for
from bench.stand import Service, Stand, go, loading

ROUNDS = 5
COUNTS = {"full": 250, "resumed": 300, "kept": 600, "refused": 1200}
#: The manager writes presence and sightings once a second: waiting longer than that counts the writing too.
_FLUSH = 1.3
_CHANGES = 10
_RESTARTS = 3
#: How long an agent idles before its memory is read: its first heartbeats and inventory are over then.
_IDLE = 8.0


def cpu_per_request(stand: Stand, service: Service, kind: str, settle: float) -> float:
    """Microseconds of the server's CPU per request of that kind, all its threads and its later writing included."""
    count = COUNTS[kind]
    with loading(stand.task(kind, service.port, count)) as process:
        if settle:
            time.sleep(settle)  # what the warm-up left to write is not this round's
        before = cpu_seconds(service.pid)
        go(process)
        if settle:
            time.sleep(settle)
        used = cpu_seconds(service.pid) - before
    return used / count * 1e6


def interleaved(
    stand: Stand, manager: Service, nginx: Service, progress: Callable[[str], None]
) -> dict[str, tuple[float, float]]:
    """Medians of (manager, nginx) per kind, over rounds in which both are measured in turn."""
    found: dict[str, tuple[list[float], list[float]]] = {kind: ([], []) for kind in COUNTS}
    for number in range(ROUNDS):
        progress(f"round {number + 1} of {ROUNDS}")
        for kind, (ours, theirs) in found.items():
            theirs.append(cpu_per_request(stand, nginx, kind, 0))
            ours.append(cpu_per_request(stand, manager, kind, _FLUSH))
    return {kind: (statistics.median(ours), statistics.median(theirs)) for kind, (ours, theirs) in found.items()}


def idle_memory(agent: Service) -> float:
    """MiB of an agent that has nothing to do."""
    time.sleep(_IDLE)
    found = resident_mib(agent.pid)
    agent.stop()
    return found


class Watcher:
    """Offers TLS 1.0 again and again, and notes since when it is refused."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._hello = old_hello()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.refused_since: float | None = None
        self.admitted_at = 0.0

    def _watch(self) -> None:
        while not self._stop.is_set():
            answer = self._offer()
            now = time.perf_counter()
            if answer == 0x15:
                self.refused_since = self.refused_since or now
            elif answer == 0x16:
                self.refused_since = None
                self.admitted_at = now
            time.sleep(0.002)

    def _offer(self) -> int | None:
        """The first byte of the answer: an alert, a ServerHello, or none."""
        try:
            with socket.create_connection((HOST, self._port), 5) as sock:
                sock.sendall(self._hello)
                return (sock.recv(1) or b"\0")[0]
        except OSError:
            return None

    def wait_admitted(self) -> None:
        start = time.perf_counter()
        wait_for(lambda: self.admitted_at > start, "TLS 1.0 being admitted")

    def wait_refused(self) -> float:
        wait_for(lambda: self.refused_since is not None, "TLS 1.0 being refused")
        return self.refused_since or 0.0

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)


@contextmanager
def modern_requests(stand: Stand, port: int) -> Iterator[Callable[[], int]]:
    """Full, resumed and kept-alive TLS 1.2+ requests meanwhile; the answer counts them. One that fails raises."""
    with loading(stand.task("full", port, 150)) as one, loading(stand.task("kept", port, 300)) as two:
        failures: list[BaseException] = []

        def run(process: subprocess.Popen[str]) -> None:
            try:
                go(process)
            except RuntimeError as error:
                failures.append(error)

        threads = [threading.Thread(target=run, args=(process,)) for process in (one, two)]
        for thread in threads:
            thread.start()

        def count() -> int:
            for thread in threads:
                thread.join(60)
            if failures:
                raise RuntimeError("a compliant request was lost during a change of the floor") from failures[0]
            return 450

        yield count


def floor_in_force(stand: Stand, manager: Service) -> tuple[list[float], int]:
    """Seconds from the order to the first refused hello, per raise; and how many modern requests went through."""
    times = []
    with modern_requests(stand, manager.port) as count, Watcher(manager.port) as watcher:
        for _ in range(_CHANGES):
            stand.set_floor("TLSv1")
            watcher.wait_admitted()
            start = time.perf_counter()
            stand.set_floor("TLSv1.2")
            times.append(watcher.wait_refused() - start)
        served = count()
    return times, served


def nginx_in_force(stand: Stand) -> tuple[float, float]:
    """The same for nginx: medians of the seconds that a reload and a restart take."""
    weak = "ssl_ciphers ALL:@SECLEVEL=0;"
    reloads: list[float] = []
    restarts: list[float] = []
    for restart in (False, True):
        for _ in range(_RESTARTS):
            nginx = stand.nginx("TLSv1 TLSv1.2 TLSv1.3", weak)
            with Watcher(nginx.port) as watcher:
                watcher.wait_admitted()
                stand.nginx_configuration(nginx.port, "TLSv1.2 TLSv1.3", weak)
                start = time.perf_counter()
                if restart:
                    nginx.process.send_signal(signal.SIGQUIT)
                    nginx.process.wait(20)
                    nginx.process = subprocess.Popen(nginx.process.args, stdin=subprocess.DEVNULL)
                else:
                    nginx.process.send_signal(signal.SIGHUP)
                (restarts if restart else reloads).append(watcher.wait_refused() - start)
            nginx.stop()
    return statistics.median(reloads), statistics.median(restarts)

"""`plimsoll scan` beside nmap and sslscan on the same servers: one endpoint, a fleet of 200, a sweep, memory.

Each tool is run as its users run it, as a process of its own, pinned to the client's core; servers are on the other.
nmap's ssl-enum-ciphers and sslscan without its extra questions ask what `--mode suites` asks: versions, suites in the
server's order with their key exchange, compressors and whose preference counts.
"""

from __future__ import annotations

import compileall
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.tls_servers import Files, Setup, serving

import plimsoll
from bench.machine import cores, pin
from bench.stand import BIN, HOST
from plimsoll.tls.versions import FLOORS, Version

ROUNDS = 5
FLEET = 200
FLEET_ROUNDS = 3
SWEEP = 2000
#: Targets of the two runs whose memory is compared.
FEW, MANY = 1_000, 100_000 if os.environ.get("PLIMSOLL_DEEP") else 10_000

_ONE_POINT_TWO = (Version.TLS1_2,)
_EIGHT = (
    "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES256-SHA384", "ECDHE-RSA-AES128-SHA256", "AES256-GCM-SHA384", "AES128-GCM-SHA256", "AES128-SHA256",
)  # fmt: skip
_EC = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305")

#: The kinds of targets: every suite of OpenSSL, a floor of 1.2, a modern one, a database, another library.
KINDS: dict[str, Setup] = {
    "all suites": Setup("nginx", FLOORS, ("ALL",), ("rsa", "ec"), True),
    "TLS 1.2, RSA": Setup("nginx", _ONE_POINT_TWO, _EIGHT, ("rsa",), True),
    "modern, ECDSA": Setup("nginx", FLOORS[2:], _EC, ("ec",), False),
    "PostgreSQL": Setup("postgresql", FLOORS[2:], ("HIGH", "!aNULL"), ("rsa",), True),
    "GnuTLS": Setup("gnutls", FLOORS, (), ("rsa",), True),
}
FLEET_KINDS = ("TLS 1.2, RSA", "modern, ECDSA")


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a command: seconds of wall and of the client's CPU, TCP connections that the servers accepted."""

    wall: float
    cpu: float
    connections: int
    peak_mib: float


def run(command: Sequence[str | Path], feed: bytes = b"") -> Ran:
    """Run it on the client's core. Raises where it fails (codes of 3 and 4 are verdicts, not failures)."""
    before, opened = resource.getrusage(resource.RUSAGE_CHILDREN), _passive_opens()
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, cores()[1]),  # noqa: PLW1509 - one thread here
    )
    _, errors = process.communicate(feed, timeout=300)
    wall = time.perf_counter() - start
    if process.returncode not in (0, 3, 4):
        raise RuntimeError(f"{command[0]} failed with {process.returncode}: {errors.decode(errors='replace')[-300:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ran(wall, cpu, _passive_opens() - opened, after.ru_maxrss / 1024)


def _passive_opens() -> int:
    names, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if "Tcp:" in line)
    return int(values[names.index("PassiveOpens")])


def ours(targets: Sequence[str], *options: str) -> list[str | Path]:
    return [BIN / "plimsoll", "scan", *targets, "--output", os.devnull, "--no-progress", *options]


def nmap(hosts: Sequence[str], port: int) -> list[str | Path]:
    return ["nmap", "-Pn", "-n", "-p", str(port), "--script", "+ssl-enum-ciphers", "-oX", os.devnull, *hosts]


def sslscan(host: str, port: int, starttls: str = "") -> list[str | Path]:
    command = ["sslscan", "--no-colour", "--no-fallback", "--no-renegotiation", "--no-compression", "--no-heartbleed"]
    command += ["--no-groups", "--no-check-certificate"]
    return [*command, *((f"--starttls-{starttls}",) if starttls else ()), f"{host}:{port}"]


@dataclass(frozen=True, slots=True)
class One:
    """Medians for one endpoint: ours, nmap's, sslscan's."""

    kind: str
    ours: Ran
    nmap: Ran
    sslscan: Ran


def one_endpoint(places: dict[str, tuple[str, int]], say: Callable[[str], None]) -> list[One]:
    """A full enumeration of each kind, in interleaved rounds."""
    found: dict[str, tuple[list[Ran], list[Ran], list[Ran]]] = {kind: ([], [], []) for kind in places}
    for number in range(ROUNDS):
        say(f"one endpoint, round {number + 1} of {ROUNDS}")
        for kind, (host, port) in places.items():
            database = kind == "PostgreSQL"
            scheme = "postgres://" if database else ""
            mine, theirs, other = found[kind]
            mine.append(run(ours([f"{scheme}{host}:{port}"], "--mode", "suites")))
            theirs.append(run(nmap([host], port)))
            other.append(run(sslscan(host, port, "psql" if database else "")))
    return [One(kind, *(_median(runs) for runs in three)) for kind, three in found.items()]


def _median(runs: list[Ran]) -> Ran:
    return sorted(runs, key=lambda ran: ran.wall)[len(runs) // 2]


@dataclass(frozen=True, slots=True)
class Fleet:
    """Endpoints a second of the three."""

    kind: str
    ours: float
    nmap: float
    sslscan: float


def fleet(kind: str, port: int, say: Callable[[str], None]) -> Fleet:
    """200 endpoints on addresses of their own, in full. sslscan takes them one after the other, as it does."""
    hosts = [f"127.1.0.{number}" for number in range(1, FLEET + 1)]
    rates: tuple[list[float], list[float], list[float]] = ([], [], [])
    targets = os.environ.get("TMPDIR", "/tmp") + f"/plimsoll-bench-targets-{os.getpid()}"
    Path(targets).write_text("".join(f"{host}:{port}\n" for host in hosts))
    try:
        for number in range(FLEET_ROUNDS):
            say(f"{FLEET} endpoints, {kind}, round {number + 1} of {FLEET_ROUNDS}")
            listed = "\n".join(f"{host}:{port}" for host in hosts).encode()
            rates[0].append(FLEET / run(ours(["-"], "--mode", "suites"), listed).wall)
            rates[1].append(FLEET / run(nmap(hosts, port)).wall)
            command = sslscan(HOST, port)[:-1]
            rates[2].append(FLEET / run([*command, f"--targets={targets}"]).wall)
    finally:
        Path(targets).unlink()
    return Fleet(kind, *(statistics.median(each) for each in rates))


def sweep(port: int) -> tuple[float, float]:
    """Endpoints a second of wall time and of client CPU: versions, preferred suite and certificate."""
    hosts = [f"127.2.{number >> 8}.{number & 255}:{port}" for number in range(SWEEP)]
    runs = [run(ours(["-"], "--mode", "sweep"), "\n".join(hosts).encode()) for _ in range(FLEET_ROUNDS)]
    best = _median(runs)
    return SWEEP / best.wall, SWEEP / best.cpu


def memory(port: int) -> tuple[float, float]:
    """Peak MiB with few and with many targets."""
    peaks = []
    for count in (FEW, MANY):
        command = ours([f"127.3.0.0/{32 - (count - 1).bit_length()}:{port}"], "--mode", "sweep")
        script = f"import resource,subprocess,sys; r=subprocess.run({[str(p) for p in command]!r}).returncode; "
        script += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(r)"
        done = subprocess.run([BIN / "python", "-c", script], stdout=subprocess.PIPE, text=True, timeout=300)
        peaks.append(int(done.stdout) / 1024)
    return peaks[0], peaks[1]


def measure(
    folder: Path, say: Callable[[str], None]
) -> tuple[list[One], list[Fleet], tuple[float, float], tuple[float, float]]:
    """All of it."""
    # As an installed package has it; a checkout may never have been compiled.
    compileall.compile_dir(Path(plimsoll.__file__).parent, quiet=1)
    files = Files.make(folder)
    with serving(list(KINDS.values()), files, everywhere=True) as places:
        for pid in _servers():
            pin(pid, cores()[0])
        by_kind = {kind: places[setup] for kind, setup in KINDS.items()}
        one = one_endpoint(by_kind, say)
        fleets = [fleet(kind, by_kind[kind][1], say) for kind in FLEET_KINDS]
        port = by_kind["modern, ECDSA"][1]
        say("a sweep, and memory")
        return one, fleets, sweep(port), memory(port)


def _servers() -> list[int]:
    """Our children and their children: the servers."""
    own = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in own]

"""Measure and print. Takes some minutes; a budget that is missed is said and does not fail the run.

`python -m bench scale` measures a fleet at its interval, for a minute; `--long` as the budget says it, a hundred
thousand agents for ten minutes (and some minutes to make them); `--table` the small rows of docs/scale.md;
`--warm-up` has sessions resumed; `--agents`, `--interval` and `--seconds` are a form of your own.
"""

from __future__ import annotations

import argparse
import os
import platform
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support import postgres

from bench import dashboard, measure, preflight, relay, scale, scan, search, sightings
from bench.machine import cores
from bench.stand import Stand, nginx_binary
from plimsoll import RELEASE

PARTS = ("manager", "scan", "scale", "sightings")
#: Where `make packages` leaves them.
DIST = Path(__file__).parents[1] / "dist"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `reached` is None where the row has no budget of its own."""

    what: str
    ours: str
    peer: str
    ratio: str
    budget: str
    reached: bool | None


def cpu_rows(figures: dict[str, tuple[float, float]]) -> list[Row]:
    """Heartbeats and refusals: CPU per request beside nginx."""
    full = figures["full"][1]
    plan = [
        ("heartbeat, full mTLS handshake, persisted", "full", full, "nginx, mTLS, return 200", 1.5),
        ("heartbeat, resumed session", "resumed", full, "nginx, full handshake", 1.0),
        ("heartbeat, kept-alive connection", "kept", full, "nginx, full handshake", 0.3),
        ("refusal of TLS 1.0, sighting included", "refused", figures["refused"][1], "nginx, the same hello", 2.0),
    ]
    return [
        Row(
            what,
            f"{figures[kind][0]:.0f} us",
            f"{peer:.0f} us {name}",
            f"{figures[kind][0] / peer:.2f}x",
            f"<= {budget:.1f}x",
            figures[kind][0] <= budget * peer,
        )
        for what, kind, peer, name, budget in plan
    ] + [
        Row(f"  for comparison: nginx, {kind}", "", f"{figures[kind][1]:.0f} us", "", "", None)
        for kind in ("resumed", "kept")
    ]


def show(rows: list[Row]) -> None:
    table = [("what", "here", "beside it", "ratio", "budget", "")]
    words = {True: "reached", False: "MISSED", None: ""}
    table += [(row.what, row.ours, row.peer, row.ratio, row.budget, words[row.reached]) for row in rows]
    widths = [max(len(line[column]) for line in table) for column in range(6)]
    for number, line in enumerate(table):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def machine() -> str:
    server, clients = cores()
    pinned = f"server on core {min(server)}, clients on {sorted(clients)}"
    version = subprocess.run([nginx_binary() or "nginx", "-v"], capture_output=True, text=True).stderr.strip()
    return (
        f"{platform.machine()}, {os.cpu_count()} cores ({pinned}), load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}; {version}"
    )


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run(folder: Path) -> list[Row]:
    with Stand(folder) as stand:
        say("a manager with activated computers, and nginx with its certificates")
        manager = stand.manager()
        nginx = stand.nginx()
        rows = cpu_rows(measure.interleaved(stand, manager, nginx, say))
        nginx.stop()
        rows += idle_rows(stand)
        rows += relay_rows(stand)
        say("floors in force")
        times, served = measure.floor_in_force(stand, manager)
        reload, restart = measure.nginx_in_force(stand)
        middle, worst = statistics.median(times) * 1e3, max(times) * 1e3
        rows.append(
            Row(
                f"new floor in force, {len(times)} raises",
                f"{middle:.0f} ms, worst {worst:.0f}",
                f"{reload * 1e3:.0f} ms nginx reload, {restart * 1e3:.0f} restart",
                "",
                "<= 100 ms",
                worst <= 100,
            )
        )
        rows.append(Row("  modern requests meanwhile, none lost", str(served), "", "", "all", True))
    say("a preflight over a large fleet")
    rows.append(preflight_row(folder / "large"))
    say("a search over a large fleet")
    rows.append(search_row(folder / "searched", "SQLite"))
    with postgres.server() as server:
        address = server.url(postgres.new_database(server))
        rows.append(search_row(folder / "searched-there", "PostgreSQL", address))
    say("the dashboard of a large fleet")
    rows += dashboard_rows(folder / "dashboard", "SQLite")
    with postgres.server() as server:
        address = server.url(postgres.new_database(server))
        rows += dashboard_rows(folder / "dashboard-there", "PostgreSQL", address)
    return rows


def dashboard_rows(folder: Path, where: str, address: str | None = None) -> list[Row]:
    """The console's first screen and the picture's, in process; and the look that they are made from."""
    found = dashboard.measure(folder, address=address)
    names = {"/": "dashboard", "/?span=90d": "  with 90 days"}
    rows = [
        Row(
            f"{names.get(path) or '  ' + path} of {dashboard.COMPUTERS:,} computers, {where}",
            f"{middle * 1e3:.0f} ms, worst {worst * 1e3:.0f}",
            "",
            "",
            "<= 150 ms",
            middle <= 0.15,
        )
        for path, (middle, worst) in found.pages.items()
    ]
    return [*rows, Row("  a look at all of them, ahead of requests", f"{found.look:.2f} s", "", "", "", None)]


def search_row(folder: Path, where: str, address: str | None = None) -> Row:
    """A page of computers by REST, in process."""
    middle, worst, found = search.measure(folder, address=address)
    return Row(
        f"a page of {search.PAGE:,} of {found:,} computers by REST, {where}",
        f"{middle * 1e3:.0f} ms, worst {worst * 1e3:.0f}",
        "",
        "",
        "<= 300 ms",
        middle <= 0.3,
    )


def idle_rows(stand: Stand) -> list[Row]:
    """Memory of an idle agent, and of one out of its package where that was made."""
    say("an idle agent")
    agents = {"idle agent, resident": stand.agent}
    found = sorted(DIST.glob(f"plimsoll-agent-{RELEASE}-linux-*.tar.gz"))
    if found:
        agents["  out of its package"] = lambda: stand.packaged_agent(found[0])
    rows = []
    for what, start in agents.items():
        memory = measure.idle_memory(start())
        peers = "30 MB GRR, 220-280 Elastic (published)"
        rows.append(Row(what, f"{memory:.1f} MiB", peers, "", "<= 30 MiB", memory <= 30))
    return rows


def relay_rows(stand: Stand) -> list[Row]:
    """What a relay's downloads cost."""
    found = relay.measure(stand, say)
    rows = [Row(f"downloads, {found.cipher}", "", "nginx, the same file", "", "", None)]
    plan = [
        (f"relay, CPU per GiB, files of {relay.LARGE >> 20} MiB", found.one, 1.1),
        (f"  {relay.AT_ONCE} agents at once, {relay.PACKAGE >> 20} MiB each", found.many, 1.1),
    ]
    for what, (ours, theirs), budget in plan:
        ratio = ours.cpu / theirs.cpu
        here, there = f"{ours.cpu * 1e3:.0f} ms", f"{theirs.cpu * 1e3:.0f} ms nginx"
        rows.append(Row(what, here, there, f"{ratio:.2f}x", f"<= {budget:.1f}x", ratio <= budget))
        taken = f"{ours.wall:.2f} s", f"{theirs.wall:.2f} s nginx"
        rows.append(Row("    until all is there", *taken, f"{ours.wall / theirs.wall:.2f}x", "", None))
    return rows


def preflight_row(folder: Path) -> Row:
    """A judgement of the whole fleet, from the store to the list of blockers."""
    times, blockers = preflight.measure(folder)
    middle, worst = statistics.median(times), max(times)
    return Row(
        f"preflight over {preflight.COMPUTERS:,} computers, {blockers:,} blockers",
        f"{middle:.2f} s, worst {worst:.2f}",
        "",
        "",
        "<= 1 s",
        middle <= 1,
    )


def scan_rows(folder: Path) -> list[Row]:
    """`plimsoll scan` beside nmap and sslscan."""
    one, fleets, swept, memory = scan.measure(folder, say)
    rows = []
    for found in one:
        ratio = found.ours.wall / found.nmap.wall
        peers = f"{found.nmap.wall * 1e3:.0f} ms nmap, {found.sslscan.wall * 1e3:.0f} sslscan"
        rows.append(
            Row(
                f"one endpoint, {found.kind}", f"{found.ours.wall * 1e3:.0f} ms", peers, f"{ratio:.2f}x", "<= 0.4x",
                ratio <= 0.4,
            )
        )  # fmt: skip
        connections = f"{found.nmap.connections} nmap, {found.sslscan.connections} sslscan"
        fewer = found.ours.connections <= found.nmap.connections
        rows.append(Row("  connections", str(found.ours.connections), connections, "", "<= nmap's", fewer))
        if found.kind == "all suites":
            level = found.ours.wall / found.sslscan.wall
            rows.append(Row("  beside sslscan", "", "", f"{level:.2f}x", "<= 1.0x", level <= 1.0))
    for each in fleets:
        theirs = f"{each.nmap:.0f} nmap, {each.sslscan:.0f} sslscan"
        ratios = f"{each.ours / each.nmap:.1f}x, {each.ours / each.sslscan:.1f}x"
        reached = each.ours >= 8 * each.nmap and each.ours >= 3 * each.sslscan
        what = f"{scan.FLEET} endpoints, {each.kind}, a second"
        rows.append(Row(what, f"{each.ours:.0f}", theirs, ratios, ">= 8x, 3x", reached))
    rows.append(Row("sweep, endpoints a second", f"{swept[0]:.0f}", "", "", ">= 1500", swept[0] >= 1500))
    rows.append(Row("  per second of client CPU", f"{swept[1]:.0f}", "", "", "", None))
    growth = memory[1] / memory[0]
    what = f"peak memory, {scan.FEW:,} and {scan.MANY:,} targets"
    rows.append(Row(what, f"{memory[0]:.0f}, {memory[1]:.0f} MiB", "", f"{growth:.2f}x", "flat", growth <= 1.15))
    return rows


def sightings_rows(folder: Path) -> list[Row]:
    """A year of a large fleet: its size, and how quick questions about it are."""
    found = sightings.measure(folder, say)
    mib, most = 1 << 20, sightings.BUDGET
    what = f"{sightings.COMPUTERS:,} computers, {sightings.DAYS} days"
    rows = [
        Row(f"{what}, {found.rows:,} counts", f"{found.whole_year // mib} MiB", "", "", "<= 2048 MiB",
            found.whole_year <= most),
        Row(f"  from {sightings.PART} computers, hour by hour", f"{found.part_year // mib} MiB", "", "",
            "<= 2048 MiB", found.part_year <= most),
        Row("  to store 1,000 sightings", f"{found.absorbed * 1e3:.0f} ms", "", "", "", None),
        Row("  tidying one day", f"{found.tidied:.1f} s", "", "", "", None),
    ]  # fmt: skip
    return rows + [
        Row(f"  asked: {name}", f"{seconds * 1e3:.0f} ms", "", "", "<= 500 ms", seconds <= 0.5)
        for name, seconds in found.asked.items()
    ]


def scale_rows(folder: Path, forms: Sequence[scale.Form]) -> list[Row]:
    """A fleet at its interval: what the manager and its database need, and whether anything was lost."""
    rows = []
    for number, form in enumerate(forms):
        found = scale.measure(folder / str(number), form, say)
        report = found.report
        slow, worst = (report["latency"].get(name, float("inf")) for name in ("p99", "max"))
        log = f"{found.wal / 2**20:.1f} MiB, {found.wal / max(1, report['answered']) / 1024:.1f} KiB a heartbeat"
        used = f"{found.cpu:.0%}, {found.idle:.1%} before"
        memory = f"{found.resident:.0f} MiB, ready in {found.start_seconds:.1f} s"
        resumed = f"{report['resumed']:,} of {report['handshakes']:,}"
        rows += [
            Row(form.name, f"{report['rate']:.0f} a second", "", "", "", None),
            Row("  manager, share of one core", used, "", "", "<= 60 %", found.cpu <= 0.6),
            Row("  p99, from connect to answer", f"{slow:.0f} ms, worst {worst:.0f}", "", "", "<= 250 ms", slow <= 250),
            Row("  lost, silent or not stored", str(found.lost), "", "", "0", found.lost == 0),
            Row("  refused, or failed otherwise", str(sum(report["failures"].values())), "", "", "", None),
            Row("  handshakes resumed", resumed, "", "", "", None),
            Row("  manager, resident", memory, "", "", "", None),
            Row("  PostgreSQL, share of one core", f"{found.database:.0%}", "", "", "", None),
            Row("  write-ahead log", log, "", "", "", None),
            Row("  database afterwards", f"{found.size / 2**20:.0f} MiB", "", "", "", None),
            Row("  simulator behind by", f"{report['behind']:.2f} s", "", "", "", None),
        ]
    return rows


def parse(arguments: Sequence[str]) -> tuple[list[str], list[scale.Form]]:
    """The parts that are wanted, and the forms of the fleet."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="none: all but sightings")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--warm-up", action="store_true")
    for name in ("--agents", "--interval", "--seconds"):
        parser.add_argument(name, type=int)
    found = parser.parse_args(arguments)
    forms = [*scale.SMALL] if found.table else [scale.LONG if found.long else scale.SHORT]
    own = {name: getattr(found, name) for name in ("agents", "interval", "seconds") if getattr(found, name)}
    return list(found.parts), [replace(form, warm_up=found.warm_up, **own) for form in forms]


def main(arguments: Sequence[str]) -> int:
    """Measure the named parts, or all but the sightings: a year takes minutes to write."""
    parts, forms = parse(arguments)
    if nginx_binary() is None and not (parts and set(parts) <= {"sightings", "scale"}):
        print("bench: nginx is missing, and without it there is nothing to compare with; `make deps` installs it")
        return 2
    start = time.monotonic()
    print(machine())
    if not parts or "manager" in parts:
        with tempfile.TemporaryDirectory(prefix="plimsoll-bench-") as folder:
            rows = run(Path(folder))
        print(f"server CPU per request: medians of {measure.ROUNDS} interleaved rounds\n")
        show(rows)
    if not parts or "scan" in parts:
        with tempfile.TemporaryDirectory(prefix="plimsoll-bench-") as folder:
            rows = scan_rows(Path(folder))
        print(
            f"\nscan, whole processes: medians of {scan.ROUNDS} interleaved rounds ({scan.FLEET_ROUNDS} for fleets)\n"
        )
        show(rows)
    if not parts or "scale" in parts:
        with tempfile.TemporaryDirectory(prefix="plimsoll-bench-") as folder:
            rows = scale_rows(Path(folder), forms)
        print(f"\na fleet at its interval, measured {time.strftime('%Y-%m-%d')}\n")
        show(rows)
    if "sightings" in parts:
        with tempfile.TemporaryDirectory(prefix="plimsoll-bench-") as folder:
            rows = sightings_rows(Path(folder))
        print("\nsightings: medians of five questions\n")
        show(rows)
    say(f"took {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

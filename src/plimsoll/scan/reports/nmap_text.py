"""The form in which `nmap --script ssl-enum-ciphers` prints (R18), so that habits and filters made for it hold."""

from __future__ import annotations

import time
from typing import IO

from plimsoll import RELEASE
from plimsoll.scan.report import EndpointReport
from plimsoll.scan.reports.nmap_ports import PortView, port_view
from plimsoll.scan.reports.nmap_scripts import results


class NmapTextWriter:
    """Writes each report as it comes, as one host with one port."""

    def __init__(self, out: IO[str], *, started: float | None = None) -> None:
        self._out = out
        self._started = time.time() if started is None else started
        self._count = 0
        self._up = 0

    def begin(self) -> None:
        when = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(self._started))
        self._out.write(f"Starting Plimsoll {RELEASE} in the form of Nmap's ssl-enum-ciphers at {when}\n")

    def add(self, report: EndpointReport) -> None:
        seen = port_view(report)
        self._count += 1
        self._up += bool(seen.address)
        self._out.write("\n".join(lines(report, seen)) + "\n\n")

    def end(self) -> None:
        noun = "endpoint" if self._count == 1 else "endpoints"
        took = time.time() - self._started
        self._out.write(f"Plimsoll done: {self._count} {noun} ({self._up} up) scanned in {took:.2f} seconds\n")


def lines(report: EndpointReport, seen: PortView) -> list[str]:
    """One endpoint's block: where, the table of its port, and below it what the scripts say.

    A host counts as up, whatever its port does, as with nmap's `-Pn`.
    """
    if not seen.address:
        return [f'Failed to resolve "{seen.name}".']
    where = f"{seen.name} ({seen.address})" if seen.name else seen.address
    port = f"{seen.port}/tcp"
    wide, state = len(port) + 1, len(max(seen.state, "STATE", key=len)) + 1
    found = [
        f"Nmap scan report for {where}",
        "Host is up.",
        "",
        f"{'PORT':{wide}}{'STATE':{state}}SERVICE",
        f"{port:{wide}}{seen.state:{state}}{seen.service}",
    ]
    for result in results(report):
        *rows, last = result.lines()
        found += [f"| {row}" for row in rows]
        found.append(f"|_{last}")
    return found

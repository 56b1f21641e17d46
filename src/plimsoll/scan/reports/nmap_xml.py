"""nmap's XML (`-oX`), so that tools which read nmap read us.

Elements and their order are those of nmap.dtd. A host element is written for each endpoint as it comes, so that a
million of them need no memory; readers of nmap's XML take an address that comes again for what it is.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator, Sequence
from typing import IO, Final
from xml.sax.saxutils import escape

from plimsoll import RELEASE
from plimsoll.scan.report import EndpointReport
from plimsoll.scan.reports.nmap_ports import PortView, port_view
from plimsoll.scan.reports.nmap_scripts import ScriptResult, Table, Value, results

#: The version of nmap's XML that this is.
_FORM: Final = "1.05"
#: What XML 1.0 cannot hold at all.
_UNSPEAKABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_QUOTES: Final = {'"': "&quot;", "\n": "&#xa;", "\r": "&#xd;", "\t": "&#x9;"}


class NmapXmlWriter:
    """Writes the document; without `end` it is cut off, and a reader says so."""

    def __init__(self, out: IO[str], *, arguments: Sequence[str] = (), started: float | None = None) -> None:
        self._out = out
        self._arguments = shlex.join(["plimsoll", "scan", *arguments])
        self._started = time.time() if started is None else started
        self._count = 0

    def begin(self) -> None:
        self._out.write('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n')
        start = {
            # The document type knows no other scanner; `args` says who really wrote this.
            "scanner": "nmap",
            "args": self._arguments,
            "start": str(int(self._started)),
            "startstr": time.ctime(self._started),
            "version": RELEASE,
            "xmloutputversion": _FORM,
        }
        self._out.write(f'<nmaprun{_attributes(start)}>\n<verbose level="0"/>\n<debugging level="0"/>\n')

    def add(self, report: EndpointReport) -> None:
        seen = port_view(report)
        if not seen.address:
            skipped = {"specification": str(report.target), "status": "skipped", "reason": "invalid"}
            self._out.write(f"<target{_attributes(skipped)}/>\n")
            return
        self._count += 1
        self._out.write("\n".join(_host(report, seen)) + "\n")

    def end(self) -> None:
        now = time.time()
        took = f"{now - self._started:.2f}"
        noun = "endpoint" if self._count == 1 else "endpoints"
        finished = {
            "time": str(int(now)),
            "timestr": time.ctime(now),
            "summary": f"Plimsoll done at {time.ctime(now)}; {self._count} {noun} scanned in {took} seconds",
            "elapsed": took,
            "exit": "success",
        }
        hosts = {"up": str(self._count), "down": "0", "total": str(self._count)}
        self._out.write(f"<runstats><finished{_attributes(finished)}/><hosts{_attributes(hosts)}/>\n</runstats>\n")
        self._out.write("</nmaprun>\n")


def _host(report: EndpointReport, seen: PortView) -> Iterator[str]:
    times = {"starttime": str(int(report.started)), "endtime": str(int(report.ended))}
    address = {"addr": seen.address, "addrtype": "ipv6" if ":" in seen.address else "ipv4"}
    state = {"state": seen.state, "reason": seen.reason, "reason_ttl": "0"}
    service = {"name": seen.service, "method": "table", "conf": "3"}
    yield f'<host{_attributes(times)}><status state="up" reason="user-set" reason_ttl="0"/>'
    yield f"<address{_attributes(address)}/>"
    yield "<hostnames>"
    if seen.name:
        yield f"<hostname{_attributes({'name': seen.name, 'type': 'user'})}/>"
    yield "</hostnames>"
    named = "" if seen.service == "unknown" else f"<service{_attributes(service)}/>"
    yield f'<ports><port protocol="tcp" portid="{seen.port}"><state{_attributes(state)}/>{named}'
    for result in results(report):
        yield from _script(result)
    yield "</port>"
    yield "</ports>"
    yield "</host>"


def _script(result: ScriptResult) -> Iterator[str]:
    shown = "\n".join(["", *list(result.lines())[1:]])
    yield f"<script{_attributes({'id': result.script, 'output': shown})}>"
    for key, value in result.table.entries:
        yield from _element(key, value)
    yield "</script>"


def _element(key: str, value: Value) -> Iterator[str]:
    named = _attributes({"key": key}) if key else ""
    if isinstance(value, str):
        yield f"<elem{named}>{escape(_UNSPEAKABLE.sub('?', value))}</elem>"
        return
    yield f"<table{named}>"
    entries = value.entries if isinstance(value, Table) else value.fields.items()
    for inner, content in entries:
        yield from _element(inner, content)
    yield "</table>"


def _attributes(values: dict[str, str]) -> str:
    return "".join(f' {name}="{escape(_UNSPEAKABLE.sub("?", value), _QUOTES)}"' for name, value in values.items())

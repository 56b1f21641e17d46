"""A textfile for Prometheus' node exporter: which versions are accepted and proved, and until when certificates last.

The file appears whole or not at all: it is written beside its place and renamed.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import IO, Final

from plimsoll.scan.report import EndpointReport, Outcome, State
from plimsoll.scan.reports import Verdicts, no_verdicts

#: Metrics in the order of the file. An alert on `accepted` alone would miss what is not proved: see docs/scan.md.
METRICS: Final = {
    "plimsoll_scan_reached": "Whether the endpoint speaks TLS at all.",
    "plimsoll_scan_accepted": "Whether the endpoint accepts that TLS version (1), or refuses it with evidence (0).",
    "plimsoll_scan_not_proved": "Whether it stayed open if the endpoint accepts that TLS version.",
    "plimsoll_scan_suites": "How many suites that TLS version is known to accept.",
    "plimsoll_scan_profile": "What a profile says of the endpoint: 1 for its verdict.",
    "plimsoll_scan_certificate_not_after_seconds": "When the certificate ends, in seconds since the epoch.",
    "plimsoll_scan_time_seconds": "When the endpoint was scanned, in seconds since the epoch.",
}
_RUN: Final = "plimsoll_scan_run_end_seconds"


class PrometheusWriter:
    """Keeps one file a metric and joins them at the end, for the format wants a metric's samples together."""

    def __init__(self, path: Path, verdicts: Verdicts = no_verdicts) -> None:
        self._path = path
        self._verdicts = verdicts
        self._parts: dict[str, IO[str]] = {}

    def begin(self) -> None:
        for name in METRICS:
            self._parts[name] = tempfile.SpooledTemporaryFile(1 << 18, mode="w+", encoding="utf-8")  # noqa: SIM115

    def add(self, report: EndpointReport) -> None:
        endpoint = f'endpoint="{_escaped(str(report.target))}"'
        self._sample("plimsoll_scan_reached", endpoint, int(report.state in (State.COMPLETE, State.INCOMPLETE)))
        self._sample("plimsoll_scan_time_seconds", endpoint, round(report.ended, 3))
        for seen in report.versions.values():
            labels = f'{endpoint},version="{seen.version.label}"'
            if seen.outcome in (Outcome.ACCEPTED, Outcome.REFUSED):
                self._sample("plimsoll_scan_accepted", labels, int(seen.outcome is Outcome.ACCEPTED))
            open_question = seen.outcome not in (Outcome.ACCEPTED, Outcome.REFUSED)
            self._sample("plimsoll_scan_not_proved", labels, int(open_question))
            if seen.suites:
                self._sample("plimsoll_scan_suites", labels, len(seen.suites))
        for said in self._verdicts(report):
            labels = f'{endpoint},profile="{_escaped(said.profile.name)}",verdict="{said.verdict.value}"'
            self._sample("plimsoll_scan_profile", labels, 1)
        for leaf in report.certificates:
            if leaf.not_after:
                labels = f'{endpoint},fingerprint="{leaf.fingerprint}"'
                self._sample("plimsoll_scan_certificate_not_after_seconds", labels, leaf.not_after)

    def end(self) -> None:
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            with beside.open("w", encoding="utf-8") as file:
                for name, part in self._parts.items():
                    file.write(f"# HELP {name} {METRICS[name]}\n# TYPE {name} gauge\n")
                    part.seek(0)
                    file.writelines(part)
                file.write(f"# HELP {_RUN} When this scan ended, in seconds since the epoch.\n# TYPE {_RUN} gauge\n")
                file.write(f"{_RUN} {time.time():.3f}\n")
            beside.chmod(0o644)
            beside.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise
        finally:
            self.close()

    def close(self) -> None:
        """Let go of what was gathered."""
        for part in self._parts.values():
            part.close()

    def _sample(self, name: str, labels: str, value: float) -> None:
        self._parts[name].write(f"{name}{{{labels}}} {value}\n")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

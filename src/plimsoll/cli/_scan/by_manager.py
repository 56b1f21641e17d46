"""`plimsoll scan --from-manager`: the manager scans, and its report is told as if the scan had been run here."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from plimsoll.cli._errors import CommandError
from plimsoll.cli._scan import FAILED, USAGE, StopError

if TYPE_CHECKING:
    from plimsoll.cli._client import Client
    from plimsoll.cli._session import Session
    from plimsoll.client.shapes import Scan

#: Seconds between two looks at how far it is.
_EVERY: Final = 0.5
#: What only a scan from here can do, by option, with the value that means it was not asked for.
_HERE_ONLY: Final = {"name": None, "ca": None, "resume": None, "source": "", "rate": None}


def fetch(given: argparse.Namespace, stack: ExitStack, session: Session | None) -> str:
    """Runs the scan to its end; where its report lies then. Raises StopError."""
    from plimsoll.cli._scan.inputs import client_of, words_of_all

    for name, usual in _HERE_ONLY.items():
        if getattr(given, name) != usual:
            raise StopError(f"--{name} is for a scan from here, and goes without --from-manager", USAGE)
    words = words_of_all(given, stack)
    try:
        with client_of(given, session) as client:
            if not client.live:
                raise StopError("the manager is stopped, and so scans nothing; start it, or scan from here", USAGE)
            return _carried_out(given, stack, client, words)
    except CommandError as error:
        raise StopError(error.message, error.code) from error


def _carried_out(given: argparse.Namespace, stack: ExitStack, client: Client, words: list[str]) -> str:
    scans = client.typed.scans
    found = scans.start(
        {
            "fleet": given.fleet,
            "endpoints": words,
            "opening": given.opening,
            "mode": given.mode,
            "profiles": given.require,
            "label": "plimsoll scan",
        }
    )
    number = found["id"]
    try:
        found = _watched(given, client, found)
    except KeyboardInterrupt:
        scans.cancel(number)
        raise StopError(f"interrupted; scan {number} was cancelled at the manager", 130) from None
    if found["state"] != "done":
        raise StopError(f"scan {number} is {found['state']}: {found['text']}", FAILED)
    sys.stderr.write(f"scan {number} is kept by the manager\n")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plimsoll-scan-")))
    path = folder / f"scan-{number}.json"
    with path.open("wb") as file:
        client.download(f"/api/tls/scans/{number}/report", file)
    return str(path)


def _watched(given: argparse.Namespace, client: Client, found: Scan) -> Scan:
    talks = given.progress or (given.progress is None and sys.stderr.isatty())
    while found["state"] in ("queued", "running"):
        if talks:
            waits = "waits for another scan, " if found["state"] == "queued" else ""
            sys.stderr.write(f"\r\x1b[K{waits}{found['done']} of {found['total']} endpoints")
            sys.stderr.flush()
        time.sleep(_EVERY)
        found = client.typed.scans.get_scan(found["id"])
    if talks:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
    return found

"""A bundle for whoever helps: what this agent is, holds and last did, without a secret in it.

Rules of this file: files are named one by one, so that a new one is left out until somebody thought about it; a private
key is never opened; whatever looks like an activation token or a key is taken out of every text.
"""

from __future__ import annotations

import io
import re
import socket
import ssl
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from plimsoll import RELEASE
from plimsoll.agent import inventory as inventories
from plimsoll.agent import probe
from plimsoll.agent.errors import AgentError
from plimsoll.agent.home import Home
from plimsoll.agent.status import status

#: Files of the home that go in as they are, if they are there.
SHOWN = ("agent.json", "policy.json", "spool.json", "relay.json", "upgrade.json", "run/state.json")
#: Of these only the certificates.
CERTIFICATES = ("cert.pem", "ca.pem")

#: No file is longer than that in the bundle, in bytes; the end of a longer one is what matters.
LONGEST = 4 << 20
#: Lines of the service's log.
LOG_LINES = 2000

_SECRETS = (
    (re.compile(rb"pt1\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"), b"pt1.(token)"),
    (re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), b"(key)"),
)
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\n?")


def name_of(now: float) -> str:
    """The bundle's file name: this host's, and the time."""
    host = re.sub(r"[^A-Za-z0-9.-]", "_", socket.gethostname()) or "host"
    return f"plimsoll-diagnostics-{host}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}.tar.gz"


def write(home: Home, out: BinaryIO, now: float) -> list[str]:
    """Writes the bundle; the names of what is in it. What cannot be gathered is in there as the reason why not."""
    written: list[str] = []
    with tarfile.open(fileobj=out, mode="w:gz") as bundle:
        for name, gather in _parts(home, now):
            try:
                content = gather()
            except Exception as error:  # noqa: BLE001 - one part that fails must not cost the others
                content = f"{type(error).__name__}: {error}\n".encode()
            if content is None:
                continue
            entry = tarfile.TarInfo(f"plimsoll-diagnostics/{name}")
            data = _plain(content)
            entry.size, entry.mtime, entry.mode = len(data), int(now), 0o600
            bundle.addfile(entry, io.BytesIO(data))
            written.append(name)
    return written


def _parts(home: Home, now: float) -> Iterator[tuple[str, Callable[[], bytes | None]]]:
    yield "summary.json", lambda: _json(_summary(now))
    yield "status.json", lambda: _status(home)
    yield "host.json", lambda: _json(inventories.gather(home.cert, home.key))
    yield "manager.json", lambda: _json(msgspec.to_builtins(probe.look(home)))
    yield "files.txt", lambda: _listing(home.path)
    for name in SHOWN:
        yield f"home/{name}", lambda name=name: home.read(name)  # type: ignore[misc]  # bound to this turn's name
    for name in CERTIFICATES:
        yield f"home/{name}", lambda name=name: _certificates(home.read(name))  # type: ignore[misc]
    yield "log.txt", _log


def _summary(now: float) -> dict[str, Any]:
    return {
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "release": RELEASE,
        "python": sys.version,
        "openssl": ssl.OPENSSL_VERSION,
        "left out": "private keys, activation tokens, what a relay hands out",
    }


def _status(home: Home) -> bytes:
    try:
        return _json(status(home.path))
    except AgentError as error:
        return _json({"message": str(error)})


def _json(data: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n"


def _listing(folder: Path) -> bytes:
    """Names, modes, owners, sizes and times, for whoever looks for a file that somebody else wrote."""
    lines = []
    for path in sorted([folder, *folder.rglob("*")])[:5000]:
        entry = path.lstat()
        changed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.st_mtime))
        lines.append(f"{entry.st_mode:06o} {entry.st_uid}:{entry.st_gid} {entry.st_size:>12} {changed} {path}")
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def _certificates(pem: bytes | None) -> bytes | None:
    return None if pem is None else b"".join(_CERTIFICATE.findall(pem))


def _log() -> bytes | None:
    """The service's log, where systemd keeps one."""
    command = ["journalctl", "--no-pager", "--utc", "-o", "short-iso", "-u", "plimsoll-agent", "-n", str(LOG_LINES)]
    try:
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    except FileNotFoundError:
        return None
    return done.stdout or done.stderr


def _plain(content: bytes) -> bytes:
    for pattern, instead in _SECRETS:
        content = pattern.sub(instead, content)
    return content[-LONGEST:]

"""HAProxy in front of several managers: TCP passed through, with the PROXY protocol, from an address of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.process import Service, eventually, free_ports

HOST = "127.0.0.1"
#: Where its connections to the managers come from: what ``trustedProxies=`` names.
SOURCE = "127.0.7.7"


@contextlib.contextmanager
def balancer(folder: Path, ports: Sequence[int]) -> Iterator[int]:
    """Its port, in front of these. One that does not accept is left out within a second."""
    (port,) = free_ports(1)
    folder.mkdir(exist_ok=True)
    lines = ["global", "  maxconn 4000", "defaults", "  mode tcp", "  timeout client 120s", "  timeout server 120s"]
    lines += [
        "  timeout connect 2s",
        "  retries 3",
        "  option redispatch 1",
        "listen heartbeats",
        f"  bind {HOST}:{port}",
    ]
    lines += ["  balance roundrobin"]
    lines += [
        f"  server m{number} {HOST}:{one} send-proxy-v2 source {SOURCE} check inter 500 fall 1 rise 1 check-send-proxy"
        for number, one in enumerate(ports)
    ]
    path = folder / "haproxy.cfg"
    path.write_text("\n".join(lines) + "\n")
    binary = shutil.which("haproxy") or "/usr/sbin/haproxy"
    started = Service([binary, "-f", path, "-db"])
    try:
        eventually(lambda: _accepts(port), "the balancer listens")
        yield port
    finally:
        started.stop()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 2).close()
    except OSError:
        return False
    return True
